#!lua
-- event.lua: count usage that never passed the gateway. Idempotency mark, balance and
-- event, one atomic step.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile
-- KEYS[3] {p}a:<number>    hash    spent, held, windows; pico-USD
-- KEYS[4] {p}ev            stream  usage events
-- KEYS[5] {p}d:<hour>      set     ids that have ended
-- KEYS[6] {p}r             zset    customers whose row in the roster is out of date
-- KEYS[7] {p}x:<hash>      hash    what was left of one of that name who was deleted
-- KEYS[8..] {p}k:<week>    hash    idempotency key -> mark; the bucket of now first
-- ARGV[1] event id         ARGV[2] customer number (a fresh one when believed new)
-- ARGV[3] profile version the caller decided with; 0 and the mark of KEYS[7]: believed new
-- ARGV[4] idempotency key, '' for none
-- ARGV[5] fingerprint of the body
-- ARGV[6] charge, pico-USD ARGV[7] cost, pico-USD
-- ARGV[8] window ids of the event's time; 0 where that is not the window of now
-- ARGV[9] from, ARGV[10] until: server ms between which those ids hold,
-- and the first bucket is that of now
-- ARGV[11] the period limit's window kind, '' for none; ARGV[12] that limit, pico-USD
-- ARGV[13] total limit, pico-USD, '' for none
-- ARGV[14] `charge` or `cost`: which of the two the limits are about
-- ARGV[15] details of the event, JSON
-- ARGV[16] seconds to keep the newest bucket
-- ARGV[17..] profile fields for a new customer: field, value ...
--
-- Returns {outcome, mark}
--   1 ACCEPTED   counted; its mark is "<fingerprint> <event id> <charge>".
--   2 DUPLICATE  the same key and body came before, or without a key the same event id;
--                `mark` is that one's. Nothing changed.
--   3 CONFLICT   the same key came with another body. Nothing changed.
--   5 POLICY     the customer is another version, or none: load it and try again. Its markup
--                and its windows may be others. Nothing changed.
--   6 STALE      server time is outside [from, until); mark: server time, Unix ms.

local POLICY, STALE = 5, 6
local number_key, profile, account = KEYS[1], KEYS[2], KEYS[3]
local stream, ended, changed_rows = KEYS[4], KEYS[5], KEYS[6]
local buckets, UPSERT_FROM = {unpack(KEYS, 8)}, 17
local event_id, number, version = ARGV[1], ARGV[2], ARGV[3]
local idempotency_key, fingerprint, charge, cost = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local window_ids, valid_from, valid_until = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local limits, count = {ARGV[11], ARGV[12], ARGV[13]}, ARGV[14]
local details, keep_seconds = ARGV[15], ARGV[16]

--@include limbs
--@include once
--@include ids
--@include account
--@include windows
--@include opened
--@include beyond
--@include finish
--@include versions
--@include mark
--@include upsert

if not is_current(number_key, profile, number, version, KEYS[7]) then
    return {POLICY, ''}
end
local mark = fingerprint .. ' ' .. event_id .. ' ' .. charge
if idempotency_key == '' then
    if redis.call('SISMEMBER', ended, event_id) == 1 then
        return {DUPLICATE, mark}
    end
else
    local known, earlier = before(buckets, idempotency_key, fingerprint)
    if known then
        return {known, earlier}
    end
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms < valid_from or now_ms >= valid_until then
    return {STALE, tostring(now_ms)}
end

local row = read_account(account)
local opened = split_ids(row[WINDOWS] or NO_WINDOWS)
local ids = current_ids(opened, split_ids(window_ids))
local changed, windows = counted(account, row, table.concat(ids, ' '), charge, cost)
count_reported(account, changed, row, opened, ids, charge, cost, count, limits)

if string.sub(version, 1, 1) == '0' then
    upsert(number_key, profile, number, UPSERT_FROM, changed_rows)
end
if idempotency_key == '' then
    remember_end(ended, event_id)
else
    remember_key(buckets[1], idempotency_key, mark, keep_seconds)
end
redis.call('HSET', account, unpack(changed))
post(stream, 'event', event_id, number, charge, cost, details, windows)
return {ACCEPTED, mark}
