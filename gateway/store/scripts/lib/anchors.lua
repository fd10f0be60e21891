-- anchors: whose period the custom window of a group or an app is. Its anchor stands in the
-- configuration, which some processes have later than others. So the account has the newest,
-- `custom.anchor`, and for an hour after a change the one before.
--
-- Another anchor begins the window afresh. The one before comes from a process that is still
-- to be started anew, and counts in the window that is open. Needs ids and windows.
local ANCHOR_SETTLES_MS = 3600000
local ANCHOR_FIELDS = {'custom.anchor', 'custom.anchor.before', 'custom.anchor.since'}

-- Whether the custom window is to begin afresh: `row` and `ids` are then as if there had been
-- none. With the anchor before the newest, `ids` become those of the open one.
local function is_new_anchor(account, row, ids, anchor, now_ms)
    local newest, before, since = unpack(redis.call('HMGET', account, unpack(ANCHOR_FIELDS)))
    local at = BEFORE_WINDOWS + CUSTOM
    if anchor == (newest or '') then
        return false
    end
    if since and anchor == before and now_ms - since < ANCHOR_SETTLES_MS then
        if anchor == '' or ids[CUSTOM] ~= '0' then    -- else it is not of now
            ids[CUSTOM], ids[CUSTOM_END] = row[at] or '0', row[UNTIL] or '0'
        end
        return false
    end
    row[at], row[UNTIL] = false, false
    return true
end

-- Begin it, with nothing spent in it; the ids of no window end it.
local function begin_afresh(account, row, ids, anchor, now_ms)
    local newest = redis.call('HGET', account, 'custom.anchor') or ''
    redis.call('HSET', account, 'custom.anchor', anchor, 'custom.anchor.before', newest,
        'custom.anchor.since', string.format('%.0f', now_ms))
    if ids[CUSTOM] == '0' then
        redis.call('HDEL', account, 'custom', 'custom.past.charge', 'custom.past.cost', 'custom.until')
        return
    end
    row[BEFORE_WINDOWS + CUSTOM], row[UNTIL] = ids[CUSTOM], ids[CUSTOM_END]
    redis.call('HSET', account, 'custom', ids[CUSTOM], 'custom.until', ids[CUSTOM_END],
        'custom.past.charge', row[SPENT] or '0', 'custom.past.cost', row[COST] or '0')
end
