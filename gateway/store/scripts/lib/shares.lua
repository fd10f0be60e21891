-- shares: the n-th part of an amount, rounded down. Needs limbs.
local PART_DIGITS, PART, SHARES_MAX = 7, 10000000, 100000000

local function share_of(amount, n)
    if n == 1 or is_negative(amount) then
        return amount
    end
    local digits, rest = '', 0
    local first = #amount % PART_DIGITS
    for from = first - PART_DIGITS + 1, #amount, PART_DIGITS do
        local part = tonumber(string.sub(amount, math.max(1, from), from + PART_DIGITS - 1)) or 0
        part = part + rest * PART
        rest = part % n
        digits = digits .. string.format('%07.0f', (part - rest) / n)
    end
    return string.match(digits, '^0*(%d+)$')
end
