-- beyond: how far an account is past its limits. `limits` is the period's window kind and
-- amount, and the total's; '' for none. `opened` are its open windows, as
-- split_ids gives them. Needs limbs, ids, account, windows and opened.

-- What is spent and held, less the limit, by the limit of which most is used; negative while
-- there is room. Nil without a limit in these windows.
local function furthest(account, row, opened, ids, count, limits)
    local held, most = row[HELD_SUM] or '0', nil
    local function look(limit, spent)
        local over = minus(plus(spent, held), limit)
        if not most or less(most, over) then
            most = over
        end
    end
    local at = KIND_AT[limits[1]]
    if limits[2] ~= '' and at and ids[at] ~= '0' then
        look(limits[2], spent_in_window(account, row, opened, at, ids[at], count))
    end
    if limits[3] ~= '' then
        look(limits[3], row[count == 'cost' and COST or SPENT] or '0')
    end
    return most
end

-- What lies beyond the limits now.
local function left_beyond(account, row, opened, ids, count, limits)
    local over = furthest(account, row, opened, ids, count, limits)
    return over and less('0', over) and over or '0'
end

-- How much of an amount that was not held for lies beyond them; `row` is the account before it.
local function beyond_limits(account, row, opened, ids, amount, count, limits)
    local over = furthest(account, row, opened, ids, count, limits)
    if not over then
        return '0'
    end
    over = plus(over, amount)
    if less(amount, over) then
        over = amount
    end
    return less('0', over) and over or '0'
end

-- Add to `changed` what of such an amount lies beyond them: it is booked all the same.
local function count_reported(account, changed, row, opened, ids, charge, cost, count, limits)
    local amount = count == 'cost' and cost or charge
    local beyond = beyond_limits(account, row, opened, ids, amount, count, limits)
    if beyond ~= '0' then
        count_over(account, changed, 'over.event', beyond)
    end
end
