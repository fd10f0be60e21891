#!lua flags=allow-oom
-- expire.lua: end a hold whose lease ran out: its gateway is gone. It is *posted*, not
-- released, since the provider may have been paid: with the amount that its record names for
-- this case. It counts as unresolved until the truth arrives (settle.lua, ADJUSTED).
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry, Unix ms
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- KEYS[6] {p}o:<hour>    hash    request id -> what is posted here
-- ARGV[1] request id  ARGV[2] customer number, as the caller read it from the record
--
-- Returns 1 EXPIRED, 2 NOT_DUE (renewed meanwhile), 3 GONE (ended, or another customer's).
-- Runs when memory is full. O(log n).

local EXPIRED, NOT_DUE, GONE = 1, 2, 3
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number = ARGV[1], ARGV[2]

--@include limbs
--@include ids
--@include account
--@include windows
--@include records
--@include finish
--@include orphans

local hold = read_hold(holds, request_id)
if not hold or hold.number ~= number then
    return GONE
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(redis.call('ZSCORE', expiries, request_id)) > now_ms then
    return NOT_DUE
end
local row = read_account(account)
local changed, windows = counted(account, row, hold.ids, hold.orphan, hold.orphan)
count_freed(row, changed, hold.amount)
redis.call('HSET', account, unpack(changed))
take_off(holds, expiries, request_id)
remember_end(ended, request_id)
remember_orphan(orphans, request_id, hold.orphan, hold.ids)
post(stream, 'orphan', request_id, number, hold.orphan, hold.orphan, hold.details, windows)
return EXPIRED
