#!lua flags=allow-oom
-- release.lua: end a call that costs nothing: nothing was sent upstream, or the upstream
-- refused it without usage.
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- KEYS[6] {p}o:<hour>    hash    request id -> charge posted when its hold expired
-- ARGV[1] request id           ARGV[2] customer number
-- ARGV[3] window ids of the hold   ARGV[4] details of the event, JSON
--
-- Returns one of
--   1 RELEASED   the hold is gone, the event is posted.
--   2 DUPLICATE  this request id has ended already. Nothing changed.
--   3 ADJUSTED   its hold had expired and was posted as unresolved: all of it is taken back.
-- Runs when memory is full. O(log n).

local RELEASED, DUPLICATE, ADJUSTED = 1, 2, 3
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, window_ids, details = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

--@include windows
--@include negated
--@include finish

if redis.call('SISMEMBER', ended, request_id) == 1 then
    local posted = redis.call('HGET', orphans, request_id)
    if not posted then
        return DUPLICATE
    end
    local back = negated(posted)
    redis.call('HDEL', orphans, request_id)
    book(account, split_ids(window_ids), back, back)
    post(stream, 'adjust', request_id, number, back, back, details)
    return ADJUSTED
end
local hold = read_hold(holds, request_id)
take_off(account, holds, expiries, ended, request_id, hold and hold.amount)
post(stream, 'release', request_id, number, '0', '0', details)
return RELEASED
