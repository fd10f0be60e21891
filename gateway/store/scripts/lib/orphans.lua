-- orphans: calls whose hold expired and was posted as unresolved, until the truth arrives.
-- Needs finish.
--
-- One is remembered as "<charge> <window ids>": the truth has to correct it where it was
-- counted, which a caller that never heard of its hold cannot know.
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

-- An `adjust` also names, in `o`, the charge of the orphan that it corrects.
local function post_adjust(stream, request_id, number, charge, cost, posted, details, windows)
    redis.call('XADD', stream, '*', 'k', 'adjust', 'id', request_id, 'n', number,
        'a', charge, 'c', cost, 'o', posted, 'e', details, 'w', windows)
end
