#!lua flags=no-writes
-- page.lua: read some rows of the roster in one of its orders.
--
-- KEYS[1] {fb}ix:<order>  zset
-- KEYS[2] {fb}rows     hash  member -> stamp, texts, row
-- ARGV[1] `score` or `text`: what the order goes by
-- ARGV[2] from, ARGV[3] to: its part, as ZRANGE takes it by score or by lex, ends included
--         or not; `-inf` and `+inf`, or `-` and `+`, for all of it
-- ARGV[4] 1: from the end to the start
-- ARGV[5] how many rows to pass over, ARGV[6] how many to give
-- ARGV[7] score, ARGV[8] member of the row after which to begin, '' for the first
--
-- Returns {count, place, entries, rows}
--   count    of the part
--   place    how many rows of it lie before the first one given
--   entries  member, score ...: where each row stands in the order
--   rows     of these, in their order; nil for one that has none
-- O(log n log n + rows).

local order, rows = KEYS[1], KEYS[2]
local is_text, from, to, backwards = ARGV[1] == 'text', ARGV[2], ARGV[3], ARGV[4] == '1'
local skipped, wanted = tonumber(ARGV[5]), tonumber(ARGV[6])
local after_score, after = ARGV[7], ARGV[8]
local COUNT, FIRST = is_text and 'ZLEXCOUNT' or 'ZCOUNT', is_text and '-' or '-inf'

-- The other side of an end: what a part that begins there leaves out.
local function up_to(edge)
    if edge == FIRST then
        return nil
    elseif is_text then
        return (string.sub(edge, 1, 1) == '[' and '(' or '[') .. string.sub(edge, 2)
    end
    return string.sub(edge, 1, 1) == '(' and string.sub(edge, 2) or '(' .. edge
end

-- By bytes, as a zset has its members; Lua's own order is that of the server's locale.
local function is_less(a, b)
    for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return #a < #b
end

-- How many entries of the whole order come before that place, the place itself included or not.
local function before(score, member, included)
    if is_text then
        return redis.call('ZLEXCOUNT', order, '-', (included and '[' or '(') .. member)
    end
    local low = redis.call('ZCOUNT', order, '-inf', '(' .. score)
    local high = low + redis.call('ZCOUNT', order, score, score)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local found = redis.call('ZRANGE', order, middle, middle)[1]
        if is_less(found, member) or (included and found == member) then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

local edge = up_to(from)
local first = edge and redis.call(COUNT, order, FIRST, edge) or 0
local count = redis.call(COUNT, order, from, to)
local place = skipped
if after ~= '' then
    local rank = before(after_score, after, not backwards)
    place = place + (backwards and first + count - rank or rank - first)
end
place = math.max(place, 0)
local last = math.min(place + wanted, count) - 1
if last < place then
    return {count, place, {}, {}}
end
local entries
if backwards then
    local rest = redis.call('ZCARD', order) - first - count
    entries = redis.call('ZRANGE', order, rest + place, rest + last, 'REV', 'WITHSCORES')
else
    entries = redis.call('ZRANGE', order, first + place, first + last, 'WITHSCORES')
end
local members = {}
for i = 1, #entries, 2 do
    local member = entries[i]
    members[#members + 1] = is_text and string.sub(member, string.find(member, '\0', 1, true) + 1) or member
end
return {count, place, entries, redis.call('HMGET', rows, unpack(members))}
