-- scopes: how a group or an app remembers a call: `<scope> <request id>` in one hash while
-- it holds something for it, in another once it has ended.
local SCOPE_TOMBSTONE_SECONDS = 180000

local function scope_member(scope, request_id)
    return scope .. ' ' .. request_id
end
