-- opened: the windows that count now: those given, or the one that is open, where it begins
-- later or is the same in another zone. So a clock that steps back, and a zone that was
-- changed, neither stop a customer nor lose sight of what it spent; the next window puts it
-- right.
--
-- `opened`: the account's, `ids`: those given, which become those that count; both as
-- split_ids gives them. Needs ids.
local KIND_AT = {day = 1, week = 2, month = 3, year = 4, custom = 5}

local function current_ids(opened, ids)
    for i = 1, CUSTOM do
        if ids[i] ~= '0' and tonumber(ids[i]) < open_until(opened, i) then
            stay(opened, ids, i)
        end
    end
    return ids
end
