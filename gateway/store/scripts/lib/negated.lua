-- negated: a decimal string with its sign turned. '-' .. '0' is "-0", which HINCRBY
-- refuses, and `0 - x` would pass through a double.
local function negated(text)
    if text == '0' then
        return '0'
    end
    if string.sub(text, 1, 1) == '-' then
        return string.sub(text, 2)
    end
    return '-' .. text
end
