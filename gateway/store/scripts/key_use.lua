#!lua
-- key_use.lua: let one more call of a temporary key pass, if the key still has any; or take
-- back that one did.
--
-- KEYS[1] {p}t:<key>  hash  the key: digest, until, uses_max, rate, revoked, uses, tat, ...
-- ARGV[1] digest of the secret that was shown
-- ARGV[2] 1: a call wants to pass; -1: one that had passed was refused elsewhere
--
-- Returns {outcome, n}:
--   1 PASSED        counted; n: how many have passed
--   2 UNKNOWN       no such key, or another secret
--   3 REVOKED       4 ENDED  its time is over     5 USED_UP  n: how many have passed
--   6 RATE_LIMITED  n: ms until the next call would pass
-- Nothing is written but on 1. O(1).

local PASSED, UNKNOWN, REVOKED, ENDED, USED_UP, RATE_LIMITED = 1, 2, 3, 4, 5, 6
local key, digest, step = KEYS[1], ARGV[1], tonumber(ARGV[2])
local MINUTE_US = 60000000

local row = redis.call('HMGET', key, 'digest', 'revoked', 'until', 'uses_max', 'uses', 'rate', 'tat')
local known, revoked, ends, uses_max, uses, rate, tat = unpack(row)
if not known or known ~= digest then
    return {UNKNOWN, 0}
end
if step < 0 then
    redis.call('HINCRBY', key, 'uses', step)
    return {PASSED, tonumber(uses or '0') + step}
end
if revoked == '1' then
    return {REVOKED, 0}
end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
if ends and now_us >= tonumber(ends) * 1000 then
    return {ENDED, 0}
end
local passed = tonumber(uses or '0')
if uses_max and passed >= tonumber(uses_max) then
    return {USED_UP, passed}
end
if rate then
    -- GCRA, as in hold.lua: one call each `interval`, a burst of a whole minute's worth.
    local next_tat = math.max(tonumber(tat or '0'), now_us) + MINUTE_US / tonumber(rate)
    if next_tat - now_us > MINUTE_US then
        return {RATE_LIMITED, math.ceil((next_tat - now_us - MINUTE_US) / 1000)}
    end
    redis.call('HSET', key, 'tat', string.format('%.0f', next_tat))
end
redis.call('HSET', key, 'last_ms', string.format('%d', math.floor(now_us / 1000)))
redis.call('HINCRBY', key, 'uses', step)
return {PASSED, passed + step}
