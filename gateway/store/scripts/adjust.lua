#!lua flags=allow-oom
-- adjust.lua: correct what a call was charged, after it has ended. Mark, balance and event,
-- one atomic step.
--
-- KEYS[1] {p}p:<number>    hash    profile
-- KEYS[2] {p}a:<number>    hash    spent, held, windows; pico-USD
-- KEYS[3] {p}ev            stream  usage events
-- KEYS[4..] {p}k:<week>    hash    idempotency key -> mark; the bucket of now first
-- ARGV[1] id of the adjustment         ARGV[2] customer number
-- ARGV[3] profile version the caller decided with
-- ARGV[4] idempotency key  ARGV[5] fingerprint of what it is to come to
-- ARGV[6] charge, ARGV[7] cost: the differences, pico-USD, signed
-- ARGV[8] window ids of the call's time; 0 where that is not the window of now
-- ARGV[9] from, ARGV[10] until: server ms between which those ids hold, and the first
-- bucket is that of now
-- ARGV[11] the period limit's window kind, '' for none; ARGV[12] that limit, pico-USD
-- ARGV[13] total limit, pico-USD, '' for none
-- ARGV[14] `charge` or `cost`: which of the two the limits are about
-- ARGV[15] details of the event, JSON  ARGV[16] seconds to keep the newest bucket
--
-- Returns {outcome, mark}
--   1 ACCEPTED   booked; its mark is "<fingerprint> <id> <charge>".
--   2 DUPLICATE  the same adjustment came before. Nothing changed.
--   3 CONFLICT   another one has this key: the caller did not know of it. Nothing changed.
--   5 POLICY     the customer is another version: load it and try again. Nothing changed.
--   6 STALE      server time is outside [from, until); mark: server time, Unix ms.
-- Runs when memory is full: what the provider has been paid must be right.

local POLICY, STALE = 5, 6
local profile, account, stream = KEYS[1], KEYS[2], KEYS[3]
local buckets = {unpack(KEYS, 4)}
local id, number, version = ARGV[1], ARGV[2], ARGV[3]
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

if redis.call('HGET', profile, 'version') ~= version then
    return {POLICY, ''}
end
local known, earlier = before(buckets, idempotency_key, fingerprint)
if known then
    return {known, earlier}
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

local mark = fingerprint .. ' ' .. id .. ' ' .. charge
remember_key(buckets[1], idempotency_key, mark, keep_seconds)
redis.call('HSET', account, unpack(changed))
post(stream, 'adjust', id, number, charge, cost, details, windows)
return {ACCEPTED, mark}
