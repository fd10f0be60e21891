#!lua
-- refuse.lua: post the row of a call that was not admitted. It moves no money.
--
-- KEYS[1] {p}ev        stream  usage events
-- KEYS[2] {p}d:<hour>  set     request ids that have ended
-- ARGV[1] request id  ARGV[2] customer number, 0 for one that is not stored
-- ARGV[3] details of the event, JSON
--
-- Returns 1 REFUSED, or 2 DUPLICATE: this request id has ended already, nothing changed.
-- O(1).

local REFUSED, DUPLICATE = 1, 2
local stream, ended = KEYS[1], KEYS[2]
local request_id, number, details = ARGV[1], ARGV[2], ARGV[3]

--@include finish

if redis.call('SISMEMBER', ended, request_id) == 1 then
    return DUPLICATE
end
remember_end(ended, request_id)
post(stream, 'refuse', request_id, number, '0', '0', details)
return REFUSED
