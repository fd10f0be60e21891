-- ids: the ids of an account's calendar windows, as scripts are given them.
local CUSTOM, CUSTOM_END = 5, 6

-- The ids of day, week, month, year and custom window, then the end of the custom one.
local function split_ids(text)
    return {string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')}
end
