-- windows: what an account counts, in total and per calendar window. Read once, added in
-- limbs, written once. Needs limbs and ids.
--
-- An account has, for each kind of window, the id of its current one (the window's start,
-- Unix seconds), and what was charged and what it cost in it: `month`, `month.charge`,
-- `month.cost`. Ids only move forward: an amount for a later window opens it, one for an
-- earlier window is left to the totals. Nothing ever resets a window to zero.
--
-- A custom window lies where its anchor says, and an anchor can be moved. So it also has its
-- end, `custom.until`: a window that begins before the open one has ended is the open one
-- still. Whoever moves the anchor with every call renews nothing.
local SPENT, COST, HELD_SUM, UNTIL, FIRST_WINDOW = 1, 2, 3, 4, 5
local FIELDS = {'spent', 'cost', 'held', 'custom.until',
    'day', 'day.charge', 'day.cost', 'week', 'week.charge', 'week.cost',
    'month', 'month.charge', 'month.cost', 'year', 'year.charge', 'year.cost',
    'custom', 'custom.charge', 'custom.cost'}

local function read_account(account)
    return redis.call('HMGET', account, unpack(FIELDS))
end

-- What of a row `current_ids` takes.
local function opened_ids(row)
    local opened = {}
    for i = 1, CUSTOM do
        opened[i] = row[FIRST_WINDOW + 3 * (i - 1)]
    end
    return opened
end

-- What was counted in the window of this id; nothing if it is not the open one.
local function spent_in_window(row, kind_at, id, count)
    local at = FIRST_WINDOW + 3 * (kind_at - 1)
    if row[at] ~= id then
        return '0'
    end
    return row[count == 'cost' and at + 2 or at + 1]
end

-- The fields to write, with their values, so that `charge` and `cost` are counted: in the
-- totals, and in the windows whose ids are given ('0': not this kind).
local function counted(row, ids, charge, cost)
    local changed = {'spent', plus(row[SPENT] or '0', charge), 'cost', plus(row[COST] or '0', cost)}
    local n, at = 4, FIRST_WINDOW
    for i = 1, CUSTOM do
        local id, current = ids[i], row[at] or '0'
        if id ~= '0' and current ~= id then
            local now, this = tonumber(current), tonumber(id)
            if now > this then
                id = '0'
            elseif i == CUSTOM and now > 0 and this < tonumber(row[UNTIL] or '0') then
                id = current
            end
        end
        if id ~= '0' then
            local opens = id ~= current
            changed[n + 1], changed[n + 3] = FIELDS[at + 1], FIELDS[at + 2]
            changed[n + 2] = opens and charge or plus(row[at + 1], charge)
            changed[n + 4] = opens and cost or plus(row[at + 2], cost)
            n = n + 4
            if opens then
                changed[n + 1], changed[n + 2] = FIELDS[at], id
                n = n + 2
                if i == CUSTOM then
                    changed[n + 1], changed[n + 2] = 'custom.until', ids[CUSTOM_END]
                    n = n + 2
                end
            end
        end
        at = at + 3
    end
    return changed
end

-- Add to `changed` what went beyond a hold or a limit, by its cause.
local function count_over(account, changed, cause, beyond)
    local before = redis.call('HGET', account, cause) or '0'
    changed[#changed + 1] = cause
    changed[#changed + 1] = plus(before, beyond)
end

-- Add to `changed` that so much is no longer held.
local function count_freed(row, changed, amount)
    changed[#changed + 1] = 'held'
    changed[#changed + 1] = minus(row[HELD_SUM] or '0', amount)
end
