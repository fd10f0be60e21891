-- upsert: write a customer's mapping and profile, as decided by the caller.
--
-- `pairs_from` is the first index of ARGV's field, value, field, value ...; a value of
-- one byte 0x00 removes the field. `changed` is {p}r: the customer's row in the roster is to
-- be written anew. Needs mark.
local REMOVE = '\0'

local function upsert(number_key, profile, number, pairs_from, changed)
    if #ARGV < pairs_from then
        return
    end
    redis.call('SET', number_key, number)
    for i = pairs_from, #ARGV, 2 do
        if ARGV[i + 1] == REMOVE then
            redis.call('HDEL', profile, ARGV[i])
        else
            redis.call('HSET', profile, ARGV[i], ARGV[i + 1])
        end
    end
    redis.call('HINCRBY', profile, 'version', 1)
    mark(changed, {number})
end
