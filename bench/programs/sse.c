/* SSE2, packed and scalar. Compiled with -msse2 -mfpmath=sse. */
#include "micro.h"
#include <emmintrin.h>
#include <stddef.h>

enum { SIDE = 64, VALUES = 512 };

static double left[SIDE][SIDE] __attribute__((aligned(16)));
static double right[SIDE][SIDE] __attribute__((aligned(16)));
static double product[SIDE][SIDE] __attribute__((aligned(16)));

static void fill(void)
{
    uint32_t state = 5;
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = random_next(&state) / 16777216.0;
            right[i][j] = random_next(&state) / 16777216.0;
        }
    }
}

static uint32_t matrix(uint32_t n)
{
    while (n--) {
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < SIDE; j += 4) {
                __m128d a = _mm_setzero_pd(), b = _mm_setzero_pd();
                for (int k = 0; k < SIDE; k++) {
                    __m128d factor = _mm_set1_pd(left[i][k]);
                    a = _mm_add_pd(a, _mm_mul_pd(factor, _mm_load_pd(&right[k][j])));
                    b = _mm_add_pd(b, _mm_mul_pd(factor, _mm_load_pd(&right[k][j + 2])));
                }
                _mm_store_pd(&product[i][j], a);
                _mm_store_pd(&product[i][j + 2], b);
            }
        }
        left[n % SIDE][0] = product[1][1] / SIDE;
    }
    return (uint32_t)product[SIDE - 1][SIDE - 1];
}

/* A polynomial, a division and a comparison for each element, as in ordinary loops over double. */
static uint32_t scalar(uint32_t n)
{
    static double values[VALUES];
    double sum = 0, most = 0;
    while (n--) {
        for (int i = 0; i < VALUES; i++) {
            double v = values[i], y = ((v * 0.3 + 0.5) * v - 0.7) * v + i * 0.001;
            values[i] = y / (1.5 + v * v);
            sum += y;
            if (y > most) most = y;
        }
    }
    return (uint32_t)(int)(sum + most);
}

const struct test sse_tests[] = {
    {"sse2-matrix", "multiply-add", matrix, (double)SIDE *SIDE *SIDE, fill, NULL},
    {"sse2-scalar", "element", scalar, VALUES, NULL, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
