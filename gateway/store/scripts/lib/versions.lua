-- versions: whether the customer is still as the caller believes. A version that begins with 0:
-- not there, and behind the 0 the mark of what was left of one who went under that name, as
-- far as the caller has heard (`left`, {p}x:<hash>). A mapping whose profile is gone counts
-- as nobody, under the number that it names.
local function is_current(number_key, profile, number, version, left)
    local stored = redis.call('HGET', profile, 'version')
    if string.sub(version, 1, 1) ~= '0' then
        return stored == version
    end
    local known = redis.call('GET', number_key)
    local mark = redis.call('HGET', left, 'mark')
    return not stored and (not known or known == number) and version == '0' .. (mark or '')
end
