#!lua
-- key_change.lua: change fields of a temporary key that is there, and when it is forgotten.
--
-- KEYS[1] {p}t:<key>  hash  the key
-- ARGV[1] when it is forgotten, Unix ms; '' for never
-- ARGV[2..] field, value ...; an empty value removes the field
--
-- Returns 1 CHANGED, or 2 UNKNOWN: there is no such key, nothing changed. O(fields).

local CHANGED, UNKNOWN = 1, 2
local key, forgotten = KEYS[1], ARGV[1]

if redis.call('EXISTS', key) == 0 then
    return UNKNOWN
end
for at = 2, #ARGV, 2 do
    if ARGV[at + 1] == '' then
        redis.call('HDEL', key, ARGV[at])
    else
        redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    end
end
if forgotten == '' then
    redis.call('PERSIST', key)
else
    redis.call('PEXPIREAT', key, forgotten)
end
return CHANGED
