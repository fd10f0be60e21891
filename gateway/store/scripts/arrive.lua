#!lua
-- arrive.lua: let a customer whom nobody knows yet have one of an app's places of today.
--
-- KEYS[1] {fb}new:<app>:<day>  set  digests of the identifiers that have one
-- ARGV[1] digest  ARGV[2] how many places there are  ARGV[3] lifetime of the key, s
--
-- Returns 1 ADMITTED: it has one, from now on or since before.
--         0 FULL: nothing changed.
-- O(1).

local ADMITTED, FULL = 1, 0
local arrived, digest, places, lifetime_s = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if redis.call('SISMEMBER', arrived, digest) == 1 then
    return ADMITTED
end
if redis.call('SCARD', arrived) >= places then
    return FULL
end
redis.call('SADD', arrived, digest)
redis.call('EXPIRE', arrived, lifetime_s)
return ADMITTED
