-- windows: what an account counts per calendar window.
--
-- An account has, for each kind below, the id of its current window (the window's start,
-- Unix seconds), and what was charged and what it cost in it: `month`, `month.charge`,
-- `month.cost`. Ids only move forward: an amount for a later window opens it, one for an
-- earlier window is left to the totals. Nothing ever resets a window to zero.
--
-- A custom window lies where its anchor says, and an anchor can be moved. So it also has its
-- end, `custom.until`: a window that begins before the open one has ended is the open one
-- still. Whoever moves the anchor with every call renews nothing.
local KINDS = {'day', 'week', 'month', 'year', 'custom'}
local CUSTOM, CUSTOM_END = 5, 6

-- The ids in the order of KINDS, then the end of the custom window.
local function split_ids(text)
    local ids = {}
    for id in string.gmatch(text, '%d+') do
        ids[#ids + 1] = id
    end
    return ids
end

-- The windows that count now: those given, or a later one where the account has `opened` it
-- already. So a clock that steps back, and a zone that was changed, neither stop a customer
-- nor lose sight of what it spent; the next window puts it right.
local function current_ids(opened, ids, opened_end)
    for i = 1, #KINDS do
        if opened[i] and ids[i] ~= '0' and tonumber(opened[i]) > tonumber(ids[i]) then
            ids[i] = opened[i]
        end
    end
    if opened[CUSTOM] and ids[CUSTOM] ~= '0'
        and tonumber(ids[CUSTOM]) < tonumber(opened_end or '0') then
        ids[CUSTOM], ids[CUSTOM_END] = opened[CUSTOM], opened_end
    end
    return ids
end

-- Add `charge` and `cost` to the windows whose ids are given ('0': not this kind).
local function count_in_windows(account, ids, charge, cost)
    for i, kind in ipairs(KINDS) do
        local id = tonumber(ids[i])
        if id > 0 then
            local current = tonumber(redis.call('HGET', account, kind) or '0')
            if i == CUSTOM and current > 0 and current < id
                and id < tonumber(redis.call('HGET', account, 'custom.until') or '0') then
                id = current
            end
            if current == id then
                redis.call('HINCRBY', account, kind .. '.charge', charge)
                redis.call('HINCRBY', account, kind .. '.cost', cost)
            elseif current < id then
                redis.call('HSET', account, kind, ids[i],
                    kind .. '.charge', charge, kind .. '.cost', cost)
                if i == CUSTOM then
                    redis.call('HSET', account, 'custom.until', ids[CUSTOM_END] or '0')
                end
            end
        end
    end
end

-- Add to the totals and to the windows.
local function book(account, ids, charge, cost)
    redis.call('HINCRBY', account, 'spent', charge)
    redis.call('HINCRBY', account, 'cost', cost)
    count_in_windows(account, ids, charge, cost)
end
