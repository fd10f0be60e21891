-- lowered: count what a lowered limit leaves beyond it as `over.limit`, each time that one is.
-- What lay beyond before has another cause. Needs limbs, windows, opened and beyond.

local function count_lowered(account, ids, count, before, after)
    if before[1] == after[1] and before[2] == after[2] and before[3] == after[3] then
        return
    end
    local row = read_account(account)
    ids = current_ids(opened_ids(row), ids, row[UNTIL])
    local more = minus(left_beyond(account, row, ids, count, after),
        left_beyond(account, row, ids, count, before))
    if less('0', more) then
        local changed = {}
        count_over(account, changed, 'over.limit', more)
        redis.call('HSET', account, unpack(changed))
    end
end
