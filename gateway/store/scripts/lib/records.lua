-- records: a hold as it stands in {p}h: <number>|<amount>|<orphan>|<window ids>|<details>.
-- `orphan` is what is posted should the call never end; `details` are that event's.
local function record_of(number, amount, orphan, ids, details)
    return number .. '|' .. amount .. '|' .. orphan .. '|' .. ids .. '|' .. details
end

local function read_hold(holds, request_id)
    local record = redis.call('HGET', holds, request_id)
    if not record then
        return nil
    end
    local number, amount, orphan, ids, details = string.match(record, '^(%d+)|(%d+)|(%d+)|([%d ]+)|(.*)$')
    return {number = number, amount = amount, orphan = orphan, ids = ids, details = details}
end
