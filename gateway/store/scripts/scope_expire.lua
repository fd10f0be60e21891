#!lua flags=allow-oom
-- scope_expire.lua: take off what a group or an app holds for a call that is long over, and
-- whose end nobody can tell any more. Nothing is charged: it has no event.
--
-- KEYS[1] {p}g:<scope>  hash  spent, held, windows; pico-USD
-- KEYS[2] {p}gh         hash  "<scope> <request id>" -> "<amount>|<window ids>"
-- ARGV[1] scope         ARGV[2] request id
--
-- Returns one of
--   1 EXPIRED  it is taken off.
--   2 NOT_DUE  the id is so young that its end may come yet. Nothing changed.
--   3 GONE     nothing is held for it. Nothing changed.
-- The caller has seen that no customer's hold and no uncounted event names the call.
-- Runs when memory is full. O(1).

local EXPIRED, NOT_DUE, GONE = 1, 2, 3
local account, holds, scope, request_id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

--@include limbs
--@include scopes
--@include finish
--@include ages

if not is_too_old(request_id) then
    return NOT_DUE
end
local member = scope_member(scope, request_id)
local record = redis.call('HGET', holds, member)
if not record then
    return GONE
end
local held = redis.call('HGET', account, 'held') or '0'
redis.call('HSET', account, 'held', minus(held, string.match(record, '^%d+')))
redis.call('HDEL', holds, member)
return EXPIRED
