-- beyond: how much of an amount that was not held for lies beyond the limits: the most by any
-- of them. `row` is the account before it. Needs limbs, ids, windows and opened.

local function beyond_of(limit, spent, held, amount)
    local over = minus(plus(plus(spent, held), amount), limit)
    return less(amount, over) and amount or over
end

local function beyond_limits(account, row, ids, amount, count, period_kind, period_limit, total_limit)
    local held, most = row[HELD_SUM] or '0', '0'
    local at = KIND_AT[period_kind]
    if period_limit ~= '' and at and ids[at] ~= '0' then
        local in_period = spent_in_window(account, row, at, ids[at], count)
        local over = beyond_of(period_limit, in_period, held, amount)
        most = less(most, over) and over or most
    end
    if total_limit ~= '' then
        local spent = row[count == 'cost' and COST or SPENT] or '0'
        local over = beyond_of(total_limit, spent, held, amount)
        most = less(most, over) and over or most
    end
    return most
end
