#!lua flags=allow-oom
-- lease.lua: take the lease of the background work, keep it, or give it up.
--
-- KEYS[1] {fb}lease:background  string  who has it
-- ARGV[1] who asks  ARGV[2] for how long, ms; 0: give it up
--
-- Returns 1 MINE, or 0 OTHERS: somebody else has it, nothing changed.
-- Runs when memory is full: the background work is what frees memory. O(1).

local MINE, OTHERS = 1, 0
local lease, who, lease_ms = KEYS[1], ARGV[1], tonumber(ARGV[2])

local holder = redis.call('GET', lease)
if holder and holder ~= who then
    return OTHERS
end
if lease_ms == 0 then
    redis.call('DEL', lease)
    return MINE
end
redis.call('SET', lease, who, 'PX', lease_ms)
return MINE
