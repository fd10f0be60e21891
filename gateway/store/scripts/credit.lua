#!lua
-- credit.lua: give a customer credit, or take it back: its total limit is that much more, or
-- less. Mark, account, profile and event, one atomic step.
--
-- KEYS[1] {p}p:<number>    hash    profile
-- KEYS[2] {p}a:<number>    hash    account; pico-USD
-- KEYS[3] {p}ev            stream  usage events
-- KEYS[4..] {p}k:<week>    hash    idempotency key -> mark; the bucket of now first
-- ARGV[1] event id         ARGV[2] customer number
-- ARGV[3] profile version the caller decided with
-- ARGV[4] idempotency key  ARGV[5] fingerprint of the body
-- ARGV[6] amount, pico-USD, signed
-- ARGV[7] from, ARGV[8] until: server ms between which the first bucket is that of now
-- ARGV[9] details of the event, JSON       ARGV[10] seconds to keep the newest bucket
--
-- Returns {outcome, mark}
--   1 ACCEPTED   credited; its mark is "<fingerprint> <event id> <amount>".
--   2 DUPLICATE  the same key and body came before; `mark` is that one's. Nothing changed.
--   3 CONFLICT   the same key came with another body. Nothing changed.
--   5 POLICY     the customer is another version, or none. Nothing changed.
--   6 STALE      server time is outside [from, until); mark: server time, Unix ms.
--
-- The account has the sum, which its events add up to; the profile has it too, for who
-- decides by a profile, and gets another version. The event has the amount in `r`.

local POLICY, STALE = 5, 6
local profile, account, stream = KEYS[1], KEYS[2], KEYS[3]
local buckets = {unpack(KEYS, 4)}
local event_id, number, version = ARGV[1], ARGV[2], ARGV[3]
local idempotency_key, fingerprint, amount = ARGV[4], ARGV[5], ARGV[6]
local valid_from, valid_until = tonumber(ARGV[7]), tonumber(ARGV[8])
local details, keep_seconds = ARGV[9], ARGV[10]

--@include limbs
--@include once

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
    return {STALE, string.format('%.0f', now_ms)}
end

local credit = plus(redis.call('HGET', account, 'credit') or '0', amount)
local mark = fingerprint .. ' ' .. event_id .. ' ' .. amount
remember_key(buckets[1], idempotency_key, mark, keep_seconds)
redis.call('HSET', account, 'credit', credit)
redis.call('HSET', profile, 'credit', credit)
redis.call('HINCRBY', profile, 'version', 1)
redis.call('XADD', stream, '*', 'k', 'credit', 'id', event_id, 'n', number, 'a', '0', 'c', '0',
    'e', details, 'r', amount)
return {ACCEPTED, mark}
