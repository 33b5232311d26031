/* Products without a matrix unit, on the bfloat16 lanes of AVX-512: ROWS rows of 32 columns stay in registers. */

#include "_trunk_product.h"

enum { ROWS = 8 };

/* sums[ROWS][32] += a[ROWS][32] x b[16][16][2] beside next[16][16][2], with b_stride between rows */
INLINE void lanes_multiply(__m512 sums[ROWS][2], const half *a, int64_t stride, const half *b, const half *next,
                           int64_t b_stride) {
    for (int k = 0; k < LANES; k++, b += b_stride, next += b_stride) {
        const __m512bh one = (__m512bh)_mm512_loadu_si512(b), two = (__m512bh)_mm512_loadu_si512(next);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            int32_t both;
            memcpy(&both, a + row * stride + k * 2, 4);
            const __m512bh left = (__m512bh)_mm512_set1_epi32(both);
            sums[row][0] = _mm512_dpbf16_ps(sums[row][0], left, one);
            sums[row][1] = _mm512_dpbf16_ps(sums[row][1], left, two);
        }
    }
}

TARGET void product_of_lanes(const Product *p) {
    for (int64_t top = 0; top < STEP; top += ROWS) {
        __m512 sums[ROWS][2] = {0};
        for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
            const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
            const half *b = p->packed + which[1] * p->packed_part;
            for (int64_t tap = 0; tap < p->taps; tap++) {
                const half *rows = p->a + which[0] * p->a_part + (top + tap) * p->stride;
                for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += 2 * TILE)
                    lanes_multiply(sums, rows, p->stride, b, b + TILE, STEP);
            }
        }
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            float *out = p->out + (top + row) * p->out_stride;
            _mm512_storeu_ps(out, sums[row][0]);
            _mm512_storeu_ps(out + LANES, sums[row][1]);
        }
    }
}

TARGET void accumulate_lanes(const Accumulation *p) {
    for (int64_t top = 0; top < STEP; top += ROWS) {
        float *to = p->sums + top / LANES * 2 * SUMS + top % LANES * LANES;
        __m512 sums[ROWS][2];
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            sums[row][0] = _mm512_loadu_ps(to + row * LANES);
            sums[row][1] = _mm512_loadu_ps(to + SUMS + row * LANES);
        }
        for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
            const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
            const half *rows = p->a + which[0] * p->a_part + top * p->a_stride;
            const half *b = p->words + which[1] * p->words_part;
            for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += LANES * p->words_stride)
                lanes_multiply(sums, rows, p->a_stride, b, b + STEP, p->words_stride);
        }
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            _mm512_storeu_ps(to + row * LANES, sums[row][0]);
            _mm512_storeu_ps(to + SUMS + row * LANES, sums[row][1]);
        }
    }
}
