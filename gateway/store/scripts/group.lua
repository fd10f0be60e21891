#!lua
-- group.lua: set the limits of a group, or forget them.
--
-- KEYS[1] {fb}groups  hash  '' -> how often any was changed; identifier -> limits, JSON
-- ARGV[1] identifier  ARGV[2] limits, JSON; '' to forget them
-- ARGV[3] how many groups there may be
--
-- Returns 1 CHANGED, or 0 FULL: there are so many, and this one is not among them. Nothing
-- changed.

local CHANGED, FULL = 1, 0
local CHANGES = ''
local groups, identifier, limits, groups_max = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

if limits ~= '' and redis.call('HEXISTS', groups, identifier) == 0
    and redis.call('HLEN', groups) > groups_max then
    return FULL
end
if limits == '' then
    redis.call('HDEL', groups, identifier)
else
    redis.call('HSET', groups, identifier, limits)
end
redis.call('HINCRBY', groups, CHANGES, 1)
return CHANGED
