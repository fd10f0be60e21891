#!lua flags=allow-oom
-- release.lua: end a call that costs nothing: nothing was sent upstream, or the upstream
-- refused it without usage.
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- ARGV[1] request id  ARGV[2] customer number  ARGV[3] details of the event, JSON
--
-- Returns 1 RELEASED, or 2 DUPLICATE: this request id has ended already, nothing changed.
-- Runs when memory is full. O(log n).

local RELEASED, DUPLICATE = 1, 2
local account, holds, expiries, stream, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local request_id, number, details = ARGV[1], ARGV[2], ARGV[3]

--@include finish

if redis.call('SISMEMBER', ended, request_id) == 1 then
    return DUPLICATE
end
local hold = read_hold(holds, request_id)
take_off(account, holds, expiries, ended, request_id, hold and hold.amount)
post(stream, 'release', request_id, number, '0', '0', details)
return RELEASED
