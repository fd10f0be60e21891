-- grants: how much of what a call wants fits below the limits, given what is left of the
-- tightest (`unspent`) and what is held of it. Needs limbs and shares.
local GRANTED, NO_ROOM, NO_ROOM_YET = 1, 2, 3

-- What is left of the tighter of two limits, '' for none; nil without a limit. For `grant`.
local function unspent_of(period_limit, in_period, total_limit, spent)
    if period_limit == '' and total_limit == '' then
        return nil
    elseif total_limit == '' then
        return {difference(period_limit, in_period)}
    end
    local high, low = difference(total_limit, spent)
    if period_limit ~= '' then
        local period_high, period_low = difference(period_limit, in_period)
        if less_limbs(period_high, period_low, high, low) then
            return {period_high, period_low}
        end
    end
    return {high, low}
end

-- All of `wanted` where the share of the room allows it, else as much as it does, else
-- `least` where at least that has room. A call that costs nothing passes.
local function grant(unspent, held, wanted, least, share)
    if not unspent or wanted == '0' then
        return GRANTED, wanted
    end
    local high, low = unspent[1], unspent[2]
    local least_high, least_low = limbs(least)
    if less_limbs(high, low, least_high, least_low) then
        return NO_ROOM, wanted
    end
    high, low = sub_limbs(high, low, limbs(held))
    if less_limbs(high, low, least_high, least_low) then
        return NO_ROOM_YET, wanted
    end
    high, low = share_of(high, low, share)
    if not less_limbs(high, low, limbs(wanted)) then
        return GRANTED, wanted
    end
    return GRANTED, less_limbs(high, low, least_high, least_low) and least or to_text(high, low)
end
