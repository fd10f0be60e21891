-- beyond: what an account has taken beyond its limits, spent and held together. Needs limbs,
-- windows and opened.

-- The most that lies beyond any of them, once `more` is taken. `limits`: the period limit's
-- window kind and amount, and the total limit; '' for none.
local function beyond_limits(account, row, ids, count, limits, more)
    local taken, most = plus(row[HELD_SUM] or '0', more), '0'
    local function look(limit, spent)
        local over = minus(plus(spent, taken), limit)
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
