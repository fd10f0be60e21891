#!lua flags=allow-oom
-- release.lua: end a call that costs nothing: nothing was sent upstream, or the upstream
-- refused it without usage, or another limit than the customer's refused it.
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- KEYS[6] {p}o:<hour>    hash    request id -> what was posted when its hold expired
-- ARGV[1] request id           ARGV[2] customer number
-- ARGV[3] window ids of the hold   ARGV[4] details of the event, JSON
-- ARGV[5] kind of the event: `release` or `refuse`
--
-- Returns one of
--   1 RELEASED   the hold is gone, the event is posted.
--   2 DUPLICATE  this request id has ended already. Nothing changed.
--   3 ADJUSTED   its hold had expired and was posted as unresolved: all of it is taken back.
--   4 TOO_OLD    no hold, and so old an id that its end may be forgotten. Nothing changed.
-- Runs when memory is full. O(log n).

local RELEASED, DUPLICATE, ADJUSTED, TOO_OLD = 1, 2, 3, 4
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, window_ids, details = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local kind = ARGV[5]

--@include limbs
--@include ids
--@include account
--@include windows
--@include finish
--@include ages
--@include orphans

local has_ended = redis.call('SISMEMBER', ended, request_id) == 1
local posted, posted_ids = find_orphan(orphans, has_ended, request_id)
if has_ended and not posted then
    return DUPLICATE
end
local record = not has_ended and redis.call('HGET', holds, request_id)
if not has_ended and not record and is_too_old(request_id) then
    return TOO_OLD
end

if posted then
    local back = negated(posted)
    local changed, windows = counted(account, read_account(account), posted_ids, back, back)
    redis.call('HDEL', orphans, request_id)
    redis.call('HSET', account, unpack(changed))
    post_adjust(stream, request_id, number, back, back, posted, details, windows)
    return ADJUSTED
end
if record then
    local held = redis.call('HGET', account, 'held') or '0'
    redis.call('HSET', account, 'held', minus(held, string.match(record, '^%d+|(%d+)')))
    take_off(holds, expiries, request_id)
end
remember_end(ended, request_id)
post(stream, kind, request_id, number, '0', '0', details)
return RELEASED
