-- shares: the n-th part of what is not negative, rounded down; n up to 64, so that the rest of
-- the high limb, times a limb, stays below 2^53. Needs limbs.
local function share_of(high, low, n)
    local rest = high % n
    low = rest * LIMB + low
    return (high - rest) / n, (low - low % n) / n
end
