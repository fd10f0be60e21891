#!lua
-- rebuild.lua: replace counters by what the events add up to, so that no batch on its way
-- writes the old ones back.
--
-- KEYS[1] {p}cur  hash    cursor -> id of the last stream entry it has passed
-- KEYS[2] {p}ev   stream  usage events
-- KEYS[3] {p}r    zset    customers whose row in the roster is out of date
-- KEYS[4..]       hash    what is replaced: {p}c:<number>, {p}cd:<number>:<yyyymm>
-- ARGV[1] where cursor `flush` must stand, '' for nowhere yet
-- ARGV[2] up to where the events were folded: there, or further on
-- ARGV[3] n, then the n customers whose counters these are
-- and then for each of KEYS[4..], in their order: n, then n times field, value
--
-- Returns 1 REBUILT, 2 BEHIND (events wait, and ARGV[2] does not pass them), or 3 MOVED: the
-- cursor stands elsewhere. Nothing changed on 2 and 3.
--
-- A flusher that has read events after the cursor may have read the counters too, and its
-- `apply` would write those back over these, as long as the cursor stands. So the cursor
-- moves on past some of them, and then the keys must be those of every customer that these
-- events belong to; or nothing waits, and who reads what comes later reads these counters.
-- O(fields).

local REBUILT, BEHIND, MOVED = 1, 2, 3
local cursors, stream, expected, folded_to = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local changed, customers = KEYS[3], tonumber(ARGV[3])
local FIRST_KEY, FIRST_CUSTOMER = 4, 4

--@include mark

if (redis.call('HGET', cursors, 'flush') or '') ~= expected then
    return MOVED
end
if folded_to == expected then
    local from = expected == '' and '-' or '(' .. expected
    if #redis.call('XRANGE', stream, from, '+', 'COUNT', 1) > 0 then
        return BEHIND
    end
elseif #redis.call('XRANGE', stream, folded_to, folded_to) == 0 then
    return MOVED
end

local at = FIRST_CUSTOMER + customers
for i = FIRST_KEY, #KEYS do
    local last = at + 2 * tonumber(ARGV[at])
    redis.call('DEL', KEYS[i])
    if last > at then
        redis.call('HSET', KEYS[i], unpack(ARGV, at + 1, last))
    end
    at = last + 1
end
mark(changed, {unpack(ARGV, FIRST_CUSTOMER, FIRST_CUSTOMER + customers - 1)})
if folded_to ~= expected then
    redis.call('HSET', cursors, 'flush', folded_to)
end
return REBUILT
