-- opened: the windows that count now: those given, or a later one where the account has
-- opened it already. So a clock that steps back, and a zone that was changed, neither stop
-- a customer nor lose sight of what it spent; the next window puts it right.
--
-- `opened`: the account's day, week, month, year, custom; `opened_end`: the end of the last.
-- Ids as split_ids gives them. Needs ids.
local KIND_AT = {day = 1, week = 2, month = 3, year = 4, custom = 5}

-- Whether the account has all the windows that are `given`, by spaces, and no other.
local function are_open(opened, opened_end, given)
    local day, week, month, year = opened[1], opened[2], opened[3], opened[4]
    return day and week and month and year and given == day .. ' ' .. week .. ' ' .. month .. ' '
        .. year .. ' ' .. (opened[CUSTOM] or '0') .. ' ' .. (opened_end or '0')
end

local function current_ids(opened, ids, opened_end)
    for i = 1, CUSTOM do
        if opened[i] and opened[i] ~= ids[i] and ids[i] ~= '0'
            and tonumber(opened[i]) > tonumber(ids[i]) then
            ids[i] = opened[i]
        end
    end
    if opened[CUSTOM] and ids[CUSTOM] ~= '0'
        and tonumber(ids[CUSTOM]) < tonumber(opened_end or '0') then
        ids[CUSTOM], ids[CUSTOM_END] = opened[CUSTOM], opened_end
    end
    return ids
end
