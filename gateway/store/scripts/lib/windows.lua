-- windows: what an account counts, in total and per calendar window. Read once, added in
-- limbs, written once. Needs limbs and ids.
--
-- Totals are `spent`, `cost` and `held`. For each kind of window an account has the id of its
-- current one (the window's start, Unix seconds) and how much of the totals lies outside it:
-- `month`, `month.past.charge`, `month.past.cost`. The window has the rest, so an amount is
-- added once, in however many windows it counts. Ids only move forward: an amount for a later
-- window opens it, one for an earlier window is past. Nothing ever resets a window to zero.
--
-- A custom window lies where its anchor says, and an anchor can be moved. So it also has its
-- end, `custom.until`: a window that begins before the open one has ended is the open one
-- still. Whoever moves the anchor with every call renews nothing.
local SPENT, COST, HELD_SUM, UNTIL, BEFORE_WINDOWS = 1, 2, 3, 4, 4
local FIELDS = {'spent', 'cost', 'held', 'custom.until', 'day', 'week', 'month', 'year', 'custom'}

local function read_account(account)
    return redis.call('HMGET', account, unpack(FIELDS))
end

-- What of a row `current_ids` takes.
local function opened_ids(row)
    return {unpack(row, BEFORE_WINDOWS + 1, BEFORE_WINDOWS + CUSTOM)}
end

-- What was counted in the window of this id; nothing if it is not the open one.
local function spent_in_window(account, row, kind_at, id, count)
    if row[BEFORE_WINDOWS + kind_at] ~= id then
        return '0'
    end
    local past = redis.call('HGET', account, FIELDS[BEFORE_WINDOWS + kind_at] .. '.past.' .. count)
    return minus(row[count == 'cost' and COST or SPENT] or '0', past or '0')
end

-- Add to `changed` what becomes of a window when an amount is not for the one that is open.
local function place(account, row, changed, kind_at, ids, charge, cost)
    local kind, id, current = FIELDS[BEFORE_WINDOWS + kind_at], ids[kind_at], row[BEFORE_WINDOWS + kind_at]
    local is_later = id ~= '0' and (not current or tonumber(id) > tonumber(current))
    if is_later and kind_at == CUSTOM and current and tonumber(id) < tonumber(row[UNTIL] or '0') then
        return
    end
    local past = {row[SPENT], row[COST]}
    if is_later then
        local n = #changed
        changed[n + 1], changed[n + 2] = kind, id
        if kind_at == CUSTOM then
            changed[n + 3], changed[n + 4] = 'custom.until', ids[CUSTOM_END]
        end
        charge, cost = '0', '0'
    else
        past = redis.call('HMGET', account, kind .. '.past.charge', kind .. '.past.cost')
    end
    local n = #changed
    changed[n + 1], changed[n + 2] = kind .. '.past.charge', plus(past[1] or '0', charge)
    changed[n + 3], changed[n + 4] = kind .. '.past.cost', plus(past[2] or '0', cost)
end

-- The fields to write, with their values, so that `charge` and `cost` are counted: in the
-- totals, and in the windows whose ids are given ('0': not this kind).
local function counted(account, row, ids, charge, cost)
    local changed = {'spent', plus(row[SPENT] or '0', charge), 'cost', plus(row[COST] or '0', cost)}
    for i = 1, CUSTOM do
        local current = row[BEFORE_WINDOWS + i]
        if ids[i] ~= current and (current or ids[i] ~= '0') then
            place(account, row, changed, i, ids, charge, cost)
        end
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
