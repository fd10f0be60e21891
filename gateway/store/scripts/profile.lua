#!lua
-- profile.lua: create a customer or change a profile, outside a call.
--
-- KEYS[1] {p}n:<customer>  string  customer number
-- KEYS[2] {p}p:<number>    hash    profile, version
-- KEYS[3] {p}a:<number>    hash    account
-- KEYS[4] {p}r             zset    customers whose row in the roster is out of date
-- KEYS[5] {p}x:<hash>      hash    what was left of one of that name who was deleted
-- ARGV[1] customer number (a fresh one when believed new)
-- ARGV[2] profile version the caller decided with; 0 and the mark of KEYS[5]: believed new
-- ARGV[3] 1: the anchor of the custom window changes
-- ARGV[4] ids of the windows of now, as in hold.lua
-- ARGV[5] `charge` or `cost`: which of the two the limits are about
-- ARGV[6] window kind of the period limit before, ARGV[7] its amount, ARGV[8] the total limit
-- before; ARGV[9], ARGV[10], ARGV[11] the same after; '' for none
-- ARGV[12..] fields to write: field, value ...
--
-- Returns 1 WRITTEN, or 5 POLICY: the customer is another version, or none; nothing
-- changed, load it and try again.

local WRITTEN, POLICY = 1, 5
local number_key, profile, account, changed, left = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local number, version, reset_custom = ARGV[1], ARGV[2], ARGV[3]
local window_ids, count = ARGV[4], ARGV[5]
local before, after = {ARGV[6], ARGV[7], ARGV[8]}, {ARGV[9], ARGV[10], ARGV[11]}
local UPSERT_FROM = 12

--@include limbs
--@include ids
--@include account
--@include windows
--@include opened
--@include beyond
--@include lowered
--@include versions
--@include mark
--@include upsert

if not is_current(number_key, profile, number, version, left) then
    return POLICY
end
count_lowered(account, split_ids(window_ids), count, before, after)
upsert(number_key, profile, number, UPSERT_FROM, changed)
local windows = reset_custom == '1' and redis.call('HGET', account, 'windows')
if windows then
    -- Management that moves the anchor starts the custom window afresh; a call does not.
    -- What was counted before in windows that had begun by now is told no more.
    local time = redis.call('TIME')
    local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
    local calendar = string.match(windows, '^%d+ %d+ %d+ %d+')
    redis.call('HSET', account, 'windows', calendar .. ' 0 0',
        'custom.reset', string.format('%.0f', now_ms))
    redis.call('HDEL', account, 'custom.past.charge', 'custom.past.cost')
end
return WRITTEN
