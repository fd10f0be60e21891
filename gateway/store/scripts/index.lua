#!lua flags=allow-oom
-- index.lua: enter customers by when they were first seen; an earlier time wins.
--
-- KEYS[1] {fb}ix:first_seen  zset  identifier -> first seen, Unix ms
-- ARGV[1..] score, member, score, member ...
--
-- Returns the number of new ones. Runs when memory is full, unlike ZADD alone: the flusher
-- would stand still, and what it has not passed cannot be trimmed. O(n log n); at most a few
-- thousand (Lua's unpack).

return redis.call('ZADD', KEYS[1], 'LT', unpack(ARGV))
