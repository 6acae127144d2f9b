# Hash tables, strings and the allocator.
count = {}
state = 1
for i in range(350000):
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    key = "k%d" % (state >> 12)
    count[key] = count.get(key, 0) + 1
ordered = sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))
print(len(count), ordered[0], ordered[-1])
