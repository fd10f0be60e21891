-- limbs: exact arithmetic on decimal strings of any length.
--
-- Lua numbers are doubles and lose units above 2^53, which an amount in pico-USD passes at
-- $9,007. So money is text: what is short enough goes through a double, which is exact for
-- it; the rest is added limb by limb, 14 digits each. There is no end to a balance.
local LIMB_DIGITS, LIMB = 14, 100000000000000
local EXACT = 15    -- digits, or a sign and one less: the sum of two such is below 2^53

local function is_negative(text)
    return string.byte(text) == 45
end

-- '-' .. '0' would be "-0", which is no decimal of ours.
local function negated(text)
    if text == '0' then
        return '0'
    end
    return is_negative(text) and string.sub(text, 2) or '-' .. text
end

local function fewer(a, b)
    return #a < #b or (#a == #b and a < b)
end

-- Digits of a + b, or with sign -1 of a - b; a is not the lesser of the two.
local function combined(a, b, sign)
    local digits, carry = '', 0
    local i, j = #a, #b
    while i > 0 do
        local limb = tonumber(string.sub(a, math.max(1, i - LIMB_DIGITS + 1), i)) + carry
        if j > 0 then
            limb = limb + sign * tonumber(string.sub(b, math.max(1, j - LIMB_DIGITS + 1), j))
        end
        carry = 0
        if limb < 0 then
            limb, carry = limb + LIMB, -1
        elseif limb >= LIMB then
            limb, carry = limb - LIMB, 1
        end
        digits = string.format('%014.0f', limb) .. digits
        i, j = i - LIMB_DIGITS, j - LIMB_DIGITS
    end
    return string.match((carry == 1 and '1' or '') .. digits, '^0*(%d+)$')
end

local function plus(a, b)
    if #a <= EXACT and #b <= EXACT then
        return string.format('%.0f', a + b)
    end
    local a_negative, b_negative = is_negative(a), is_negative(b)
    local a_digits = a_negative and string.sub(a, 2) or a
    local b_digits = b_negative and string.sub(b, 2) or b
    local negative = a_negative
    if fewer(a_digits, b_digits) then
        a_digits, b_digits, negative = b_digits, a_digits, b_negative
    end
    local digits = combined(a_digits, b_digits, a_negative == b_negative and 1 or -1)
    return negative and negated(digits) or digits
end

local function minus(a, b)
    if #a <= EXACT and #b <= EXACT then
        return string.format('%.0f', a - b)
    end
    return plus(a, negated(b))
end

local function less(a, b)
    if #a <= EXACT and #b <= EXACT then
        return tonumber(a) < tonumber(b)
    end
    local a_negative, b_negative = is_negative(a), is_negative(b)
    if a_negative ~= b_negative then
        return a_negative
    end
    if a_negative then
        return fewer(b, a)
    end
    return fewer(a, b)
end
