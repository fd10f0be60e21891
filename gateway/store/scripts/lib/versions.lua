-- versions: whether the customer is still as the caller believes; version '0': not there
-- yet. A mapping whose profile is gone counts as nobody, under the number that it names.
local function is_current(number_key, profile, number, version)
    local stored = redis.call('HGET', profile, 'version')
    if version ~= '0' then
        return stored == version
    end
    local known = redis.call('GET', number_key)
    return not stored and (not known or known == number)
end
