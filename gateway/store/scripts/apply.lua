#!lua flags=allow-oom
-- apply.lua: write a batch of counters and move the cursor past it, if the cursor still
-- stands where the batch began.
--
-- KEYS[1]  {p}cur   hash    cursor -> id of the last stream entry it has passed
-- KEYS[2]  {p}ev    stream  usage events
-- KEYS[3]  {p}r     zset    customers whose row in the roster is out of date
-- KEYS[4..]         hash    what the batch touches: {p}c:<number>, {p}cd:<number>:<yyyymm>
-- ARGV[1] cursor ("flush", "archive")  ARGV[2] where it must stand, '' for nowhere yet
-- ARGV[3] where it goes, an entry      ARGV[4] n, then the n customers whose counters change
-- and then for each of KEYS[4..], in their order: n, then n times field, value
--
-- Returns 1 APPLIED, or 0 MOVED: the cursor stands elsewhere, or that entry is not there: the
-- store has lost its tail since the batch was read, cursor and all. Nothing changed.
-- Raises WRONGTYPE before anything is written when a key is no hash.
--
-- Values are absolute: the caller read the old ones after it read the cursor, and only this
-- script writes them, so they hold for as long as the cursor has not moved. That is what
-- makes a repeated, late or concurrent batch harmless, and lets totals outgrow int64.
-- Runs when memory is full: what is counted can be trimmed. O(fields); a key takes at most
-- a few hundred, since Lua's unpack ends at 8,000 values.

local APPLIED, MOVED = 1, 0
local cursors, stream, cursor, expected, new = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local changed, customers = KEYS[3], tonumber(ARGV[4])
local FIRST_KEY, FIRST_CUSTOMER = 4, 5

--@include mark

if (redis.call('HGET', cursors, cursor) or '') ~= expected
    or #redis.call('XRANGE', stream, new, new) == 0 then
    return MOVED
end
for i = FIRST_KEY, #KEYS do
    local held = redis.call('TYPE', KEYS[i]).ok
    if held ~= 'hash' and held ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. held .. ', not a hash')
    end
end

local at = FIRST_CUSTOMER + customers
for i = FIRST_KEY, #KEYS do
    local last = at + 2 * tonumber(ARGV[at])
    redis.call('HSET', KEYS[i], unpack(ARGV, at + 1, last))
    at = last + 1
end
mark(changed, {unpack(ARGV, FIRST_CUSTOMER, FIRST_CUSTOMER + customers - 1)})
redis.call('HSET', cursors, cursor, new)
return APPLIED
