-- finish: end a hold, once: take it off, remember that it ended, post the event.
--
-- Whatever is posted goes out in the same script that moves the balance: there is no
-- moment in which one is true and the other is not. Needs negated.
local TOMBSTONE_SECONDS = 172800

-- The hold's record as {number, amount, window ids, details}, or nil.
local function read_hold(holds, request_id)
    local record = redis.call('HGET', holds, request_id)
    if not record then
        return nil
    end
    local number, amount, ids, details = string.match(record, '^(%d+)|(%d+)|([%d ]+)|(.*)$')
    return {number = number, amount = amount, ids = ids, details = details}
end

local function remember_end(ended, request_id)
    redis.call('SADD', ended, request_id)
    redis.call('EXPIRE', ended, TOMBSTONE_SECONDS)
end

local function take_off(account, holds, expiries, ended, request_id, amount)
    if amount then
        redis.call('HINCRBY', account, 'held', negated(amount))
        redis.call('HDEL', holds, request_id)
        redis.call('ZREM', expiries, request_id)
    end
    remember_end(ended, request_id)
end

local function post(stream, kind, request_id, number, charge, cost, details)
    return redis.call('XADD', stream, '*', 'k', kind, 'id', request_id, 'n', number,
        'a', charge, 'c', cost, 'e', details)
end
