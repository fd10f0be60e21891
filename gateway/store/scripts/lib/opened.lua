-- opened: the windows that count now: those given, or a later one where the account has
-- opened it already. So a clock that steps back, and a zone that was changed, neither stop
-- a customer nor lose sight of what it spent; the next window puts it right.
--
-- `row`: what the account has as day, week, month, year, custom, custom.until. `given`: the
-- same by spaces, 0 for none. Returns what counts, likewise, and whether the account has
-- that window of `period_kind` open.
local CUSTOM, CUSTOM_END = 5, 6
local KIND_AT = {day = 1, week = 2, month = 3, year = 4, custom = 5}

local function current_ids(row, given, period_kind)
    local day, week, month, year, custom = row[1], row[2], row[3], row[4], row[CUSTOM] or '0'
    if day and week and month and year and given == day .. ' ' .. week .. ' ' .. month .. ' '
        .. year .. ' ' .. custom .. ' ' .. (row[CUSTOM_END] or '0') then
        return given, period_kind ~= ''
    end
    local ids = {string.match(given, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')}
    for i = 1, CUSTOM do
        if row[i] and ids[i] ~= '0' and tonumber(row[i]) > tonumber(ids[i]) then
            ids[i] = row[i]
        end
    end
    if row[CUSTOM] and ids[CUSTOM] ~= '0'
        and tonumber(ids[CUSTOM]) < tonumber(row[CUSTOM_END] or '0') then
        ids[CUSTOM], ids[CUSTOM_END] = row[CUSTOM], row[CUSTOM_END]
    end
    local at = KIND_AT[period_kind]
    return table.concat(ids, ' '), at ~= nil and row[at] == ids[at]
end
