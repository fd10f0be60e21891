-- lowered: count what a lowered limit leaves beyond it as `over.limit`, each time that one is.
-- What lay beyond before has another cause. Needs limbs, windows, opened and beyond.

local function count_lowered(account, ids, count, before, after)
    if before[1] == after[1] and before[2] == after[2] and before[3] == after[3] then
        return
    end
    local row = read_account(account)
    local opened = split_ids(row[WINDOWS] or NO_WINDOWS)
    ids = current_ids(opened, ids)
    local more = minus(left_beyond(account, row, opened, ids, count, after),
        left_beyond(account, row, opened, ids, count, before))
    if less('0', more) then
        local changed = {}
        count_over(account, changed, 'over.limit', more)
        redis.call('HSET', account, unpack(changed))
    end
end
