/* SSE2, packed and scalar. Compiled with -msse2 -mfpmath=sse. */
#include "micro.h"
#include <emmintrin.h>
#include <stddef.h>

enum { SIDE = 64 };

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

static uint32_t scalar(uint32_t n)
{
    double x = 0.5, y = 1.25, sum = 0;
    for (uint32_t i = 0; i < n * 1000; i++) {
        x = x * 0.999999 + y * 0.000001;
        y = y * 1.0000001 - x * 0.0000001;
        sum += x / (y + 2.0);
    }
    return (uint32_t)sum;
}

const struct test sse_tests[] = {
    {"sse2-matrix", "multiply-add", matrix, (double)SIDE *SIDE *SIDE, fill, NULL},
    {"sse2-scalar", "step", scalar, 1000, NULL, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
