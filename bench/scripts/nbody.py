# Floating point by an interpreter: five bodies and their pull on each other.
bodies = [
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47],
    [4.84, -1.16, -0.10, 0.60, 2.81, -0.02, 0.037],
    [8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011],
    [12.89, -15.11, -0.22, 1.08, 0.86, -0.010, 0.0017],
    [15.37, -25.91, 0.17, 0.97, 0.59, -0.034, 0.0020],
]
pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1:]]
for step in range(20000):
    for a, b in pairs:
        dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
        pull = 0.001 * (dx * dx + dy * dy + dz * dz) ** -1.5
        for axis, d in enumerate((dx, dy, dz)):
            a[3 + axis] -= d * b[6] * pull
            b[3 + axis] += d * a[6] * pull
    for body in bodies:
        body[0] += 0.001 * body[3]
        body[1] += 0.001 * body[4]
        body[2] += 0.001 * body[5]
print("%.6f %.6f" % (bodies[0][0], bodies[4][1]))
