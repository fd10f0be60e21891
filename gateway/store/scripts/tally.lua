#!lua flags=allow-oom
-- tally.lua: add what a worker has counted for the metrics, and set its gauges.
--
-- KEYS[1] {fb}tallies  hash  <metric>|<label> -> count; worker:<id> -> its gauges
-- ARGV[1] the worker's field  ARGV[2] its gauges, JSON
-- ARGV[3..] counter's field, count ...
--
-- Returns the number of counters that were added to.
-- Runs when memory is full: that is when somebody looks, and the fields have an end. O(n).

local tallies, worker, gauges = KEYS[1], ARGV[1], ARGV[2]
local FIRST_COUNTER = 3

redis.call('HSET', tallies, worker, gauges)
local added = 0
for i = FIRST_COUNTER, #ARGV, 2 do
    redis.call('HINCRBY', tallies, ARGV[i], ARGV[i + 1])
    added = added + 1
end
return added
