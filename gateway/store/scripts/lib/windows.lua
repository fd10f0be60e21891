-- windows: what an account counts, in total and per calendar window. Read once, added in
-- limbs, written once. Needs limbs, ids and account.
--
-- Totals are `spent`, `cost` and `held`. `windows` has the id of the current window of each
-- kind (its start, Unix seconds; 0: none was opened yet), and for each that is open the account
-- has how much of the totals lies outside it: `month.past.charge`, `month.past.cost`. The
-- window has the rest, so an amount is added once, in however many windows it counts. Ids
-- only move forward: an amount for a later window opens it, one for an earlier window is
-- past. One that begins soon after the open one is the same in another zone (ids). Nothing
-- ever resets a window to zero.
--
-- A custom window lies where its anchor says, and an anchor can be moved. So it also has its
-- end: a window that begins before the open one has ended is the open one still. Whoever
-- moves the anchor with every call renews nothing.

-- What was counted in the window of this id; nothing if it is not the open one.
local function spent_in_window(account, row, opened, kind_at, id, count)
    if opened[kind_at] ~= id or id == '0' then
        return '0'
    end
    local past = redis.call('HGET', account, KINDS[kind_at] .. '.past.' .. count)
    return minus(row[count == 'cost' and COST or SPENT] or '0', past or '0')
end

-- Add to `changed` what becomes of a window when an amount is not for the one that is open,
-- and to `opened` which one is open then. Returns whether the amount counts in that.
local function place(account, row, changed, kind_at, opened, ids, charge, cost)
    local kind, id, current = KINDS[kind_at], ids[kind_at], opened[kind_at]
    local is_later = id ~= '0' and tonumber(id) > tonumber(current)
    if is_later and tonumber(id) < open_until(opened, kind_at) then
        return true
    end
    local past = {row[SPENT], row[COST]}
    if is_later then
        opened[kind_at] = id
        if kind_at == CUSTOM then
            opened[CUSTOM_END] = ids[CUSTOM_END]
        end
        charge, cost = '0', '0'
    else
        past = redis.call('HMGET', account, kind .. '.past.charge', kind .. '.past.cost')
    end
    local n = #changed
    changed[n + 1], changed[n + 2] = kind .. '.past.charge', plus(past[1] or '0', charge)
    changed[n + 3], changed[n + 4] = kind .. '.past.cost', plus(past[2] or '0', cost)
    return is_later
end

-- The fields to write, with their values, so that `charge` and `cost` are counted: in the
-- totals, and in the windows whose ids are given ('0': not this kind). And the ids of those
-- open windows in which they count by that, for the event: what was spent in a window is the
-- sum of the events that name it.
local function counted(account, row, window_ids, charge, cost)
    local changed = {'spent', plus(row[SPENT] or '0', charge), 'cost', plus(row[COST] or '0', cost)}
    if window_ids == row[WINDOWS] then
        return changed, window_ids
    end
    local opened, ids = split_ids(row[WINDOWS] or NO_WINDOWS), split_ids(window_ids)
    local counts_in = split_ids(NO_WINDOWS)
    changed[5], changed[6] = 'windows', ''
    for i = 1, CUSTOM do
        if ids[i] == opened[i] or place(account, row, changed, i, opened, ids, charge, cost) then
            stay(opened, counts_in, i)
        end
    end
    changed[6] = table.concat(opened, ' ')
    return changed, table.concat(counts_in, ' ')
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
