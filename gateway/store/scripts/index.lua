#!lua flags=allow-oom
-- index.lua: write rows of the roster, in all its orders; the later state wins.
--
-- KEYS[1] {fb}rows  hash  member -> stamp, texts, row
-- KEYS[2] {fb}gone  zset  member -> stamp with which it was taken off
-- KEYS[3..]            zset  {fb}ix:<order>: those by score, then those by text
-- ARGV[1] how many of them go by score  ARGV[2] stamps before this are forgotten in KEYS[2]
-- ARGV[3..] for each customer: member, stamp, row, then its score in each of the first and
--           its text in each of the others; where the row is '', the customer is taken off
--
-- In an order by text the members are "<text>\0<member>", all with score 0, which sorts them
-- by their bytes. A row is "<stamp>\n<text>\n ... <row>", so that its old texts are found; a
-- text has no line breaks.
--
-- Returns the number of those written; the others were there already with a later stamp, or
-- have been taken off with one. Runs when memory is full. O(n log m); at most some hundred.

local rows, gone, FIRST = KEYS[1], KEYS[2], 3
local by_score, forget_before = tonumber(ARGV[1]), ARGV[2]
local orders = #KEYS - FIRST + 1
local by_text = orders - by_score
local WIDTH, written = 3 + orders, 0

-- The stamp and the texts of a row as it is stored.
local function read(stored)
    local found, from = {}, 1
    for i = 1, 1 + by_text do
        local ends = string.find(stored, '\n', from, true)
        found[i] = string.sub(stored, from, ends - 1)
        from = ends + 1
    end
    return found
end

for at = 3, #ARGV, WIDTH do
    local member, stamp, row = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local stored = redis.call('HGET', rows, member)
    local before = stored and read(stored)
    local known = before and before[1] or redis.call('ZSCORE', gone, member) or '0'
    if tonumber(known) <= tonumber(stamp) then
        written = written + 1
        for i = 1, orders do
            local key, value = KEYS[FIRST + i - 1], ARGV[at + 2 + i]
            if i <= by_score then
                if row == '' then
                    redis.call('ZREM', key, member)
                else
                    redis.call('ZADD', key, value, member)
                end
            else
                local old = before and before[1 + i - by_score]
                if old and (row == '' or old ~= value) then
                    redis.call('ZREM', key, old .. '\0' .. member)
                end
                if row ~= '' then
                    redis.call('ZADD', key, '0', value .. '\0' .. member)
                end
            end
        end
        if row == '' then
            redis.call('HDEL', rows, member)
            redis.call('ZADD', gone, stamp, member)
        else
            local texts = {stamp}
            for i = by_score + 1, orders do
                texts[#texts + 1] = ARGV[at + 2 + i]
            end
            texts[#texts + 1] = row
            redis.call('HSET', rows, member, table.concat(texts, '\n'))
            redis.call('ZREM', gone, member)
        end
    end
end
redis.call('ZREMRANGEBYSCORE', gone, '-inf', '(' .. forget_before)
return written
