-- ages: how old an id is, by the time that stands in it. Needs finish.
local function is_too_old(request_id)
    local made_ms = tonumber(string.sub(request_id, 5, 16), 16)
    local time = redis.call('TIME')
    return time[1] * 1000 - made_ms > TOO_OLD_SECONDS * 1000
end
