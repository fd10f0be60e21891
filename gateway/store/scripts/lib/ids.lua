-- ids: the ids of an account's windows, as scripts are given them: those of day, week, month,
-- year and custom window, then the end of the custom one, by spaces; 0 for none.
local KINDS = {'day', 'week', 'month', 'year', 'custom'}
local CUSTOM, CUSTOM_END = 5, 6
local NO_WINDOWS = '0 0 0 0 0 0'

local function split_ids(text)
    return {string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')}
end
