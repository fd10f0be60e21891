#!lua
-- rebuild.lua: replace counters of one customer by what its events add up to, if nothing has
-- been counted since and nothing is about to be.
--
-- KEYS[1] {p}cur  hash    cursor -> id of the last stream entry it has passed
-- KEYS[2] {p}ev   stream  usage events
-- KEYS[3..]       hash    what is replaced: {p}c:<number>, {p}cd:<number>:<yyyymm>
-- ARGV[1] up to where the events were folded: where cursor `flush` must stand, '' for nowhere
-- ARGV[2..] for each of KEYS[3..], in their order: n, then n times field, value
--
-- Returns 1 REBUILT, 2 BEHIND (events wait to be counted), or 3 MOVED: the cursor stands
-- elsewhere. Nothing changed on 2 and 3.
--
-- Why nothing may wait: a flusher that has read such events has read the counters too, and
-- its `apply` would write those back over these. Who reads events that come later reads
-- these counters. So no batch in flight, however late, undoes what is written here.
-- O(fields).

local REBUILT, BEHIND, MOVED = 1, 2, 3
local cursors, stream, folded_to = KEYS[1], KEYS[2], ARGV[1]
local FIRST_KEY, FIRST_COUNT = 3, 2

if (redis.call('HGET', cursors, 'flush') or '') ~= folded_to then
    return MOVED
end
local from = folded_to == '' and '-' or '(' .. folded_to
if #redis.call('XRANGE', stream, from, '+', 'COUNT', 1) > 0 then
    return BEHIND
end

local at = FIRST_COUNT
for i = FIRST_KEY, #KEYS do
    local last = at + 2 * tonumber(ARGV[at])
    redis.call('DEL', KEYS[i])
    if last > at then
        redis.call('HSET', KEYS[i], unpack(ARGV, at + 1, last))
    end
    at = last + 1
end
return REBUILT
