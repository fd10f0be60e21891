-- opened: the windows that count now: those given, or a later one where the account has
-- opened it already. So a clock that steps back, and a zone that was changed, neither stop
-- a customer nor lose sight of what it spent; the next window puts it right.
--
-- `ids` as split_ids gives them; `opened` and `opened_end`: what the account has, the one as
-- `opened_ids` of a row. Needs windows.
local function opened_ids(row)
    local opened = {}
    for i = 1, KINDS do
        opened[i] = row[FIRST_WINDOW + 3 * (i - 1)]
    end
    return opened
end

local function current_ids(opened, ids, opened_end)
    for i = 1, KINDS do
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
