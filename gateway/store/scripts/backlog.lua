#!lua flags=no-writes
-- backlog.lua: what waits in a partition, for whoever watches.
--
-- KEYS[1] {p}cur  hash    cursor -> id of the last stream entry it has passed
-- KEYS[2] {p}ev   stream  usage events
-- KEYS[3] {p}h    hash    request id -> hold record
-- ARGV[1] how many waiting entries are counted at most  ARGV[2..] cursors
--
-- Returns {now, entries, holds, then for each cursor: waiting, id of the oldest of them}
--   now      server time, Unix ms
--   entries  in the stream; holds: open now
--   waiting  behind the cursor, counted up to ARGV[1]; the id is '' where there is none
-- O(n) in the entries that are counted.

local cursors, stream, holds = KEYS[1], KEYS[2], KEYS[3]
local most = ARGV[1]
local FIRST_CURSOR = 2

local time = redis.call('TIME')
local found = {time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000)),
    redis.call('XLEN', stream), redis.call('HLEN', holds)}
for i = FIRST_CURSOR, #ARGV do
    local passed = redis.call('HGET', cursors, ARGV[i])
    local from = passed and '(' .. passed or '-'
    local waiting = redis.call('XRANGE', stream, from, '+', 'COUNT', most)
    found[#found + 1] = #waiting
    found[#found + 1] = waiting[1] and waiting[1][1] or ''
end
return found
