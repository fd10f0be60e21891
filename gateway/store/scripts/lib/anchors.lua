-- anchors: whose period the custom window of a group or an app is. Its anchor stands in the
-- configuration, which some processes have later than others. So the account has the newest,
-- `custom.anchor`, and for an hour after a change the one before.
--
-- Another anchor begins the window afresh. The one before comes from a process that is still
-- to be started anew, and counts in the window that is open. Needs ids and account.
local ANCHOR_SETTLES_MS = 3600000
local ANCHOR_FIELDS = {'custom.anchor', 'custom.anchor.before', 'custom.anchor.since'}

-- Whether the custom window is to begin afresh: `opened` and `ids` are then as if there had
-- been none. With the anchor before the newest, `ids` become those of the open one.
local function is_new_anchor(account, opened, ids, anchor, now_ms)
    local newest, before, since = unpack(redis.call('HMGET', account, unpack(ANCHOR_FIELDS)))
    if anchor == (newest or '') then
        return false
    end
    if since and anchor == before and now_ms - since < ANCHOR_SETTLES_MS then
        if anchor == '' or ids[CUSTOM] ~= '0' then    -- else it is not of now
            ids[CUSTOM], ids[CUSTOM_END] = opened[CUSTOM], opened[CUSTOM_END]
        end
        return false
    end
    opened[CUSTOM], opened[CUSTOM_END] = '0', '0'
    return true
end

-- Begin it, with nothing spent in it; the ids of no window end it.
local function begin_afresh(account, row, opened, ids, anchor, now_ms)
    local newest = redis.call('HGET', account, 'custom.anchor') or ''
    opened[CUSTOM], opened[CUSTOM_END] = ids[CUSTOM], ids[CUSTOM_END]
    row[WINDOWS] = table.concat(opened, ' ')
    redis.call('HSET', account, 'custom.anchor', anchor, 'custom.anchor.before', newest,
        'custom.anchor.since', string.format('%.0f', now_ms), 'windows', row[WINDOWS])
    if ids[CUSTOM] == '0' then
        redis.call('HDEL', account, 'custom.past.charge', 'custom.past.cost')
    else
        redis.call('HSET', account, 'custom.past.charge', row[SPENT] or '0',
            'custom.past.cost', row[COST] or '0')
    end
end
