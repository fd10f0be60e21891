#!lua flags=allow-oom
-- written.lua: say of customers that their rows in the roster are up to date, unless they
-- have changed since.
--
-- KEYS[1] {p}r  zset  customer number -> when its row went out of date, microseconds
-- ARGV[1..]     customer number, the stamp with which its row was written ...
--
-- Returns the number of those that are up to date now. O(n log m).

local changed, done = KEYS[1], 0
for i = 1, #ARGV, 2 do
    local stamp = redis.call('ZSCORE', changed, ARGV[i])
    if stamp and tonumber(stamp) <= tonumber(ARGV[i + 1]) then
        done = done + redis.call('ZREM', changed, ARGV[i])
    end
end
return done
