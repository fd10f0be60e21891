#!lua flags=allow-oom
-- renew.lua: move the leases of calls that are still alive, and raise what is posted of
-- them should they never end.
--
-- KEYS[1] {p}hx  zset  request id -> lease expiry, Unix ms
-- KEYS[2] {p}h   hash  request id -> hold record
-- ARGV[1] lease, ms
-- ARGV[2..] request id, orphan amount in pico-USD or '' ...
--
-- Returns the number of holds that are still there. A hold that has ended is not revived,
-- an orphan amount never falls. O(n log m) in the ids given.

local expiries, holds, lease_ms = KEYS[1], KEYS[2], tonumber(ARGV[1])
local FIRST_ID = 2

--@include limbs
--@include records

local time = redis.call('TIME')
local expiry_ms = time[1] * 1000 + math.floor(time[2] / 1000) + lease_ms
local alive = 0
for i = FIRST_ID, #ARGV, 2 do
    local request_id, orphan = ARGV[i], ARGV[i + 1]
    if redis.call('ZSCORE', expiries, request_id) then
        redis.call('ZADD', expiries, 'XX', expiry_ms, request_id)
        alive = alive + 1
        local hold = orphan ~= '' and read_hold(holds, request_id)
        if hold and less(hold.orphan, orphan) then
            redis.call('HSET', holds, request_id,
                record_of(hold.number, hold.amount, orphan, hold.ids, hold.details))
        end
    end
end
return alive
