-- ids: the ids of an account's windows, as scripts are given them: those of day, week, month,
-- year and custom window, then the end of the custom one, by spaces; 0 for none.
local KINDS = {'day', 'week', 'month', 'year', 'custom'}
local CUSTOM, CUSTOM_END = 5, 6
local NO_WINDOWS = '0 0 0 0 0 0'
local HALF_SECONDS = {43200, 302400, 1209600, 15768000}    -- of the shortest day, week, ...

local function split_ids(text)
    return {string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')}
end

-- Let the open window count in place of one that is given.
local function stay(opened, ids, kind_at)
    ids[kind_at] = opened[kind_at]
    if kind_at == CUSTOM then
        ids[CUSTOM_END] = opened[CUSTOM_END]
    end
end

-- Until when whatever window begins is the open one still: a custom one until its end; of the
-- others one that begins in the first half of the open one is the same in another zone, so
-- that who changes the zone renews no budget. 0: none is open.
local function open_until(opened, kind_at)
    if kind_at == CUSTOM then
        return tonumber(opened[CUSTOM_END])
    end
    return opened[kind_at] == '0' and 0 or opened[kind_at] + HALF_SECONDS[kind_at]
end
