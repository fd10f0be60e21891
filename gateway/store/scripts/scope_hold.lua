#!lua
-- scope_hold.lua: reserve a call's share of what its group or its app may spend, after the
-- customer's own hold. It has no lease: it ends with the event that ends the customer's
-- hold (scope_apply.lua).
--
-- KEYS[1] {p}g:<scope>  hash  spent, held, windows; pico-USD
-- KEYS[2] {p}gh         hash  "<scope> <request id>" -> "<amount>|<window ids>"
-- KEYS[3] {p}gd:<hour>  hash  "<scope> <request id>" -> what was counted; those that ended
-- ARGV[1] scope         ARGV[2] request id
-- ARGV[3] wanted, ARGV[4] least, pico-USD   ARGV[5] share, as in hold.lua
-- ARGV[6] from, ARGV[7] until: server ms between which the window ids below hold
-- ARGV[8] ids of day, week, month, year, custom windows, then the custom one's end, by
--         spaces; 0: none
-- ARGV[9] the period limit's window kind, '' for none; ARGV[10] that limit, pico-USD
-- ARGV[11] total limit, pico-USD, '' for none
-- ARGV[12] `charge` or `cost`: which of the two the limits are about
-- ARGV[13] the anchor of the custom window, '' for none: another one begins it afresh
--
-- Returns {outcome, granted, spent in period, spent in total, held, server time in ms}; the
-- sums are those before the call.
--   1 HELD       `granted` is held; repeating a request id changes nothing.
--   2 EXCEEDED   a limit has no room for `least`. Nothing changed.
--   3 IN_FLIGHT  as 2, but there is room once the calls in flight settle for nothing.
--   6 STALE      server time is outside [from, until). Nothing changed.
--   7 DUPLICATE  this request id has ended already. Nothing changed.
--
-- Keeps, with scope_apply.lua: held == sum of the scope's amounts in gh.
-- O(1).

local HELD, STALE, DUPLICATE = 1, 6, 7
local account, holds, ended = KEYS[1], KEYS[2], KEYS[3]
local scope, request_id = ARGV[1], ARGV[2]
local wanted, least, share = ARGV[3], ARGV[4], tonumber(ARGV[5])
local valid_from, valid_until, window_ids = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local period_kind, period_limit, total_limit, count = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local anchor = ARGV[13]

--@include limbs
--@include shares
--@include grants
--@include ids
--@include account
--@include windows
--@include opened
--@include anchors
--@include scopes

local member = scope_member(scope, request_id)
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HEXISTS', ended, member) == 1 then
    return {DUPLICATE, '0', '0', '0', '0', now_ms}
end
if now_ms < valid_from or now_ms >= valid_until then
    return {STALE, '0', '0', '0', '0', now_ms}
end

local row = read_account(account)
local opened = split_ids(row[WINDOWS] or NO_WINDOWS)
local ids = split_ids(window_ids)
local begins_afresh = is_new_anchor(account, opened, ids, anchor, now_ms)
ids = current_ids(opened, ids)
local spent, held, in_period = row[count == 'cost' and COST or SPENT] or '0', row[HELD_SUM] or '0', '0'
local period_at = KIND_AT[period_kind]
if period_at then
    in_period = spent_in_window(account, row, opened, period_at, ids[period_at], count)
end
local record = redis.call('HGET', holds, member)
if record then
    return {HELD, string.match(record, '^%d+'), in_period, spent, held, now_ms}
end
local unspent = unspent_of(period_limit, in_period, total_limit, spent)
local outcome, granted = grant(unspent, held, wanted, least, share)
if outcome == HELD then
    if begins_afresh then
        begin_afresh(account, row, opened, ids, anchor, now_ms)
    end
    redis.call('HSET', account, 'held', plus(held, granted))
    redis.call('HSET', holds, member, granted .. '|' .. table.concat(ids, ' '))
end
return {outcome, granted, in_period, spent, held, now_ms}
