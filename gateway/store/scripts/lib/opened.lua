-- opened: the windows that count now: those given, or a later one where the account has
-- opened it already. So a clock that steps back, and a zone that was changed, neither stop
-- a customer nor lose sight of what it spent; the next window puts it right.
--
-- `opened`: the account's, `ids`: those given, which become those that count; both as
-- split_ids gives them. Needs ids.
local KIND_AT = {day = 1, week = 2, month = 3, year = 4, custom = 5}

local function current_ids(opened, ids)
    for i = 1, CUSTOM do
        if opened[i] ~= ids[i] and ids[i] ~= '0' and tonumber(opened[i]) > tonumber(ids[i]) then
            ids[i] = opened[i]
        end
    end
    if ids[CUSTOM] ~= '0' and tonumber(ids[CUSTOM]) < tonumber(opened[CUSTOM_END]) then
        ids[CUSTOM], ids[CUSTOM_END] = opened[CUSTOM], opened[CUSTOM_END]
    end
    return ids
end
