#!lua flags=allow-oom
-- renew.lua: move the leases of calls that are still alive.
--
-- KEYS[1] {p}hx  zset  request id -> lease expiry, Unix ms
-- ARGV[1] lease, ms  ARGV[2..] request ids
--
-- Returns the number of holds that are still there. A hold that has ended is not revived.
-- O(n log m) in the ids given.

local expiries, lease_ms = KEYS[1], tonumber(ARGV[1])
local FIRST_ID = 2

local time = redis.call('TIME')
local expiry_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + lease_ms
local alive = 0
for i = FIRST_ID, #ARGV do
    if redis.call('ZSCORE', expiries, ARGV[i]) then
        redis.call('ZADD', expiries, 'XX', expiry_ms, ARGV[i])
        alive = alive + 1
    end
end
return alive
