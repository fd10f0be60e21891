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

-- Whether the id has ended, and whether its bucket is there.
local function find_end(ended, request_id)
    local found = redis.call('SMISMEMBER', ended, request_id, BUCKET_MARK)
    return found[1] == 1, found[2] == 1
end

local function is_too_old(request_id)
    local made_ms = tonumber(string.sub(request_id, 5, 16), 16)
    local time = redis.call('TIME')
    return time[1] * 1000 - made_ms > TOO_OLD_SECONDS * 1000
end

local function remember_end(ended, request_id, has_bucket)
    if has_bucket then
        redis.call('SADD', ended, request_id)
    else
        redis.call('SADD', ended, request_id, BUCKET_MARK)
        redis.call('EXPIRE', ended, TOMBSTONE_SECONDS)
    end
end

-- An orphan is remembered as "<charge> <window ids>": the truth has to correct it where it
-- was counted, which a caller that never heard of its hold cannot know.
local function remember_orphan(orphans, request_id, charge, ids)
    redis.call('HSET', orphans, request_id, charge .. ' ' .. ids)
    redis.call('EXPIRE', orphans, TOMBSTONE_SECONDS)
end

local function find_orphan(orphans, has_ended, request_id)
    local found = has_ended and redis.call('HGET', orphans, request_id)
    if found then
        return string.match(found, '^(%d+) (.*)$')
    end
end

local function take_off(holds, expiries, request_id)
    redis.call('HDEL', holds, request_id)
    redis.call('ZREM', expiries, request_id)
end

local function post(stream, kind, request_id, number, charge, cost, details)
    redis.call('XADD', stream, '*', 'k', kind, 'id', request_id, 'n', number,
        'a', charge, 'c', cost, 'e', details)
end

-- An `adjust` also names, in `o`, the charge of the orphan that it corrects.
local function post_adjust(stream, request_id, number, charge, cost, posted, details)
    redis.call('XADD', stream, '*', 'k', 'adjust', 'id', request_id, 'n', number,
        'a', charge, 'c', cost, 'o', posted, 'e', details)
end
