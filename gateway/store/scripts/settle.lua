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
-- is settled all the same, in the caller's windows, as far as these have begun.
-- Runs when memory is full: what was held must always be able to end. O(log n).

local SETTLED, DUPLICATE, ADJUSTED, TOO_OLD = 1, 2, 3, 4
local account, holds, expiries = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, orphans = KEYS[4], KEYS[5], KEYS[6]
local request_id, number, charge, cost = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local window_ids, details = ARGV[5], ARGV[6]

local WHOLE = 2^53    -- up to here Lua has whole numbers exactly

--@include account
--@include finish

-- While its hold is there a call has not ended: whatever ends one takes the other away.
local record = redis.call('HGET', holds, request_id)
local amount
if record then    -- it knows its windows better than a caller who never heard of it
    amount, window_ids = string.match(record, '^[^|]+|([^|]+)|[^|]+|([^|]+)|')
end
local row = read_account(account)

-- Nearly always its windows are those that are open, it cost no more than was held, and the
-- amounts are whole numbers that Lua has exactly. Then plain sums do: to make the functions
-- of the exact arithmetic takes longer than all that they would do.
local is_plain, spent, spent_cost, held = false, nil, nil, nil
if record and row[WINDOWS] == window_ids then
    local more, more_cost, off = tonumber(charge), tonumber(cost), tonumber(amount)
    local taken = tonumber(row[HELD_SUM] or '0')
    spent, spent_cost, held = row[SPENT] + more, row[COST] + more_cost, taken - off
    is_plain = more >= 0 and more <= off and off <= taken and taken < WHOLE
        and more <= spent and spent < WHOLE
        and more_cost >= 0 and more_cost <= spent_cost and spent_cost < WHOLE
end
local changed
if not is_plain then
    --@include limbs
    --@include ids
    --@include windows
    --@include begun
    --@include ages
    --@include orphans
    local has_ended = not record and redis.call('SISMEMBER', ended, request_id) == 1
    local posted, posted_ids = find_orphan(orphans, has_ended, request_id)
    if has_ended and not posted then
        return DUPLICATE
    end
    if not has_ended and not record and is_too_old(request_id) then
        return TOO_OLD
    end
    if posted then
        -- The orphan counted one amount as charge and as cost alike.
        local more_charge, more_cost = minus(charge, posted), minus(cost, posted)
        changed, window_ids = counted(account, row, posted_ids, more_charge, more_cost)
        if less('0', more_charge) then
            count_over(account, changed, 'over.settle', more_charge)
        end
        redis.call('HDEL', orphans, request_id)
        redis.call('HSET', account, unpack(changed))
        post_adjust(stream, request_id, number, more_charge, more_cost, posted, details,
            window_ids)
        return ADJUSTED
    end
    if not record then
        window_ids = begun(row[WINDOWS] or NO_WINDOWS, window_ids)
    end
    changed, window_ids = counted(account, row, window_ids, charge, cost)
    if record then
        count_freed(row, changed, amount)
        if less(amount, charge) then
            count_over(account, changed, 'over.settle', minus(charge, amount))
        end
    end
end

if is_plain then
    redis.call('HSET', account, 'spent', string.format('%d', spent),
        'cost', string.format('%d', spent_cost), 'held', string.format('%d', held))
else
    redis.call('HSET', account, unpack(changed))
end
if record then
    take_off(holds, expiries, request_id)
end
remember_end(ended, request_id)
post(stream, 'settle', request_id, number, charge, cost, details, window_ids)
return SETTLED
