# A loop with floating point, strings and an array.
BEGIN {
    for (i = 0; i < 1800000; i++) {
        x = (x * 1.0001 + i) % 10007
        a[i % 997] += x
        if (i % 7 == 0) s = substr(s "abcdefg", 3, 40)
    }
    for (i = 0; i < 997; i++) t += a[i]
    printf "%.3f %s\n", t, s
}
