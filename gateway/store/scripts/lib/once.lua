-- once: what comes again under its idempotency key changes nothing.
--
-- A mark is "<fingerprint> <id> <amount>". `buckets` are the marks' hashes of so many weeks,
-- that of now first; a customer's number stands before its key.
local ACCEPTED, DUPLICATE, CONFLICT = 1, 2, 3

-- The outcome and the mark of what came before under `key`; nil: nothing did.
local function before(buckets, key, fingerprint)
    for _, bucket in ipairs(buckets) do
        local mark = redis.call('HGET', bucket, key)
        if mark then
            return string.match(mark, '^%S+') == fingerprint and DUPLICATE or CONFLICT, mark
        end
    end
end

local function remember_key(bucket, key, mark, keep_seconds)
    redis.call('HSET', bucket, key, mark)
    redis.call('EXPIRE', bucket, keep_seconds)
end
