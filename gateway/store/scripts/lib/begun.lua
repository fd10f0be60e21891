-- begun: the windows of a caller whose clock nobody has compared, without those that have not
-- begun by the server's: in their place counts what is open. Needs ids.
local function begun(opened_text, ids_text)
    local now = tonumber(redis.call('TIME')[1])
    local opened, ids = split_ids(opened_text), split_ids(ids_text)
    for i = 1, CUSTOM do
        if tonumber(ids[i]) > now then
            stay(opened, ids, i)
        end
    end
    return table.concat(ids, ' ')
end
