#!lua
-- hold.lua: reserve an upper bound of what a call can cost, before it is forwarded.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile, version
-- KEYS[3] {p}a:<number>    hash    spent, held, windows; pico-USD
-- KEYS[4] {p}h             hash    request id -> hold record
-- KEYS[5] {p}hx            zset    request id -> lease expiry, Unix ms
-- KEYS[6] {p}d:<hour>      set     request ids that have ended
-- ARGV[1] request id       ARGV[2] customer number (a fresh one when believed new)
-- ARGV[3] profile version the caller decided with; 0: believed new
-- ARGV[4] amount, pico-USD ARGV[5] lease, ms
-- ARGV[6] from, ARGV[7] until: server ms between which the window ids below hold
-- ARGV[8] ids of day, week, month, year, custom windows, then the custom one's end, by
--         spaces; 0: none
-- ARGV[9] the period limit's window kind, '' for none; ARGV[10] that limit, pico-USD
-- ARGV[11] total limit, pico-USD, '' for none
-- ARGV[12] 1: limits bind; 0: they are only reported (policy `soft`)
-- ARGV[13] calls per minute, 0 for any number
-- ARGV[14] details of the event to post should the call never end, JSON
-- ARGV[15..] profile fields to upsert: field, value ...
--
-- Returns {outcome, spent in period, spent in total, held, n, ids}; amounts before the call.
--   1 HELD          the amount is held, in the windows `ids`: those given, or later ones that
--                   the account has opened. Repeating a request id changes nothing.
--   2 EXCEEDED      a limit has no room. The upsert is done, nothing is held.
--   3 IN_FLIGHT     as 2, but there is room once the calls in flight settle for nothing.
--   4 RATE_LIMITED  n: ms until the next call would pass. The upsert is done.
--   5 POLICY        the customer is another version, or none: load it and try again.
--   6 STALE         server time is outside [from, until); n: server time, Unix ms.
--   7 DUPLICATE     this request id has ended already. Nothing changed.
-- Nothing is written on 5, 6 and 7.
--
-- Keeps, with settle.lua, release.lua and expire.lua:
--   held == sum of the amounts in h, and every hold has exactly one expiry.
-- With limits that bind: spent + held + amount <= limit at every admission.
-- O(log n) in the partition's open holds.

local HELD, EXCEEDED, IN_FLIGHT, RATE_LIMITED, POLICY, STALE, DUPLICATE = 1, 2, 3, 4, 5, 6, 7
local number_key, profile, account = KEYS[1], KEYS[2], KEYS[3]
local holds, expiries, ended = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, version, amount = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, valid_from, valid_until = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local window_ids, period_kind, period_limit = ARGV[8], ARGV[9], ARGV[10]
local total_limit, binding, per_minute = ARGV[11], ARGV[12] == '1', tonumber(ARGV[13])
local details = ARGV[14]
local UPSERT_FROM = 15
local MINUTE_US = 60000000
local SPENT, HELD_SUM, TAT, CHARGE, UNTIL = 6, 7, 8, 9, 10

--@include limbs
--@include windows
--@include upsert

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

if redis.call('SISMEMBER', ended, request_id) == 1 then
    return {DUPLICATE, '0', '0', '0', 0, ''}
end
if now_ms < valid_from or now_ms >= valid_until then
    return {STALE, '0', '0', '0', now_ms, ''}
end
local known = redis.call('GET', number_key)
if version == '0' then
    if known then
        return {POLICY, '0', '0', '0', 0, ''}
    end
elseif known ~= number or redis.call('HGET', profile, 'version') ~= version then
    return {POLICY, '0', '0', '0', 0, ''}
end

-- One read: what KINDS names, then SPENT, HELD_SUM, TAT, CHARGE, UNTIL.
local row = redis.call('HMGET', account, 'day', 'week', 'month', 'year', 'custom',
    'spent', 'held', 'tat', period_kind .. '.charge', 'custom.until')
local ids = current_ids(row, split_ids(window_ids), row[UNTIL])
local in_period = '0'
for i, kind in ipairs(KINDS) do
    if kind == period_kind and row[i] == ids[i] then
        in_period = row[CHARGE]
    end
end
local spent, held = row[SPENT] or '0', row[HELD_SUM] or '0'
local record = redis.call('HGET', holds, request_id)
if record then
    return {HELD, in_period, spent, held, 0, string.match(record, '^%d+|%d+|([%d ]+)|')}
end

local outcome, wait_ms, tat = HELD, 0, nil
if per_minute > 0 then
    -- GCRA: one call each `interval`, a burst of a whole minute's worth.
    tat = math.max(tonumber(row[TAT] or '0'), now_us) + MINUTE_US / per_minute
    if tat - now_us > MINUTE_US then
        outcome, wait_ms = RATE_LIMITED, math.ceil((tat - now_us - MINUTE_US) / 1000)
    end
end
local function room(limit, taken)
    return limit == '' or not less(sub(limbs(limit), taken), limbs(amount))
end
-- A call that costs nothing passes an exhausted budget.
if outcome == HELD and binding and amount ~= '0' then
    local all_period = add(limbs(in_period), limbs(held))
    local all_total = add(limbs(spent), limbs(held))
    if not (room(period_limit, limbs(in_period)) and room(total_limit, limbs(spent))) then
        outcome = EXCEEDED
    elseif not (room(period_limit, all_period) and room(total_limit, all_total)) then
        outcome = IN_FLIGHT
    end
end

local held_ids = table.concat(ids, ' ')
upsert(number_key, profile, number, UPSERT_FROM)
if outcome == HELD then
    redis.call('HINCRBY', account, 'held', amount)
    if tat then
        redis.call('HSET', account, 'tat', string.format('%.0f', tat))
    end
    redis.call('HSET', holds, request_id,
        number .. '|' .. amount .. '|' .. held_ids .. '|' .. details)
    redis.call('ZADD', expiries, now_ms + lease_ms, request_id)
end
return {outcome, in_period, spent, held, wait_ms, held_ids}
