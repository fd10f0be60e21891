#!lua flags=no-writes
-- snapshot.lua: read a partition's books at one instant, so that they can be compared while
-- calls go on.
--
-- KEYS[1] {p}cur  hash    cursor -> id of the last stream entry it has passed
-- KEYS[2] {p}ev   stream  usage events
-- KEYS[3] {p}h    hash    request id -> hold record
-- KEYS[4] {p}hx   zset    request id -> lease expiry, Unix ms
-- KEYS[5] {p}ck   hash    customer number -> what it spent and cost before the stream begins
-- KEYS[6..]       hash    what else is to be read: accounts, counters
-- ARGV[1] 1: with the checkpoints of KEYS[5]
--
-- Returns {now, last, cursors, checkpoints, holds, no_lease, no_hold, hashes}
--   now          server time, Unix ms
--   last         id of the stream's last entry, '' when it has none
--   cursors      field, value ...; checkpoints likewise, empty unless asked for
--   holds        request id, number, amount ...; number and amount are '' where the record
--                cannot be read
--   no_lease     request ids of holds without a lease; no_hold: of leases without a hold
--   hashes       of KEYS[6..], in their order: field, value ...; what is no hash has none
-- O(n) in the partition's open holds and in the fields read; the caller bounds the keys.

local cursors, stream, holds, expiries, checkpoints = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local with_checkpoints = ARGV[1] == '1'
local FIRST_HASH = 6

local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))

local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
local last = newest[1] and newest[1][1] or ''

local leases = {}
for _, request_id in ipairs(redis.call('ZRANGE', expiries, 0, -1)) do
    leases[request_id] = true
end
local open, no_lease, no_hold = {}, {}, {}
local records = redis.call('HGETALL', holds)
for i = 1, #records, 2 do
    local request_id = records[i]
    local number, amount = string.match(records[i + 1], '^(%d+)|(%d+)|')
    open[#open + 1] = request_id
    open[#open + 1] = number or ''
    open[#open + 1] = amount or ''
    if leases[request_id] then
        leases[request_id] = nil
    else
        no_lease[#no_lease + 1] = request_id
    end
end
for request_id in pairs(leases) do
    no_hold[#no_hold + 1] = request_id
end

local hashes = {}
for i = FIRST_HASH, #KEYS do
    local fields = redis.pcall('HGETALL', KEYS[i])
    hashes[#hashes + 1] = fields.err and {} or fields
end
return {now, last, redis.call('HGETALL', cursors),
    with_checkpoints and redis.call('HGETALL', checkpoints) or {},
    open, no_lease, no_hold, hashes}
