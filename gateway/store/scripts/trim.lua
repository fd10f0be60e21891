#!lua flags=allow-oom
-- trim.lua: drop the oldest entries of a stream, and write what they came to, if trimming
-- still stands where the caller began.
--
-- KEYS[1] {p}cur  hash    cursor -> id of the last stream entry it has passed
-- KEYS[2] {p}ev   stream  usage events
-- KEYS[3] {p}ck   hash    customer number -> "<charge> <cost>" of all that was trimmed
-- ARGV[1] where `trim` must stand, '' for nowhere yet
-- ARGV[2] id of the last entry to drop   ARGV[3] the id after it
-- ARGV[4] how long entries stay, ms      ARGV[5..] field, value ... of KEYS[3]
--
-- Returns one of
--   1 TRIMMED  the entries are gone, the checkpoints written, `trim` moved: one step, so that
--              what is in the stream and what is in the checkpoints never overlap.
--   0 MOVED    `trim` stands elsewhere, or the last entry is not there any more: the caller
--              has folded what this store does not have. Nothing changed.
--   2 NEEDED   it is too young by this server's clock, or `flush` or `archive` has not passed
--              it. Nothing changed. (Sinks that keep their place elsewhere: the caller.)
-- Raises WRONGTYPE before anything is written when a key is damaged.
--
-- Values are absolute, as in apply.lua, and for the same reason. Runs when memory is full:
-- that is what it is for. O(entries); at most a few thousand fields (Lua's unpack).

local TRIMMED, MOVED, NEEDED = 1, 0, 2
local cursors, stream, checkpoints = KEYS[1], KEYS[2], KEYS[3]
local expected, last, next_id, hot_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local FIRST_FIELD = 5

-- Whether decimal a is less than b, of any length.
local function is_less(a, b)
    return #a < #b or (#a == #b and a < b)
end

local function has_passed(cursor, id)
    local cursor_ms, cursor_seq = string.match(cursor or '', '^(%d+)-(%d+)$')
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    if not cursor_ms or is_less(cursor_ms, ms) then
        return false
    end
    return cursor_ms ~= ms or not is_less(cursor_seq, seq)
end

local places = redis.call('HMGET', cursors, 'trim', 'flush', 'archive')
if (places[1] or '') ~= expected or #redis.call('XRANGE', stream, last, last) == 0 then
    return MOVED
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if tonumber(string.match(last, '^%d+')) > now_ms - hot_ms
    or not has_passed(places[2], last) or not has_passed(places[3], last) then
    return NEEDED
end
if #ARGV >= FIRST_FIELD then
    redis.call('HSET', checkpoints, unpack(ARGV, FIRST_FIELD))
end
redis.call('XTRIM', stream, 'MINID', '=', next_id)
redis.call('HSET', cursors, 'trim', last)
return TRIMMED
