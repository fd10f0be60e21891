#!lua flags=allow-oom
-- scope_apply.lua: count what has ended in some partitions on the groups and apps of this
-- one, and move the cursors past it, each if it still stands where its batch began.
--
-- KEYS[1] {p}cur        hash  "g:<source partition>" -> last stream entry passed
-- KEYS[2] {p}gh         hash  "<scope> <request id>" -> "<amount>|<window ids>"
-- KEYS[3..] {p}g:<scope>  hash  each account that is named, and each
--           {p}gd:<hour>  hash  of ends, by the hour of the request id
-- ARGV[1] `charge` or `cost`: which of the two the limits are about
-- ARGV[2] scopes, then for each: key of its account (index into KEYS), its name, the anchor of
-- its custom window or '', kind of its period limit's window, that limit, its total limit
-- (pico-USD, '' for none)
-- Then sources, and for each: cursor, where it must stand ('' for nowhere yet), where it goes,
-- n, and n times
--   number of the scope, from 1, key of the hour (index into KEYS), request id, kind of the
--   event, charge, cost (pico-USD, signed), window ids of the event's time
--
-- Returns for each source 1 MOVED, or 0 STAYED: its cursor stands elsewhere, nothing of it
-- was counted. Raises WRONGTYPE before anything is written when a key is of another type.
--
-- A call ends once, and its end is remembered with what it counted: "<kind> <charge>
-- <cost>", and behind that what its one `adjust` added. The same end again changes nothing,
-- under whatever stream id: a source that lost its tail posts it anew. Another end replaces
-- it: the one that the source has kept is the truth.
-- A hold is taken off by the first end, and cannot land after it (scope_hold.lua).
-- What was charged above a hold, or corrected upwards, is counted as `over.settle`; what was
-- reported beyond a limit as `over.event`.
-- Raises DAMAGED, with its key, where a field of an account is no number: the cursor stays,
-- and what came before that entry is known by its id when it comes again.
-- Runs when memory is full. O(entries).

local MOVED, STAYED = 1, 0
local cursors, holds = KEYS[1], KEYS[2]
local count = ARGV[1]
local SCOPE, ENTRY = 6, 7

--@include limbs
--@include ids
--@include account
--@include windows
--@include opened
--@include anchors
--@include beyond
--@include scopes

for i = 1, #KEYS do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= 'hash' and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. found .. ', not a hash')
    end
end

local function remember(ended, member, counted_as)
    local is_new = redis.call('EXISTS', ended) == 0
    redis.call('HSET', ended, member, counted_as)
    if is_new then
        redis.call('EXPIRE', ended, SCOPE_TOMBSTONE_SECONDS)
    end
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- The ids in which usage counts that was not held for: the custom window of another anchor
-- begins with it, if it lies in that.
local function open_windows(scope, row, opened, ids)
    local known, known_until = opened[CUSTOM], opened[CUSTOM_END]
    if is_new_anchor(scope.account, opened, ids, scope.anchor, now_ms) then
        if scope.anchor == '' or ids[CUSTOM] ~= '0' then
            begin_afresh(scope.account, row, opened, ids, scope.anchor, now_ms)
        else
            opened[CUSTOM], opened[CUSTOM_END] = known, known_until
        end
    end
    return ids
end

-- Usage of a period that is over lies beyond none of now.
local function beyond_its_limits(scope, row, opened, ids, charge, cost)
    local at = KIND_AT[scope.limits[1]]
    if at and tonumber(ids[at]) < tonumber(opened[at]) then
        ids[at] = '0'
    end
    ids = current_ids(opened, ids)
    return beyond_limits(scope.account, row, opened, ids, count == 'cost' and cost or charge,
        count, scope.limits)
end

-- Count the difference to what was counted before, and take the hold off if there is one:
-- `held` is its amount, and `ids` are its windows.
local function book(scope, kind, ids, charge, cost, held)
    local account = scope.account
    local row = read_account(account)
    local opened = split_ids(row[WINDOWS] or NO_WINDOWS)
    ids = split_ids(ids)
    if not held then
        ids = open_windows(scope, row, opened, ids)
    end
    local changed = counted(account, row, table.concat(ids, ' '), charge, cost)
    if held then
        count_freed(row, changed, held)
        if less(held, charge) then
            count_over(account, changed, 'over.settle', minus(charge, held))
        end
    elseif kind == 'adjust' and less('0', charge) then
        count_over(account, changed, 'over.settle', charge)
    elseif kind == 'event' then
        local beyond = beyond_its_limits(scope, row, opened, ids, charge, cost)
        if beyond ~= '0' then
            count_over(account, changed, 'over.event', beyond)
        end
    end
    redis.call('HSET', account, unpack(changed))
end

local function count_end(scope, ended, member, kind, charge, cost, ids)
    local before = redis.call('HGET', ended, member)
    local more_charge, more_cost, rest = charge, cost, ''
    if before then
        local its_kind, its_charge, its_cost, adjusted = string.match(before, '^(%S+) (%S+) (%S+)(.*)$')
        if its_kind == '-' then    -- so far only its adjust was seen
            rest = adjusted
        elseif its_kind == kind and its_charge == charge and its_cost == cost then
            more_charge, more_cost, rest = '0', '0', adjusted
        else
            local by_charge, by_cost = string.match(adjusted, '^ (%S+) (%S+)$')
            more_charge = minus(charge, plus(its_charge, by_charge or '0'))
            more_cost = minus(cost, plus(its_cost, by_cost or '0'))
        end
    end
    local record = redis.call('HGET', holds, member)
    local amount
    if record then
        amount, ids = string.match(record, '^(%d+)|(.*)$')
    end
    if record or more_charge ~= '0' or more_cost ~= '0' then
        book(scope, kind, ids, more_charge, more_cost, amount)
    end
    if record then    -- not before: a damaged account books nothing, and keeps its holds
        redis.call('HDEL', holds, member)
    end
    remember(ended, member, kind .. ' ' .. charge .. ' ' .. cost .. rest)
end

local function count_adjust(scope, ended, member, _, charge, cost, ids)
    local before = redis.call('HGET', ended, member) or '- 0 0'
    local its_end, adjusted = string.match(before, '^(%S+ %S+ %S+)(.*)$')
    local by_charge, by_cost = string.match(adjusted, '^ (%S+) (%S+)$')
    local more_charge, more_cost = minus(charge, by_charge or '0'), minus(cost, by_cost or '0')
    if more_charge ~= '0' or more_cost ~= '0' then
        book(scope, 'adjust', ids, more_charge, more_cost)
    end
    remember(ended, member, its_end .. ' ' .. charge .. ' ' .. cost)
end

local scopes, moved, at = {}, {}, 3
for n = 1, tonumber(ARGV[2]) do
    scopes[n] = {
        account = KEYS[tonumber(ARGV[at])], name = ARGV[at + 1], anchor = ARGV[at + 2],
        limits = {ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]},
    }
    at = at + SCOPE
end
local sources = tonumber(ARGV[at])
at = at + 1
for source = 1, sources do
    local cursor, expected, new, entries = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    at = at + 4
    if (redis.call('HGET', cursors, cursor) or '') == expected then
        for entry = at, at + ENTRY * (entries - 1), ENTRY do
            local scope, ended = scopes[tonumber(ARGV[entry])], KEYS[tonumber(ARGV[entry + 1])]
            local member, kind = scope_member(scope.name, ARGV[entry + 2]), ARGV[entry + 3]
            local charge, cost, ids = ARGV[entry + 4], ARGV[entry + 5], ARGV[entry + 6]
            local count_one = kind == 'adjust' and count_adjust or count_end
            local done, problem = pcall(count_one, scope, ended, member, kind, charge, cost, ids)
            if not done then
                problem = type(problem) == 'table' and problem.err or tostring(problem)
                return redis.error_reply('DAMAGED ' .. scope.account .. ': ' .. problem)
            end
        end
        redis.call('HSET', cursors, cursor, new)
        moved[source] = MOVED
    else
        moved[source] = STAYED
    end
    at = at + ENTRY * entries
end
return moved
