-- limbs: exact arithmetic on int64 decimal strings.
--
-- Lua numbers are doubles and lose units above 2^53; a pico-USD amount can pass that. A
-- number here is {high, low}: value = high * 1e9 + low, with 0 <= low < 1e9, so that both
-- limbs stay far below 2^53. Writing stays with HINCRBY, which is exact in int64.
local LIMB = 1000000000

local function limbs(text)
    local negative = string.sub(text, 1, 1) == '-'
    local digits = negative and string.sub(text, 2) or text
    local high = tonumber(string.sub(digits, 1, -10)) or 0
    local low = tonumber(string.sub(digits, -9))
    if not negative then
        return {high, low}
    end
    if low == 0 then
        return {-high, 0}
    end
    return {-high - 1, LIMB - low}
end

local function add(a, b)
    local low = a[2] + b[2]
    if low >= LIMB then
        return {a[1] + b[1] + 1, low - LIMB}
    end
    return {a[1] + b[1], low}
end

local function sub(a, b)
    local low = a[2] - b[2]
    if low < 0 then
        return {a[1] - b[1] - 1, low + LIMB}
    end
    return {a[1] - b[1], low}
end

local function less(a, b)
    return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end

local function to_text(a)
    local high, low = a[1], a[2]
    if high >= 0 then
        if high == 0 then
            return string.format('%d', low)
        end
        return string.format('%.0f%09d', high, low)
    end
    if low > 0 then
        high, low = high + 1, LIMB - low
    end
    if high == 0 then
        return string.format('-%d', low)
    end
    return string.format('-%.0f%09d', -high, low)
end
