#!lua flags=allow-oom
-- mark.lua: say of customers that their rows in the roster are to be written anew.
--
-- KEYS[1] {p}r  zset  customer number -> when its row went out of date, microseconds
-- ARGV[1..]     customer numbers
--
-- Returns the number of those given. Runs when memory is full, as the flusher does. O(n log m).

--@include mark

mark(KEYS[1], ARGV)
return #ARGV
