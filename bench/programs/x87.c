/* The x87 and its stack: arithmetic, loads, stores, conversions, a square root. Compiled with
 * -mfpmath=387. */
#include "micro.h"
#include <stddef.h>

enum { VALUES = 256 };

static uint32_t x87(uint32_t n)
{
    static double values[VALUES];
    long double sum = 1;
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = 1.0 + i / 7.0;
    for (uint32_t round = 0; round < n; round++) {
        for (uint32_t i = 0; i < VALUES; i++) {
            double v = values[i];
            long double root;
            __asm__("fsqrt" : "=t"(root) : "0"((long double)(v * v + 1.0)));
            sum = sum * 0.5L + root * v;
            values[i] = (double)(root - 1.0L / (v + 1.0)) - (int)v % 3 * 0.125;
            if (values[i] > 1000) values[i] = 1;
        }
    }
    return (uint32_t)sum;
}

const struct test x87_tests[] = {
    {"x87", "step", x87, VALUES, NULL, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
