-- mark: say of customers that their rows in the roster are to be written anew.
--
-- `changed` is a zset, number -> stamp: microseconds of the server's clock, and never less
-- than before, so that of two rows the one with the later stamp is of the later state. The
-- last stamp given stands under LAST_STAMP.
local LAST_STAMP, MARKED_AT_ONCE = '#', 1000

local function mark(changed, numbers)
    if #numbers == 0 then
        return
    end
    local time = redis.call('TIME')
    local last = tonumber(redis.call('ZSCORE', changed, LAST_STAMP) or '0')
    local stamp = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
    for from = 1, #numbers, MARKED_AT_ONCE do
        local marked = {}
        for i = from, math.min(from + MARKED_AT_ONCE - 1, #numbers) do
            marked[#marked + 1], marked[#marked + 2] = stamp, numbers[i]
        end
        redis.call('ZADD', changed, unpack(marked))
    end
    redis.call('ZADD', changed, stamp, LAST_STAMP)
end
