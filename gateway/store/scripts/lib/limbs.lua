-- limbs: exact arithmetic on amounts, which are decimal strings of up to 28 digits.
--
-- Lua numbers are doubles and lose units above 2^53, which an amount in pico-USD passes at
-- $9,007. So a number is two of them: high * 1e14 + low, with 0 <= low < 1e14. Both are
-- exact up to 28 digits; no balance gets there. What is short is added as it is.
local LIMB_DIGITS, LIMB = 14, 100000000000000
local EXACT = 15    -- digits, or a sign and one less: the sum of two such is below 2^53
local format, slice = string.format, string.sub

-- '-' .. '0' would be "-0", which is no decimal of ours.
local function negated(text)
    if text == '0' then
        return '0'
    end
    return slice(text, 1, 1) == '-' and slice(text, 2) or '-' .. text
end

local function limbs(text)
    if #text <= LIMB_DIGITS then
        local low = tonumber(text)
        if low < 0 then
            return -1, LIMB + low
        end
        return 0, low
    end
    local high, low = tonumber(slice(text, 1, -15)), tonumber(slice(text, -14))
    if slice(text, 1, 1) == '-' then
        high = high or 0    -- '-' alone
        if low == 0 then
            return high, 0
        end
        return high - 1, LIMB - low
    end
    return high, low
end

local function to_text(high, low)
    if high < 0 then
        if low > 0 then
            high, low = high + 1, LIMB - low
        end
        return high == 0 and format('-%d', low) or format('-%d%014d', -high, low)
    end
    return high == 0 and format('%d', low) or format('%d%014d', high, low)
end

local function add_limbs(a_high, a_low, b_high, b_low)
    local low = a_low + b_low
    if low >= LIMB then
        return a_high + b_high + 1, low - LIMB
    end
    return a_high + b_high, low
end

local function sub_limbs(a_high, a_low, b_high, b_low)
    local low = a_low - b_low
    if low < 0 then
        return a_high - b_high - 1, low + LIMB
    end
    return a_high - b_high, low
end

local function less_limbs(a_high, a_low, b_high, b_low)
    return a_high < b_high or (a_high == b_high and a_low < b_low)
end

local function difference(a, b)
    local high, low = limbs(b)
    local a_high, a_low = limbs(a)
    return sub_limbs(a_high, a_low, high, low)
end

local function plus(a, b)
    if #a <= EXACT and #b <= EXACT then
        return format('%d', a + b)
    end
    local high, low = limbs(b)
    local a_high, a_low = limbs(a)
    return to_text(add_limbs(a_high, a_low, high, low))
end

local function minus(a, b)
    if #a <= EXACT and #b <= EXACT then
        return format('%d', a - b)
    end
    return to_text(difference(a, b))
end

local function less(a, b)
    if #a <= EXACT and #b <= EXACT then
        return tonumber(a) < tonumber(b)
    end
    local high, low = limbs(b)
    local a_high, a_low = limbs(a)
    return less_limbs(a_high, a_low, high, low)
end
