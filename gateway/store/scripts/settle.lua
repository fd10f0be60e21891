#!lua flags=allow-oom
-- settle.lua: end a call with what it really cost. Balance and event, one atomic step.
--
-- KEYS[1] {p}a:<number>  hash    spent, held, windows; pico-USD
-- KEYS[2] {p}h           hash    request id -> hold record
-- KEYS[3] {p}hx          zset    request id -> lease expiry
-- KEYS[4] {p}ev          stream  usage events
-- KEYS[5] {p}d:<hour>    set     request ids that have ended
-- KEYS[6] {p}o:<hour>    hash    request id -> charge posted when its hold expired
-- ARGV[1] request id     ARGV[2] customer number
-- ARGV[3] charge, pico-USD         ARGV[4] cost, pico-USD
-- ARGV[5] window ids of the hold   ARGV[6] details of the event, JSON
--
-- Returns one of
--   1 SETTLED    the charge is booked, the hold is gone, the event is posted.
--   2 DUPLICATE  this request id has ended already. Nothing changed.
--   3 ADJUSTED   its hold had expired and was posted as unresolved: the difference to the
--                truth is booked and posted as an `adjust`, in the same windows.
--
-- A charge may exceed its hold: the provider has been paid, and refusing to book it would
-- be a lie. A hold that the store lost is settled all the same, from the caller's windows.
-- Runs when memory is full: what was held must always be able to end. O(log n).

local SETTLED, DUPLICATE, ADJUSTED = 1, 2, 3
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, charge, cost = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local window_ids, details = ARGV[5], ARGV[6]

--@include limbs
--@include windows
--@include negated
--@include finish

if redis.call('SISMEMBER', ended, request_id) == 1 then
    local posted = redis.call('HGET', orphans, request_id)
    if not posted then
        return DUPLICATE
    end
    -- The orphan counted one amount as charge and as cost alike.
    local more_charge = to_text(sub(limbs(charge), limbs(posted)))
    local more_cost = to_text(sub(limbs(cost), limbs(posted)))
    redis.call('HDEL', orphans, request_id)
    book(account, split_ids(window_ids), more_charge, more_cost)
    post(stream, 'adjust', request_id, number, more_charge, more_cost, details)
    return ADJUSTED
end

local hold = read_hold(holds, request_id)
book(account, split_ids(window_ids), charge, cost)
take_off(account, holds, expiries, ended, request_id, hold and hold.amount)
post(stream, 'settle', request_id, number, charge, cost, details)
return SETTLED
