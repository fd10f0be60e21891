#!lua flags=allow-oom
-- delete.lua: forget who a customer is: its mapping and its profile. Its account, its counters
-- and its events stay, under a number that nothing names any more.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile
-- KEYS[3] {p}a:<number>    hash    account; pico-USD
-- KEYS[4] {p}r             zset    customers whose row in the roster is out of date
-- KEYS[5] {p}x:<hash>      hash    what is left of those of that name, by the name's hash
-- KEYS[6] {p}x             zset    customer number -> when it was deleted, Unix ms
-- ARGV[1] customer number  ARGV[2] profile version the caller decided with
-- ARGV[3] how long it is remembered that this number is gone, ms
--
-- Returns 1 DELETED, or 5 POLICY: the customer is another version, or none. Nothing changed.
--
-- What it has spent of a total budget stays, with what it holds, and without what it was
-- credited: whoever comes back under that name goes on from there. `mark` says how often
-- that has happened, so that nobody is made anew by a caller who has not heard of it.
-- O(log n).

local DELETED, POLICY = 1, 5
local number_key, profile, account = KEYS[1], KEYS[2], KEYS[3]
local changed, left, gone = KEYS[4], KEYS[5], KEYS[6]
local number, version, remembered_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

--@include limbs
--@include mark

if redis.call('HGET', profile, 'version') ~= version then
    return POLICY
end
local known = redis.call('HMGET', profile, 'carried_charge', 'carried_cost', 'credit')
local row = redis.call('HMGET', account, 'spent', 'cost', 'held')
local function rest(carried, spent)
    return minus(plus(plus(carried or '0', spent or '0'), row[3] or '0'), known[3] or '0')
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', left, 'charge', rest(known[1], row[1]), 'cost', rest(known[2], row[2]),
    'at_ms', string.format('%.0f', now_ms))
redis.call('HINCRBY', left, 'mark', 1)
redis.call('DEL', number_key, profile)
redis.call('ZADD', gone, now_ms, number)
redis.call('ZREMRANGEBYSCORE', gone, '-inf', string.format('(%.0f', now_ms - remembered_ms))
mark(changed, {number})
return DELETED
