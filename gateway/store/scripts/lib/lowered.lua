-- lowered: count what a lowered limit leaves beyond it as `over.limit`, each time that one is.
-- What lay beyond before has another cause. Needs limbs, windows and opened.

-- The most that lies beyond any of the limits: the period's window kind and amount, and the
-- total's; '' for none.
local function left_beyond(account, row, ids, count, limits)
    local held, most = row[HELD_SUM] or '0', '0'
    local function look(limit, spent)
        local over = minus(plus(spent, held), limit)
        if less(most, over) then
            most = over
        end
    end
    local at = KIND_AT[limits[1]]
    if limits[2] ~= '' and at and ids[at] ~= '0' then
        look(limits[2], spent_in_window(account, row, at, ids[at], count))
    end
    if limits[3] ~= '' then
        look(limits[3], row[count == 'cost' and COST or SPENT] or '0')
    end
    return most
end

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
