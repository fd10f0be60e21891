-- finish: end a call, once: take its hold off, remember that it ended, post the event.
--
-- Whatever is posted goes out in the same script that moves the balance: there is no
-- moment in which one is true and the other is not.
--
-- A tombstone stays for 48 h of its id's own age. The buckets live two hours longer, since
-- one collects the ids of an hour, by clocks that may differ. What is older and not held has
-- ended, or never was: it is TOO_OLD, and nobody may book it unseen.
local TOO_OLD_SECONDS, TOMBSTONE_SECONDS = 172800, 180000
local BUCKET_MARK = '.'    -- a member that says: this bucket has its expiry

local function take_off(holds, expiries, request_id)
    redis.call('HDEL', holds, request_id)
    redis.call('ZREM', expiries, request_id)
end

local function remember_end(ended, request_id)
    if redis.call('SADD', ended, BUCKET_MARK, request_id) == 2 then    -- the mark is new, too
        redis.call('EXPIRE', ended, TOMBSTONE_SECONDS)
    end
end

-- `windows`: the ids of those in which it counts; nil for what moves no money.
local function post(stream, kind, request_id, number, charge, cost, details, windows)
    if windows then
        redis.call('XADD', stream, '*', 'k', kind, 'id', request_id, 'n', number,
            'a', charge, 'c', cost, 'e', details, 'w', windows)
    else
        redis.call('XADD', stream, '*', 'k', kind, 'id', request_id, 'n', number,
            'a', charge, 'c', cost, 'e', details)
    end
end
