#!lua flags=allow-oom
-- tally.lua: add up what a worker has counted for the metrics, and set its gauges.
--
-- KEYS[1] {fb}tallies  hash  <counter>|<label> -> what all workers have counted, ever
--                            worker:<worker> -> its gauges, JSON
-- ARGV[1] worker:<worker>  ARGV[2] its gauges  ARGV[3..] counter, count, counter, count ...
--
-- Returns 0 TOLD. Runs when memory is full: that calls are refused then is what these say. The
-- hash is small, names of counters and labels being few. O(counters).

local TOLD = 0
local tallies, worker, gauges = KEYS[1], ARGV[1], ARGV[2]

redis.call('HSET', tallies, worker, gauges)
for i = 3, #ARGV, 2 do  -- after the worker and its gauges
    redis.call('HINCRBY', tallies, ARGV[i], ARGV[i + 1])
end
return TOLD
