-- Hot loops, traces with side exits, FFI, coroutines and strings: prints the same with and without the JIT compiler.
local ffi = require("ffi")
local bit = require("bit")

local function fannkuch(n)
    local p, q, s, sign, max, sum = {}, {}, {}, 1, 0, 0
    for i = 1, n do p[i], q[i], s[i] = i, i, i end
    repeat
        local q0 = p[1]
        if q0 ~= 1 then
            for i = 2, n do q[i] = p[i] end
            local flips = 1
            while true do
                local qq = q[q0]
                if qq == 1 then
                    sum = sum + sign * flips
                    if flips > max then max = flips end
                    break
                end
                q[q0] = q0
                if q0 >= 4 then
                    local i, j = 2, q0 - 1
                    repeat q[i], q[j] = q[j], q[i]; i = i + 1; j = j - 1 until i >= j
                end
                q0 = qq
                flips = flips + 1
            end
        end
        if sign == 1 then
            p[1], p[2], sign = p[2], p[1], -1
        else
            p[2], p[3], sign = p[3], p[2], 1
            for i = 3, n do
                local sx = s[i]
                if sx ~= 1 then s[i] = sx - 1; break end
                if i == n then return sum, max end
                s[i] = i
                local t = p[1]
                for j = 1, i do p[j] = p[j + 1] end
                p[i + 1] = t
            end
        end
    until false
end
print("fannkuch", fannkuch(8))

ffi.cdef("typedef struct { double x, y, z; int32_t n; uint8_t b[4]; } body; uint64_t dummy;")
local bodies = ffi.new("body[64]")
for round = 1, 3000 do
    for i = 0, 63 do
        local b = bodies[i]
        b.x = b.x + i * 0.5 - b.y / 3
        b.y = b.y * 0.75 + (round % 7)
        b.n = b.n + (b.b[round % 4] < 128 and i or -i)
        b.b[round % 4] = b.b[round % 4] + i
    end
end
local sum, n = 0, 0
for i = 0, 63 do sum = sum + bodies[i].x * bodies[i].y; n = n + bodies[i].n end
print(("ffi %.10g %d"):format(sum, n))

local u = ffi.new("uint64_t", 88172645463325252ULL)
for _ = 1, 300000 do
    u = bit.bxor(u, bit.lshift(u, 13)); u = bit.bxor(u, bit.rshift(u, 7)); u = bit.bxor(u, bit.lshift(u, 17))
end
print("xorshift", tostring(u))

local function walk(t) if type(t) == "table" then for _, v in ipairs(t) do walk(v) end else coroutine.yield(t) end end
local tree = {}
for i = 1, 2000 do tree[i] = i % 3 == 0 and { i, { i * 2, "s" .. i } } or i end
local count, text = 0, {}
for v in coroutine.wrap(function() walk(tree) end) do count = count + 1; text[#text + 1] = v end
local joined = table.concat(text, ",")
local hash = 0
for i = 1, #joined do hash = bit.tobit(hash * 31 + joined:byte(i)) end
print("coroutines", count, hash, select(2, joined:gsub("s(%d)", "%1")))

local matrix, size = {}, 60
for i = 1, size do matrix[i] = {}; for j = 1, size do matrix[i][j] = (i * j) % 17 - 8.5 end end
local trace = 0
for i = 1, size do
    for j = 1, size do
        local s = 0
        for k = 1, size do s = s + matrix[i][k] * matrix[k][j] end
        trace = trace + (i == j and s or s > 0 and 1 or -1)
    end
end
print("matrix", trace)
local caught = 0
for i = 1, 20000 do if not pcall(function() if i % 5 == 0 then error("x") end; return nil + i end) then caught = caught + 1 end end
print("errors", caught)
