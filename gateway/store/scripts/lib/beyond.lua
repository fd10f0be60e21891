-- beyond: what is booked without asking may lie beyond a limit. It is booked all the same,
-- and counted as such in `over.event`: the most by any of the limits.
--
-- Needs limbs, windows, opened; and of the script `period_kind`, `period_limit`,
-- `total_limit` ('' for none) and `count`.
local function count_beyond(account, changed, row, ids, amount)
    local beyond = '0'
    local function look_beyond(limit, spent)
        local over = minus(plus(plus(spent, row[HELD_SUM] or '0'), amount), limit)
        if less(amount, over) then
            over = amount
        end
        if less(beyond, over) then
            beyond = over
        end
    end
    local at = KIND_AT[period_kind]
    if period_limit ~= '' and at and ids[at] ~= '0' then
        look_beyond(period_limit, spent_in_window(account, row, at, ids[at], count))
    end
    if total_limit ~= '' then
        look_beyond(total_limit, row[count == 'cost' and COST or SPENT] or '0')
    end
    if beyond ~= '0' then
        count_over(account, changed, 'over.event', beyond)
    end
end
