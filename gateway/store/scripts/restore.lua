#!lua flags=allow-oom
-- restore.lua: put back the hold of a call that runs, in a store that lost it. That money
-- is committed, so no limit, no rate and no version of a profile is asked.
--
-- KEYS[1] {p}a:<number>  hash  spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash  request id -> hold record
-- KEYS[3] {p}hx          zset  request id -> lease expiry, Unix ms
-- KEYS[4] {p}d:<hour>    set   request ids that have ended
-- ARGV[1] request id       ARGV[2] customer number
-- ARGV[3] amount, ARGV[4] orphan, pico-USD: what is held, what to post should it never end
-- ARGV[5] lease, ms        ARGV[6] window ids of the hold
-- ARGV[7] details of the event to post should the call never end, JSON
--
-- Returns one of
--   1 HELD       it is held: put back, or there all along.
--   2 DUPLICATE  this request id has ended already. Nothing changed.
--   4 TOO_OLD    it may have ended: nobody remembers that far back. Nothing changed.
-- Runs when memory is full. O(log n).

local HELD, DUPLICATE, TOO_OLD = 1, 2, 4
local account, holds, expiries, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local request_id, number, amount, orphan = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, window_ids, details = tonumber(ARGV[5]), ARGV[6], ARGV[7]

--@include limbs
--@include records
--@include finish
--@include ages

if redis.call('SISMEMBER', ended, request_id) == 1 then
    return DUPLICATE
end
if redis.call('HEXISTS', holds, request_id) == 1 then
    return HELD
end
if is_too_old(request_id) then
    return TOO_OLD
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', account, 'held') or '0'
redis.call('HSET', account, 'held', plus(held, amount))
redis.call('HSET', holds, request_id, record_of(number, amount, orphan, window_ids, details))
redis.call('ZADD', expiries, now_ms + lease_ms, request_id)
return HELD
