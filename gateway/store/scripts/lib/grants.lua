-- grants: how much of what a call wants fits below the limits, given what is left of the
-- tightest (`unspent`) and what is held of it. Needs limbs and shares.
local GRANTED, NO_ROOM, NO_ROOM_YET = 1, 2, 3

-- What is left of the tighter of two limits, '' for none; nil without a limit.
local function unspent_of(period_limit, in_period, total_limit, spent)
    local left
    if period_limit ~= '' then
        left = minus(period_limit, in_period)
    end
    if total_limit ~= '' then
        local in_total = minus(total_limit, spent)
        left = left and less(left, in_total) and left or in_total
    end
    return left
end

-- All of `wanted` where the share of the room allows it, else as much as it does, else
-- `least` where at least that has room. A call that costs nothing passes.
local function grant(unspent, held, wanted, least, share)
    if not unspent or wanted == '0' then
        return GRANTED, wanted
    end
    local room = minus(unspent, held)
    if less(unspent, least) then
        return NO_ROOM, wanted
    elseif less(room, least) then
        return NO_ROOM_YET, wanted
    end
    local allowed = share_of(room, share)
    if not less(allowed, wanted) then
        return GRANTED, wanted
    end
    return GRANTED, less(allowed, least) and least or allowed
end
