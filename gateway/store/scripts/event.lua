#!lua
-- event.lua: count usage that never passed the gateway. Idempotency mark, balance and
-- event, one atomic step.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile
-- KEYS[3] {p}a:<number>    hash    spent, held, windows; pico-USD
-- KEYS[4] {p}ev            stream  usage events
-- KEYS[5..] {p}k:<week>    hash    idempotency key -> mark; the bucket of now first
-- ARGV[1] event id         ARGV[2] customer number (a fresh one when believed new)
-- ARGV[3] 1: believed new  ARGV[4] idempotency key, '' for none
-- ARGV[5] fingerprint of the body
-- ARGV[6] charge, pico-USD ARGV[7] cost, pico-USD
-- ARGV[8] window ids of the event's time; 0 where that is not the window of now
-- ARGV[9] from, ARGV[10] until: server ms between which those ids hold
-- ARGV[11] details of the event, JSON
-- ARGV[12] seconds to keep the newest bucket
-- ARGV[13..] profile fields for a new customer: field, value ...
--
-- Returns {outcome, mark}
--   1 ACCEPTED   counted; the mark of its idempotency key is "<fingerprint> <event id> <charge>".
--   2 DUPLICATE  the same key and body came before; `mark` is that one's. Nothing changed.
--   3 CONFLICT   the same key came with another body. Nothing changed.
--   5 POLICY     the customer has another number: load it and try again. Nothing changed.
--   6 STALE      server time is outside [from, until); mark: server time, Unix ms.

local ACCEPTED, DUPLICATE, CONFLICT, POLICY, STALE = 1, 2, 3, 5, 6
local number_key, profile, account, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local FIRST_BUCKET, UPSERT_FROM = 5, 13
local event_id, number, is_new = ARGV[1], ARGV[2], ARGV[3] == '1'
local idempotency_key, fingerprint, charge, cost = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local window_ids, valid_from, valid_until = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local details, keep_seconds = ARGV[11], ARGV[12]

--@include windows
--@include finish
--@include upsert

local known = redis.call('GET', number_key)
if is_new and known or not is_new and known ~= number then
    return {POLICY, ''}
end
if idempotency_key ~= '' then
    for i = FIRST_BUCKET, #KEYS do
        local mark = redis.call('HGET', KEYS[i], idempotency_key)
        if mark then
            if string.match(mark, '^%S+') == fingerprint then
                return {DUPLICATE, mark}
            end
            return {CONFLICT, mark}
        end
    end
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if now_ms < valid_from or now_ms >= valid_until then
    return {STALE, tostring(now_ms)}
end

local mark = fingerprint .. ' ' .. event_id .. ' ' .. charge
if is_new then
    upsert(number_key, profile, account, number, '0', UPSERT_FROM)
end
if idempotency_key ~= '' then
    redis.call('HSET', KEYS[FIRST_BUCKET], idempotency_key, mark)
    redis.call('EXPIRE', KEYS[FIRST_BUCKET], keep_seconds)
end
redis.call('HINCRBY', account, 'spent', charge)
redis.call('HINCRBY', account, 'cost', cost)
count_in_windows(account, split_ids(window_ids), charge, cost)
post(stream, 'event', event_id, number, charge, cost, details)
return {ACCEPTED, mark}
