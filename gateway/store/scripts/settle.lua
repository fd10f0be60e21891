#!lua flags=allow-oom
-- settle.lua: end a call with what it really cost. Balance and event, one atomic step.
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- KEYS[6] {p}o:<hour>    hash    request id -> what was posted when its hold expired
-- ARGV[1] request id     ARGV[2] customer number
-- ARGV[3] charge, pico-USD         ARGV[4] cost, pico-USD
-- ARGV[5] window ids, where no hold knows them   ARGV[6] details of the event, JSON
--
-- Returns one of
--   1 SETTLED    the charge is booked, the hold is gone, the event is posted.
--   2 DUPLICATE  this request id has ended already. Nothing changed.
--   3 ADJUSTED   its hold had expired and was posted as unresolved: the difference to the
--                truth is booked and posted as an `adjust`, in the same windows.
--   4 TOO_OLD    no hold, and so old an id that its end may be forgotten. Nothing changed.
--
-- A charge may exceed what was reserved for it: the provider has been paid, and refusing to
-- book it would be a lie. That part is counted as `over.settle`. A hold that the store lost
-- is settled all the same, in the caller's windows.
-- Runs when memory is full: what was held must always be able to end. O(log n).

local SETTLED, DUPLICATE, ADJUSTED, TOO_OLD = 1, 2, 3, 4
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, charge, cost = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local window_ids, details = ARGV[5], ARGV[6]

--@include limbs
--@include ids
--@include windows
--@include finish

local has_ended, has_bucket = find_end(ended, request_id)
local posted, posted_ids = find_orphan(orphans, has_ended, request_id)
if has_ended and not posted then
    return DUPLICATE
end
local record = not has_ended and redis.call('HGET', holds, request_id)
if not has_ended and not record and is_too_old(request_id) then
    return TOO_OLD
end

local row = read_account(account)
if posted then
    -- The orphan counted one amount as charge and as cost alike.
    local more_charge, more_cost = minus(charge, posted), minus(cost, posted)
    local changed = counted(account, row, split_ids(posted_ids), more_charge, more_cost)
    if less('0', more_charge) then
        count_over(account, changed, 'over.settle', more_charge)
    end
    redis.call('HDEL', orphans, request_id)
    redis.call('HSET', account, unpack(changed))
    post_adjust(stream, request_id, number, more_charge, more_cost, posted, details)
    return ADJUSTED
end

local amount
if record then    -- it knows its windows better than a caller who never heard of it
    amount, window_ids = string.match(record, '^%d+|(%d+)|%d+|([%d ]+)|')
end
local changed = counted(account, row, split_ids(window_ids), charge, cost)
if record then
    count_freed(row, changed, amount)
    if less(amount, charge) then
        count_over(account, changed, 'over.settle', minus(charge, amount))
    end
    take_off(holds, expiries, request_id)
end
redis.call('HSET', account, unpack(changed))
remember_end(ended, request_id, has_bucket)
post(stream, 'settle', request_id, number, charge, cost, details)
return SETTLED
