-- account: what is read of an account to count in it. `windows` are the ids of its open
-- windows, as scripts are given them (ids).
local SPENT, COST, HELD_SUM, WINDOWS = 1, 2, 3, 4

local function read_account(account)
    return redis.call('HMGET', account, 'spent', 'cost', 'held', 'windows')
end
