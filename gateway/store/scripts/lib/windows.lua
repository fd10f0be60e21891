-- windows: what an account counts per calendar window.
--
-- An account has, for each kind below, the id of its current window (the window's start,
-- Unix seconds), and what was charged and what it cost in it: `month`, `month.charge`,
-- `month.cost`. Ids only move forward: an amount for a later window opens it, one for an
-- earlier window is left to the totals. Nothing ever resets a window to zero.
local KINDS = {'day', 'week', 'month', 'year', 'custom'}

local function split_ids(text)
    local ids = {}
    for id in string.gmatch(text, '%d+') do
        ids[#ids + 1] = id
    end
    return ids
end

-- The windows that count now: those given, or a later one where the account has `opened` it
-- already. So a clock that steps back, and a zone that was changed, neither stop a customer
-- nor lose sight of what it spent; the next window puts it right.
local function current_ids(opened, ids)
    for i = 1, #KINDS do
        if opened[i] and ids[i] ~= '0' and tonumber(opened[i]) > tonumber(ids[i]) then
            ids[i] = opened[i]
        end
    end
    return ids
end

-- Add `charge` and `cost` to the windows whose ids are given ('0': not this kind).
local function count_in_windows(account, ids, charge, cost)
    for i, kind in ipairs(KINDS) do
        local id = tonumber(ids[i])
        if id > 0 then
            local current = tonumber(redis.call('HGET', account, kind) or '0')
            if current == id then
                redis.call('HINCRBY', account, kind .. '.charge', charge)
                redis.call('HINCRBY', account, kind .. '.cost', cost)
            elseif current < id then
                redis.call('HSET', account, kind, ids[i],
                    kind .. '.charge', charge, kind .. '.cost', cost)
            end
        end
    end
end

-- Add to the totals and to the windows.
local function book(account, ids, charge, cost)
    redis.call('HINCRBY', account, 'spent', charge)
    redis.call('HINCRBY', account, 'cost', cost)
    count_in_windows(account, ids, charge, cost)
end
