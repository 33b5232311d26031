/* Matrix products that skip inputs which are zero: ReLU and max-pooling leave about half of a layer's outputs at zero.

   TOGETHER rows are multiplied at a time, so each weight that is read is used that often; an input is skipped where it
   is zero in all of them. The inputs that count are listed first; the same list serves every column. */

#if LANES == 16 && defined(__x86_64__)
#include <immintrin.h>
#endif

/* Lists the inputs that are not zero in all TOGETHER rows, `stride` floats apart; returns their number. `list` has room
   for all `inputs`, at most 65,536, and for SLACK more. */
STAGE int64_t NAME(list_inputs)(const float *a, int64_t stride, int64_t inputs, uint16_t *list) {
    int64_t count = 0;
#if LANES == 16 && defined(__x86_64__)
    /* LANES at a time: the numbers of those that count move to the front of a register */
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t k = 0; k < inputs; k += LANES) {
        __m512i bits = _mm512_loadu_si512(a + k);
        for (int t = 1; t < TOGETHER; t++) bits = _mm512_or_si512(bits, _mm512_loadu_si512(a + t * stride + k));
        __mmask16 used = _mm512_test_epi32_mask(bits, bits);
        if (inputs - k < LANES) used &= (__mmask16)((1u << (inputs - k)) - 1);
        const __m512i chosen = _mm512_maskz_compress_epi32(used, numbers);
        _mm256_storeu_si256((__m256i *)(list + count), _mm512_cvtepi32_epi16(chosen));
        count += __builtin_popcount(used);
        numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(LANES));
    }
#else
    /* without a branch: each number is written, and stays if the count moves on */
    for (int64_t k = 0; k < inputs; k++) {
        uint32_t bits = 0;
        for (int t = 0; t < TOGETHER; t++) {
            uint32_t one;
            memcpy(&one, a + t * stride + k, sizeof one);
            bits |= one;
        }
        list[count] = (uint16_t)k;
        count += bits != 0;
    }
#endif
    return count;
}

/* sum[row][0] += a[row] x one, sum[row][1] += a[row] x two over the listed inputs: two panels of weights at once, so
   each input that is read is used twice. `which` selects them: 1 one, 2 two, 3 both. */
INLINE void NAME(add_listed)(const int which, const float *a, int64_t stride, const uint16_t *list, int64_t count,
                             const float *one, const float *two, VECTOR (*sum)[2][VECTORS]) {
    for (int64_t i = 0; i < count; i++) {
        const int64_t k = list[i];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            if (which & 1) {
                VECTOR weight = READ(one + k * PANEL + v * LANES);
                IN_REGISTER(weight);
#pragma GCC unroll 8
                for (int t = 0; t < TOGETHER; t++) ADD_PRODUCT(sum[t][0][v], weight, a[t * stride + k]);
            }
            if (which & 2) {
                VECTOR weight = READ(two + k * PANEL + v * LANES);
                IN_REGISTER(weight);
#pragma GCC unroll 8
                for (int t = 0; t < TOGETHER; t++) ADD_PRODUCT(sum[t][1][v], weight, a[t * stride + k]);
            }
        }
    }
}

/* Inputs of one product in several runs: run j is `a + j * apart`, its weights begin at row first_rows[j]. */
typedef struct {
    const float *a;
    int64_t stride, runs, apart, inputs;
    const int64_t *first_rows;
} NAME(Inputs);

/* out[rows][columns] = relu(bias + inputs x weight), `rows` a multiple of TOGETHER, whole panels written; `lists` has
   room for rows / TOGETHER * runs * (inputs + 1) numbers. relu 0: no ReLU. */
SHARED void NAME(multiply_listed)(const NAME(Inputs) *from, int64_t rows, int64_t depth, const float *weight,
                                  const float *bias, int64_t columns, int64_t relu, uint16_t *lists, float *out,
                                  int64_t out_stride) {
    const int64_t length = from->inputs + 1;
    for (int64_t row = 0; row < rows; row += TOGETHER)
        for (int64_t j = 0; j < from->runs; j++) {
            uint16_t *list = lists + (row / TOGETHER * from->runs + j) * length;
            list[0] = (uint16_t)NAME(list_inputs)(from->a + row * from->stride + j * from->apart, from->stride,
                                                  from->inputs, list + 1);
        }
    const int64_t whole = (columns + PANEL - 1) / PANEL * PANEL;
    const float least = relu ? 0.0f : -INFINITY;
    const VECTOR lowest = least - (VECTOR){0};
    for (int64_t first = 0; first < whole; first += 2 * COLUMNS) {
        const int64_t second = first + COLUMNS;
        const float *one = weight + first / PANEL * PANEL * depth + first % PANEL;
        const float *two = second < whole ? weight + second / PANEL * PANEL * depth + second % PANEL : NULL;
        for (int64_t row = 0; row < rows; row += TOGETHER) {
            VECTOR sum[TOGETHER][2][VECTORS];
#pragma GCC unroll 8
            for (int t = 0; t < TOGETHER; t++)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; v++) {
                    sum[t][0][v] = READ(bias + first + v * LANES);
                    sum[t][1][v] = two ? READ(bias + second + v * LANES) : (VECTOR){0};
                }
            for (int64_t j = 0; j < from->runs; j++) {
                const uint16_t *list = lists + (row / TOGETHER * from->runs + j) * length;
                const float *a = from->a + row * from->stride + j * from->apart;
                const int64_t skipped = from->first_rows[j] * PANEL;
                if (two)
                    NAME(add_listed)(3, a, from->stride, list + 1, list[0], one + skipped, two + skipped, sum);
                else
                    NAME(add_listed)(1, a, from->stride, list + 1, list[0], one + skipped, NULL, sum);
            }
#pragma GCC unroll 8
            for (int t = 0; t < TOGETHER; t++)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; v++) {
                    float *to = out + (row + t) * out_stride + v * LANES;
                    AT(to + first) = NAME(larger)(sum[t][0][v], lowest);
                    if (two) AT(to + second) = NAME(larger)(sum[t][1][v], lowest);
                }
        }
    }
}
