#!lua
-- hold.lua: reserve what a call can cost, before it is forwarded: all that is wanted, or
-- as much as fits.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile, version
-- KEYS[3] {p}a:<number>    hash    spent, held, windows; pico-USD
-- KEYS[4] {p}h             hash    request id -> hold record
-- KEYS[5] {p}hx            zset    request id -> lease expiry, Unix ms
-- KEYS[6] {p}d:<hour>      set     request ids that have ended
-- KEYS[7] {p}x:<hash>      hash    what was left of one of that name who was deleted
-- KEYS[8] {p}r             zset    customers whose row in the roster is out of date; both
--                                  where the call says something of its customer
-- ARGV[1] request id       ARGV[2] customer number (a fresh one when believed new)
-- ARGV[3] profile version the caller decided with; 0 and the mark of KEYS[7]: believed new
-- ARGV[4] wanted, ARGV[5] least, pico-USD: the call's bound, and the least that serves it
-- ARGV[6] share: 1, or n: of what remains the n-th part at most, unless `least` is more
-- ARGV[7] orphan, pico-USD: what to post should the call never end, '' for what is held
-- ARGV[8] lease, ms
-- ARGV[9] from, ARGV[10] until: server ms between which the window ids below hold
-- ARGV[11] ids of day, week, month, year, custom windows, then the custom one's end, by
--          spaces; 0: none
-- ARGV[12] the period limit's window kind, '' for none; ARGV[13] that limit, pico-USD
-- ARGV[14] total limit, pico-USD, '' for none
-- ARGV[15] 1: limits bind; 0: they are only reported (policy `soft`)
-- ARGV[16] `charge` or `cost`: which of the two the limits are about
-- ARGV[17] calls per minute, 0 for any number
-- ARGV[18] details of the event to post should the call never end, JSON
-- and, where the call says something of its customer:
-- ARGV[19] the period limit's window kind before, ARGV[20] that limit, ARGV[21] the total
--          limit before
-- ARGV[22..] profile fields to upsert: field, value ...
--
-- Returns {outcome, granted, spent in period, spent in total, held, n, ids}; the sums are
-- those before the call, of charge or cost as asked.
--   1 HELD          `granted` is held, in the windows `ids`: those given, or later ones that
--                   the account has opened. Repeating a request id changes nothing.
--   2 EXCEEDED      a limit has no room for `least`. The upsert is done, nothing is held.
--   3 IN_FLIGHT     as 2, but there is room once the calls in flight settle for nothing.
--   4 RATE_LIMITED  n: ms until the next call would pass. The upsert is done.
--   5 POLICY        the customer is another version, or none: load it and try again.
--   6 STALE         server time is outside [from, until); n: server time, Unix ms.
--   7 DUPLICATE     this request id has ended already. Nothing changed.
-- Nothing is written on 5, 6 and 7.
--
-- Keeps, with settle.lua, release.lua, expire.lua and restore.lua:
--   held == sum of the amounts in h, and every hold has exactly one expiry.
-- With limits that bind: spent + held + granted <= limit at every admission.
-- O(log n) in the partition's open holds.

local HELD, EXCEEDED, IN_FLIGHT, RATE_LIMITED, POLICY, STALE, DUPLICATE = 1, 2, 3, 4, 5, 6, 7
local number_key, profile, account = KEYS[1], KEYS[2], KEYS[3]
local holds, expiries, ended = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, version = ARGV[1], ARGV[2], ARGV[3]
local wanted, least, share, orphan = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local lease_ms, valid_from, valid_until = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local window_ids, period_kind, period_limit = ARGV[11], ARGV[12], ARGV[13]
local total_limit, binding, count = ARGV[14], ARGV[15] == '1', ARGV[16]
local per_minute, details = tonumber(ARGV[17]), ARGV[18]
local UPSERT_FROM = 22
local MINUTE_US = 60000000
local SUM, HELD_NOW, WINDOWS, PAST = 1, 2, 3, 4
local WHOLE = 2^53    -- up to here Lua has whole numbers exactly
local CLEARLY = 1.000001    -- more than what any rounding comes to

--@include versions
--@include records

if redis.call('SISMEMBER', ended, request_id) == 1 then
    return {DUPLICATE, '0', '0', '0', '0', 0, ''}
end
-- One that is held already stays so: its own upsert has made the profile another version.
local record = redis.call('HGET', holds, request_id)
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)
if not record then
    if now_ms < valid_from or now_ms >= valid_until then
        return {STALE, '0', '0', '0', '0', now_ms, ''}
    end
    if not is_current(number_key, profile, number, version, KEYS[7]) then
        return {POLICY, '0', '0', '0', '0', 0, ''}
    end
end

local row = redis.call('HMGET', account, count == 'cost' and 'cost' or 'spent', 'held', 'windows',
    period_kind .. '.past.' .. count)
local spent, held, in_period = row[SUM] or '0', row[HELD_NOW] or '0', '0'
local held_ids, outcome, granted, wait_ms, tat = window_ids, HELD, wanted, 0, nil
if not record and per_minute > 0 then
    -- GCRA: one call each `interval`, a burst of a whole minute's worth.
    local before = tonumber(redis.call('HGET', account, 'tat') or '0')
    tat = math.max(before, now_us) + MINUTE_US / per_minute
    if tat - now_us > MINUTE_US then
        outcome, wait_ms = RATE_LIMITED, math.ceil((tat - now_us - MINUTE_US) / 1000)
    end
end

-- Nearly always the windows are those that are open, the amounts are whole numbers that Lua
-- has exactly, and what is wanted clearly fits. Then it is granted by plain sums: to make the
-- functions of the exact arithmetic takes longer than all that they would do.
local is_plain, held_after = false, nil
if not record and outcome == HELD and row[WINDOWS] == window_ids and #ARGV < UPSERT_FROM then
    local sum, past, taken = tonumber(spent), tonumber(row[PAST] or '0'), held + wanted
    local inside = period_kind == '' and 0 or sum - past
    local room_for = math.max(taken + wanted * (share - 1), held + least) * CLEARLY
    is_plain = past >= 0 and inside >= 0 and sum < WHOLE and taken < WHOLE
        and (not binding
            or (period_limit == '' or inside * CLEARLY + room_for <= tonumber(period_limit))
            and (total_limit == '' or sum * CLEARLY + room_for <= tonumber(total_limit)))
    if is_plain then
        in_period, held_after = string.format('%d', inside), string.format('%d', taken)
        if orphan == '' or wanted + 0 < tonumber(orphan) then
            orphan = wanted
        end
    end
end
if not is_plain then
    --@include limbs
    --@include shares
    --@include grants
    --@include ids
    --@include opened
    local period_is_open = period_kind ~= ''
    if row[WINDOWS] ~= window_ids then
        local opened = split_ids(row[WINDOWS] or NO_WINDOWS)
        local ids = current_ids(opened, split_ids(window_ids))
        local period_at = KIND_AT[period_kind]
        period_is_open = period_at and opened[period_at] == ids[period_at] and ids[period_at] ~= '0'
        held_ids = table.concat(ids, ' ')
    end
    if period_is_open then
        in_period = minus(spent, row[PAST] or '0')
    end
    if record then
        local amount, its_ids = string.match(record, '^%d+|(%d+)|%d+|([%d ]+)|')
        return {HELD, amount, in_period, spent, held, 0, its_ids}
    end
    if outcome == HELD and binding then
        local unspent = unspent_of(period_limit, in_period, total_limit, spent)
        outcome, granted = grant(unspent, held, wanted, least, share)
    end
    held_after = plus(held, granted)
    if orphan == '' or less(granted, orphan) then
        orphan = granted
    end
    if #ARGV >= UPSERT_FROM then
        --@include account
        --@include windows
        --@include beyond
        --@include lowered
        count_lowered(account, split_ids(window_ids), count, {ARGV[19], ARGV[20], ARGV[21]},
            {period_kind, period_limit, total_limit})
    end
end

if #ARGV >= UPSERT_FROM then
    --@include mark
    --@include upsert
    upsert(number_key, profile, number, UPSERT_FROM, KEYS[8])
end
if outcome == HELD then
    if tat then
        redis.call('HSET', account, 'held', held_after, 'tat', string.format('%.0f', tat))
    else
        redis.call('HSET', account, 'held', held_after)
    end
    redis.call('HSET', holds, request_id, record_of(number, granted, orphan, held_ids, details))
    redis.call('ZADD', expiries, now_ms + lease_ms, request_id)
end
return {outcome, granted, in_period, spent, held, wait_ms, held_ids}
