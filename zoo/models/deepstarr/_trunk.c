/* Convolution, batch norm, ReLU and max-pooling of a training step, fused: what is wide lives for one sequence at a
   time, in the second-level cache. Products run on the processor's matrix unit (AMX) or, without one, on its bfloat16
   lanes (AVX-512). trunk.py calls this and says what the layers are.

   Optional: where it was not built, or the processor has neither, training.py does the same with PyTorch.

   A layer here is: its input, pooled, as rows of positions; then a convolution with 'same' padding, without bias. The
   input is either a hidden layer before its batch norm (norm, ReLU and pooling are applied on the way in) or the first
   layer, computed from one-hot bases. Products take bfloat16 operands and sum in float32. With three parts, each float32
   operand is split into a sum of three bfloat16 numbers, all 24 bits, and only products below them are left out. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) || !defined(__x86_64__) || !defined(__linux__)
#error "needs gcc or clang on x86-64 Linux; the package works without this module"
#endif

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef uint16_t half; /* the upper 16 bits of a float32: bfloat16 */

enum {
    LANES = 16,           /* floats in a register, rows and float columns of a tile */
    STEP = 32,            /* rows or columns that are worked on at once: two tiles; bfloat16 numbers in a tile's row */
    TILE = LANES * STEP,  /* bfloat16 numbers in a tile */
    SUMS = LANES * LANES, /* floats in a tile */
    BASES = 4,            /* channels of one-hot DNA */
    POOL = 2,
};

/* What the caller says. Channels and filters of hidden layers lie in rows of whole STEPs, zeros behind the last. */
typedef struct {
    int64_t parts;    /* 1: bfloat16, 3: float32 as a sum of three */
    int64_t before;   /* positions of the input before pooling */
    int64_t channels; /* of the input */
    int64_t filters, taps;
    int64_t window;   /* bases that a pooled pair of the first layer sees; 0: the input is a hidden layer */
} Layer;

/* The pointers below, and how far apart the parts of what they point to lie. One sequence's worth, but for weights. */
typedef struct {
    Layer is;
    int64_t length, rows, channels, filters, left, shifted, wide, window_steps;
    half *bases, *windows;   /* first layer: padded one-hot (base, 4); windows (entry, position) */
    uint16_t *gates;         /* first layer: (position, channel / LANES, member of the pair) */
    half *input, *pairs;     /* pooled input (padded position, channel); the same (pair of positions, channel, 2) */
    half *slopes, *turned;   /* gradient of the output (padded position, filter); the same (filter, position) */
    half *routed[POOL];      /* first layer: gradient of both members (pair of positions, channel, 2) */
    half *stem, *weight, *reversed; /* packed kernels */
    float *sums, *weight_sums, *stem_sums;
    int64_t input_part, pairs_part, slopes_part, turned_part, routed_part, stem_part, weight_part;
    int64_t bytes;
} Plan;

static int64_t up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

static void *take(Plan *plan, char *room, int64_t bytes) {
    void *at = room ? room + plan->bytes : NULL;
    plan->bytes += up(bytes, 64);
    return at;
}

/* Lay out the working memory; room NULL only adds up the bytes. */
static Plan lay_out(const Layer *layer, char *room) {
    Plan p = {.is = *layer, .length = layer->before / POOL};
    const int64_t parts = layer->parts, window = layer->window, taps = layer->taps;
    p.rows = up(p.length, STEP);
    p.channels = up(layer->channels, STEP);
    p.filters = up(layer->filters, STEP);
    p.left = (taps - 1) / 2;
    p.shifted = up(taps - 1, 2);
    const int64_t padded = up(p.rows + taps - 1, STEP);
    p.wide = up(p.shifted + padded, STEP) + STEP;
    p.window_steps = up(window * BASES, STEP) / STEP;
    p.input_part = p.pairs_part = padded * p.channels;
    p.slopes_part = padded * p.filters;
    p.turned_part = p.filters * p.wide;
    p.routed_part = p.rows * p.channels;
    p.stem_part = p.window_steps * p.channels * POOL * STEP;
    p.weight_part = taps * p.channels * p.filters;
    if (window) {
        p.bases = take(&p, room, (POOL * p.rows + up(window, STEP)) * BASES * 2);
        p.windows = take(&p, room, p.window_steps * STEP * p.rows * 2);
        p.gates = take(&p, room, p.rows * p.channels / LANES * POOL * 2);
        for (int member = 0; member < POOL; member++) p.routed[member] = take(&p, room, parts * p.routed_part * 2);
        p.stem = take(&p, room, parts * p.stem_part * 2);
        p.stem_sums = take(&p, room, p.window_steps * STEP * p.channels * POOL * 4);
    }
    p.input = take(&p, room, parts * p.input_part * 2);
    p.pairs = take(&p, room, parts * p.pairs_part * 2);
    p.slopes = take(&p, room, parts * p.slopes_part * 2);
    p.turned = take(&p, room, parts * p.turned_part * 2);
    p.weight = take(&p, room, parts * p.weight_part * 2);
    p.reversed = take(&p, room, parts * p.weight_part * 2);
    p.weight_sums = take(&p, room, p.weight_part * 4);
    p.sums = take(&p, room, STEP * (p.channels > p.filters ? p.channels : p.filters) * 4);
    return p;
}

/* ---- bfloat16 ---- */

/* 16 numbers rounded, each in the lower half of a word; x becomes what rounding lost */
INLINE __m512i rounded(__m512 *x) {
    const __m512i kept = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(*x));
    *x = _mm512_sub_ps(*x, _mm512_castsi512_ps(_mm512_slli_epi32(kept, 16)));
    return kept;
}

/* 16 numbers, and what rounding lost, part by part */
INLINE void put(__m512 x, half *to, int64_t part, int64_t parts) {
    for (; parts > 1; parts--, to += part) _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(rounded(&x)));
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

/* 16 numbers of one position and of the next, as words of two */
INLINE __m512i words(__m512i one, __m512i next) { return _mm512_or_si512(one, _mm512_slli_epi32(next, 16)); }

INLINE void put_words(__m512 one, __m512 next, half *to, int64_t part, int64_t parts) {
    for (; parts; parts--, to += part) _mm512_storeu_si512(to, words(rounded(&one), rounded(&next)));
}

static half nearest(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return (half)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static void put_one(float x, half *to, int64_t part, int64_t parts) {
    for (; parts; parts--, to += part) {
        *to = nearest(x);
        const uint32_t bits = (uint32_t)*to << 16;
        float kept;
        memcpy(&kept, &bits, 4);
        x -= kept;
    }
}

/* Place of element (k, n) of a matrix in its packed tile: pairs of k lie side by side. */
static int64_t in_tile(int64_t k, int64_t n) { return k / 2 * STEP + n * 2 + k % 2; }

/* ---- products ---- */

/* Which parts of the left operand meet which of the right. An exact left operand has one part. */
static const int64_t EVERY[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {2, 0}}, EXACT[][2] = {{0, 0}, {0, 1}, {0, 2}};

static inline int64_t products(int64_t parts, int exact) { return exact ? parts : parts * (parts + 1) / 2; }

/* gcc does not know that a tile is loaded from memory: what was stored before has to be there */
#define ALL_STORED __asm__ volatile("" ::: "memory")

#define MULTIPLY             \
    _tile_dpbf16ps(0, 4, 6); \
    _tile_dpbf16ps(1, 4, 7); \
    _tile_dpbf16ps(2, 5, 6); \
    _tile_dpbf16ps(3, 5, 7);

/* out[32][32] = the sum over taps of a[row + tap][depth] x packed[tap][depth][32]; `exact`: a is its first part alone */
typedef struct {
    const half *a;
    int64_t a_part, stride, taps, steps;
    const half *packed;
    int64_t packed_part, parts;
    int exact;
    float *out;
    int64_t out_stride;
} Product;

TARGET static void product_of_tiles(const Product *p) {
    ALL_STORED;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
        const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
        const half *b = p->packed + which[1] * p->packed_part;
        for (int64_t tap = 0; tap < p->taps; tap++) {
            const half *rows = p->a + which[0] * p->a_part + tap * p->stride;
            for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += 2 * TILE) {
                _tile_loadd(4, rows, p->stride * 2);
                _tile_loadd(5, rows + LANES * p->stride, p->stride * 2);
                _tile_loadd(6, b, 64);
                _tile_loadd(7, b + TILE, 64);
                MULTIPLY
            }
        }
    }
    _tile_stored(0, p->out, p->out_stride * 4);
    _tile_stored(1, p->out + LANES, p->out_stride * 4);
    _tile_stored(2, p->out + LANES * p->out_stride, p->out_stride * 4);
    _tile_stored(3, p->out + LANES * p->out_stride + LANES, p->out_stride * 4);
}

/* sums[4 tiles] += a[32][depth] x words[depth / 2][32][2] */
typedef struct {
    const half *a;
    int64_t a_part, a_stride;
    const half *words;
    int64_t words_part, words_stride, steps, parts;
    int exact;
    float *sums;
} Accumulation;

TARGET static void accumulate_tiles(const Accumulation *p) {
    ALL_STORED;
    _tile_loadd(0, p->sums, 64);
    _tile_loadd(1, p->sums + SUMS, 64);
    _tile_loadd(2, p->sums + 2 * SUMS, 64);
    _tile_loadd(3, p->sums + 3 * SUMS, 64);
    for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
        const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
        const half *rows = p->a + which[0] * p->a_part, *b = p->words + which[1] * p->words_part;
        for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += LANES * p->words_stride) {
            _tile_loadd(4, rows, p->a_stride * 2);
            _tile_loadd(5, rows + LANES * p->a_stride, p->a_stride * 2);
            _tile_loadd(6, b, p->words_stride * 2);
            _tile_loadd(7, b + STEP, p->words_stride * 2);
            MULTIPLY
        }
    }
    _tile_stored(0, p->sums, 64);
    _tile_stored(1, p->sums + SUMS, 64);
    _tile_stored(2, p->sums + 2 * SUMS, 64);
    _tile_stored(3, p->sums + 3 * SUMS, 64);
}

/* Without a matrix unit: ROWS rows of 32 columns stay in registers. */
enum { ROWS = 8 };

/* sums[ROWS][32] += a[ROWS][32] x b[16][16][2] beside next[16][16][2], whose rows lie b_stride apart */
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

TARGET static void product_of_lanes(const Product *p) {
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

TARGET static void accumulate_lanes(const Accumulation *p) {
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

/* What the processor has. */
enum { NOTHING, BFLOAT16_LANES, MATRIX_UNIT };

static int asked, found;

static int unit(void) {
    if (asked) return found;
    asked = 1;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return found;
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return found;
    found = BFLOAT16_LANES;
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* Linux lends the tile registers to a process that asks */
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1 && d >> 24 & 1 &&
        syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0)
        found = MATRIX_UNIT;
    return found;
}

static void multiply(Product p) {
    if (unit() == MATRIX_UNIT) product_of_tiles(&p);
    else product_of_lanes(&p);
}

static void accumulate(Accumulation p) {
    if (unit() == MATRIX_UNIT) accumulate_tiles(&p);
    else accumulate_lanes(&p);
}

TARGET static void begin_tiles(void) {
    if (unit() != MATRIX_UNIT) return;
    struct {
        uint8_t palette, row, reserved[14];
        uint16_t columns[16];
        uint8_t rows[16];
    } __attribute__((packed)) config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) config.columns[tile] = 64, config.rows[tile] = LANES;
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
}

TARGET static void end_tiles(void) {
    if (unit() == MATRIX_UNIT) _tile_release();
}

/* ---- packed weights ---- */

/* kernel (POOL x channels, window x BASES): 16 filters' first members beside their second members */
static void pack_stem(const Plan *p, const float *kernel) {
    const int64_t entries = p->is.window * BASES;
    for (int64_t member = 0; member < POOL; member++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t k = 0; k < entries; k++) {
                const int64_t tile = (c / LANES * p->window_steps + k / STEP) * POOL + member;
                put_one(kernel[(member * p->is.channels + c) * entries + k],
                        p->stem + tile * TILE + in_tile(k % STEP, c % LANES), p->stem_part, p->is.parts);
            }
}

/* weight (filters, channels, taps) -> for the output (panel of filters, tap, channel) and, with the taps reversed, for
   the gradient of the input (panel of channels, tap, filter) */
static void pack_weight(const Plan *p, const float *weight, int backward) {
    const int64_t taps = p->is.taps;
    for (int64_t g = 0; g < p->is.filters; g++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t n = backward ? c : g, k = backward ? g : c;
                const int64_t steps = (backward ? p->filters : p->channels) / STEP;
                const int64_t place = backward ? taps - 1 - tap : tap;
                const int64_t tile = ((n / STEP * taps + place) * steps + k / STEP) * 2 + n % STEP / LANES;
                put_one(weight[(g * p->is.channels + c) * taps + tap],
                        (backward ? p->reversed : p->weight) + tile * TILE + in_tile(k % STEP, n % LANES),
                        p->weight_part, p->is.parts);
            }
}

/* ---- the input of a layer ---- */

static void place_bases(const Plan *p, const float *one_hot) {
    const int64_t left = (p->is.window - 2) / 2;
    for (int64_t i = 0; i < p->is.before * BASES; i++) p->bases[left * BASES + i] = nearest(one_hot[i]);
}

/* windows (entry, position): what `bases` holds at 2 x position + entry / BASES */
static void turn_windows(const Plan *p) {
    for (int64_t base = 0; base < p->is.window; base++)
        for (int64_t letter = 0; letter < BASES; letter++) {
            half *to = p->windows + (base * BASES + letter) * p->rows;
            const half *from = p->bases + base * BASES + letter;
            for (int64_t at = 0; at < p->length; at++) to[at] = from[at * POOL * BASES];
        }
}

/* shift, ReLU and max-pooling of the first layer; `gates` say which member of each pair its gradient goes to */
TARGET static void stem_input(const Plan *p, const float *shift, int gated) {
    for (int64_t top = 0; top < p->length; top += STEP)
        for (int64_t c = 0; c < p->channels; c += LANES) {
            float *sums = p->sums;
            multiply((Product){p->bases + top * POOL * BASES, 0, POOL * BASES, 1, p->window_steps,
                               p->stem + c / LANES * p->window_steps * POOL * TILE, p->stem_part, p->is.parts, 1, sums,
                               STEP});
            const __m512 moved = _mm512_loadu_ps(shift + c), zero = _mm512_setzero_ps();
            const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
            for (int64_t row = 0; row < rows; row++) {
                const __m512 one = _mm512_add_ps(_mm512_load_ps(sums + row * STEP), moved);
                const __m512 two = _mm512_add_ps(_mm512_load_ps(sums + row * STEP + LANES), moved);
                const __m512 pooled = _mm512_max_ps(zero, _mm512_max_ps(one, two));
                put(pooled, p->input + (top + row + p->left) * p->channels + c, p->input_part, p->is.parts);
                if (gated) {
                    uint16_t *gate = p->gates + ((top + row) * (p->channels / LANES) + c / LANES) * POOL;
                    const __mmask16 first = _mm512_cmp_ps_mask(one, two, _CMP_GE_OQ);
                    const __mmask16 open = _mm512_cmp_ps_mask(pooled, zero, _CMP_GT_OQ);
                    gate[0] = first & open;
                    gate[1] = ~first & open;
                }
            }
        }
}

/* a pooled pair of a hidden layer: both members before the norm, the value, and which members pass a gradient */
typedef struct {
    __m512 one, two, pooled;
    __mmask16 first, open;
} Pair;

INLINE Pair pair_at(const float *hidden, int64_t stride, __m512 scale, __m512 shift) {
    const __m512 one = _mm512_loadu_ps(hidden), two = _mm512_loadu_ps(hidden + stride), zero = _mm512_setzero_ps();
    const __m512 normed = _mm512_fmadd_ps(one, scale, shift), next = _mm512_fmadd_ps(two, scale, shift);
    const __m512 pooled = _mm512_max_ps(zero, _mm512_max_ps(normed, next));
    return (Pair){one, two, pooled, _mm512_cmp_ps_mask(normed, next, _CMP_GE_OQ),
                  _mm512_cmp_ps_mask(pooled, zero, _CMP_GT_OQ)};
}

TARGET static void hidden_input(const Plan *p, const float *hidden, const float *scale, const float *shift) {
    const int64_t stride = p->channels;
    for (int64_t at = 0; at < p->length; at++)
        for (int64_t c = 0; c < stride; c += LANES) {
            const Pair pair = pair_at(hidden + at * POOL * stride + c, stride, _mm512_loadu_ps(scale + c),
                                      _mm512_loadu_ps(shift + c));
            put(pair.pooled, p->input + (at + p->left) * stride + c, p->input_part, p->is.parts);
        }
}

/* input -> pairs */
TARGET static void pair_input(const Plan *p) {
    for (int64_t part = 0; part < p->is.parts; part++)
        for (int64_t row = 0; row < p->length + p->is.taps - 1; row += 2) {
            const half *from = p->input + part * p->input_part + row * p->channels;
            half *to = p->pairs + part * p->pairs_part + row * p->channels;
            for (int64_t c = 0; c < p->channels; c += LANES)
                _mm512_storeu_si512(
                    to + c * 2, words(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(from + c))),
                                      _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(from + c + p->channels)))));
        }
}

/* ---- forward ---- */

/* output (length, filters) of one sequence, and its sums and sums of squares added to totals (2, filters) */
TARGET static void convolve(const Plan *p, float *output, double *totals) {
    for (int64_t top = 0; top < p->length; top += STEP) {
        for (int64_t panel = 0; panel < p->filters; panel += STEP)
            multiply((Product){p->input + top * p->channels, p->input_part, p->channels, p->is.taps, p->channels / STEP,
                               p->weight + panel * p->is.taps * p->channels, p->weight_part, p->is.parts, 0,
                               p->sums + panel, p->filters});
        const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
        memcpy(output + top * p->filters, p->sums, rows * p->filters * 4);
        for (int64_t g = 0; g < p->filters; g += LANES) {
            __m512 sum = _mm512_setzero_ps(), squares = sum;
            for (int64_t row = 0; row < rows; row++) {
                const __m512 x = _mm512_loadu_ps(p->sums + row * p->filters + g);
                sum = _mm512_add_ps(sum, x);
                squares = _mm512_fmadd_ps(x, x, squares);
            }
            float lanes[2][LANES];
            _mm512_storeu_ps(lanes[0], sum);
            _mm512_storeu_ps(lanes[1], squares);
            for (int64_t lane = 0; lane < LANES; lane++) {
                totals[g + lane] += lanes[0][lane];
                totals[p->filters + g + lane] += lanes[1][lane];
            }
        }
    }
}

/* ---- backward ---- */

/* What batch norm, ReLU and pooling behind this layer make of the gradient of the pooled: scale, shift of the norm;
   `along` and `level`, per filter, are what goes through the statistics of the batch. */
typedef struct {
    const float *scale, *shift, *along, *level;
} Norm;

/* gradient of the pooled (length / 2, filters), output (length, filters) -> slopes and turned */
TARGET static void enter(const Plan *p, const float *pooled, const float *output, Norm norm) {
    const int64_t stride = p->filters, parts = p->is.parts, first_row = p->is.taps - 1 - p->left;
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32((int)p->wide / 2));
    for (int64_t at = 0; at < p->length; at += POOL)
        for (int64_t g = 0; g < stride; g += LANES) {
            const __m512 scale = _mm512_loadu_ps(norm.scale + g), along = _mm512_loadu_ps(norm.along + g);
            const __m512 level = _mm512_loadu_ps(norm.level + g);
            __m512 one, two = _mm512_setzero_ps();
            if (at + 1 < p->length) {
                const Pair pair = pair_at(output + at * stride + g, stride, scale, _mm512_loadu_ps(norm.shift + g));
                const __m512 from = _mm512_mul_ps(_mm512_loadu_ps(pooled + at / POOL * stride + g), scale);
                one = _mm512_add_ps(_mm512_fmadd_ps(along, pair.one, level),
                                    _mm512_maskz_mov_ps(pair.first & pair.open, from));
                two = _mm512_add_ps(_mm512_fmadd_ps(along, pair.two, level),
                                    _mm512_maskz_mov_ps(~pair.first & pair.open, from));
                put(two, p->slopes + (at + 1 + first_row) * stride + g, p->slopes_part, parts);
            } else {
                one = _mm512_fmadd_ps(along, _mm512_loadu_ps(output + at * stride + g), level);
            }
            put(one, p->slopes + (at + first_row) * stride + g, p->slopes_part, parts);
            half *to = p->turned + g * p->wide + at + p->shifted;
            for (int64_t part = 0; part < parts; part++, to += p->turned_part)
                _mm512_i32scatter_epi32((int *)to, lanes, words(rounded(&one), rounded(&two)), 4);
        }
}

TARGET static void weight_gradient(const Plan *p) {
    float *sums = p->weight_sums;
    const int64_t steps = up(p->length + p->is.taps - 1, STEP) / STEP;
    for (int64_t tap = 0; tap < p->is.taps; tap++)
        for (int64_t g = 0; g < p->filters; g += STEP)
            for (int64_t c = 0; c < p->channels; c += STEP, sums += 4 * SUMS)
                accumulate((Accumulation){p->turned + g * p->wide + p->shifted - tap, p->turned_part, p->wide,
                                          p->pairs + c * 2, p->pairs_part, p->channels * 2, steps, p->is.parts, 0, sums});
}

/* weight_sums -> (filters, channels, taps) */
static void unpack_weight(const Plan *p, float *gradient) {
    for (int64_t g = 0; g < p->is.filters; g++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t tap = 0; tap < p->is.taps; tap++) {
                const int64_t block = (tap * p->filters / STEP + g / STEP) * p->channels / STEP + c / STEP;
                const int64_t tile = block * 4 + g % STEP / LANES * 2 + c % STEP / LANES;
                gradient[(g * p->is.channels + c) * p->is.taps + tap] =
                    p->weight_sums[tile * SUMS + g % LANES * LANES + c % LANES];
            }
}

/* rows top .. top + 31 of the gradient of the input, into sums (32, channels) */
TARGET static void input_gradient(const Plan *p, int64_t top) {
    for (int64_t panel = 0; panel < p->channels; panel += STEP)
        multiply((Product){p->slopes + top * p->filters, p->slopes_part, p->filters, p->is.taps, p->filters / STEP,
                           p->reversed + panel * p->is.taps * p->filters, p->weight_part, p->is.parts, 0,
                           p->sums + panel, p->channels});
}

/* from (rows, stride): the gradient of pooled pairs of `hidden`. It is shut where ReLU was, in gradient, and totals
   (2, stride) += what the batch norm needs: the sum of it, the sum of it times the member of the pair that it goes to */
TARGET static void shut(const float *from, int64_t rows, int64_t stride, const float *hidden, const float *scale,
                        const float *shift, float *gradient, double *totals) {
    for (int64_t c = 0; c < stride; c += LANES) {
        __m512 sum = _mm512_setzero_ps(), along = sum;
        for (int64_t row = 0; row < rows; row++) {
            const Pair pair = pair_at(hidden + row * POOL * stride + c, stride, _mm512_loadu_ps(scale + c),
                                      _mm512_loadu_ps(shift + c));
            const __m512 x = _mm512_maskz_loadu_ps(pair.open, from + row * stride + c);
            _mm512_storeu_ps(gradient + row * stride + c, x);
            sum = _mm512_add_ps(sum, x);
            along = _mm512_fmadd_ps(x, _mm512_mask_mov_ps(pair.two, pair.first, pair.one), along);
        }
        float lanes[2][LANES];
        _mm512_storeu_ps(lanes[0], sum);
        _mm512_storeu_ps(lanes[1], along);
        for (int64_t lane = 0; lane < LANES; lane++) {
            totals[c + lane] += lanes[0][lane];
            totals[stride + c + lane] += lanes[1][lane];
        }
    }
}

/* the gradient of the first layer's pooled output in sums, routed to the members of its pairs; shift_gradient (channels) */
TARGET static void leave_stem(const Plan *p, int64_t top, int64_t rows, float *shift_gradient) {
    const int64_t stride = p->channels;
    for (int64_t c = 0; c < stride; c += LANES) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t row = 0; row < rows; row += 2) {
            const uint16_t *gate = p->gates + ((top + row) * (stride / LANES) + c / LANES) * POOL;
            const uint16_t *next = gate + stride / LANES * POOL;
            const float *from = p->sums + row * stride + c;
            const int64_t to = (top + row) * stride + c * 2;
            for (int member = 0; member < POOL; member++) {
                const __m512 one = _mm512_maskz_loadu_ps(gate[member], from);
                const __m512 two = _mm512_maskz_loadu_ps(next[member], from + stride);
                put_words(one, two, p->routed[member] + to, p->routed_part, p->is.parts);
                sum = _mm512_add_ps(sum, _mm512_add_ps(one, two));
            }
        }
        _mm512_storeu_ps(shift_gradient + c, _mm512_add_ps(_mm512_loadu_ps(shift_gradient + c), sum));
    }
}

TARGET static void stem_gradient(const Plan *p) {
    float *sums = p->stem_sums;
    for (int member = 0; member < POOL; member++)
        for (int64_t entry = 0; entry < p->window_steps * STEP; entry += STEP)
            for (int64_t c = 0; c < p->channels; c += STEP, sums += 4 * SUMS)
                accumulate((Accumulation){p->windows + entry * p->rows, 0, p->rows, p->routed[member] + c * 2,
                                          p->routed_part, p->channels * 2, p->rows / STEP, p->is.parts, 1, sums});
}

/* stem_sums -> (POOL x channels, window x BASES) */
static void unpack_stem(const Plan *p, float *gradient) {
    const int64_t entries = p->is.window * BASES;
    for (int64_t member = 0; member < POOL; member++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t k = 0; k < entries; k++) {
                const int64_t block = (member * p->window_steps + k / STEP) * p->channels / STEP + c / STEP;
                const int64_t tile = block * 4 + k % STEP / LANES * 2 + c % STEP / LANES;
                gradient[(member * p->is.channels + c) * entries + k] =
                    p->stem_sums[tile * SUMS + k % LANES * LANES + c % LANES];
            }
}

/* ---- a share of a batch ---- */

/* input: one-hot (N, before, BASES) and kernel, shift of the first layer; or hidden (N, before, channels) and its norm's
   scale, shift */
TARGET static void forward_share(Plan *p, int64_t count, const float *input, const float *scale, const float *shift,
                                 const float *weight, float *output, double *totals) {
    begin_tiles();
    pack_weight(p, weight, 0);
    if (p->is.window) pack_stem(p, scale);
    for (int64_t i = 0; i < count; i++) {
        if (p->is.window) {
            place_bases(p, input + i * p->is.before * BASES);
            stem_input(p, shift, 0);
        } else {
            hidden_input(p, input + i * p->is.before * p->channels, scale, shift);
        }
        convolve(p, output + i * p->length * p->filters, totals);
    }
    end_tiles();
}

TARGET static void backward_share(Plan *p, int64_t count, const float *input, const float *scale, const float *shift,
                                  const float *weight, const float *output, Norm norm, const float *pooled,
                                  float *weight_out, float *gradient, void *rest) {
    begin_tiles();
    pack_weight(p, weight, 1);
    if (p->is.window) pack_stem(p, scale);
    for (int64_t i = 0; i < count; i++) {
        const float *from = input + i * p->is.before * (p->is.window ? BASES : p->channels);
        if (p->is.window) {
            place_bases(p, from);
            turn_windows(p);
            stem_input(p, shift, 1);
        } else {
            hidden_input(p, from, scale, shift);
        }
        pair_input(p);
        enter(p, pooled + i * (p->length / POOL) * p->filters, output + i * p->length * p->filters, norm);
        weight_gradient(p);
        for (int64_t top = 0; top < p->length; top += STEP) {
            input_gradient(p, top);
            const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
            if (p->is.window) leave_stem(p, top, rows, rest);
            else shut(p->sums, rows, p->channels, from + top * POOL * p->channels, scale, shift,
                      gradient + (i * p->length + top) * p->channels, rest);
        }
        if (p->is.window) stem_gradient(p);
    }
    end_tiles();
    unpack_weight(p, weight_out);
    if (p->is.window) unpack_stem(p, gradient);
}

/* hidden (N, before, channels) -> norm, ReLU and max-pooling of it (N, before / 2, channels) */
TARGET static void pool_share(int64_t count, int64_t before, int64_t channels, const float *hidden, const float *scale,
                              const float *shift, float *pooled) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t at = 0; at < before / POOL; at++, pooled += channels)
            for (int64_t c = 0; c < channels; c += LANES)
                _mm512_storeu_ps(pooled + c, pair_at(hidden + (i * before + at * POOL) * channels + c, channels,
                                                     _mm512_loadu_ps(scale + c), _mm512_loadu_ps(shift + c))
                                                 .pooled);
}

/* ---- Python ---- */

static PyObject *py_available(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    return PyBool_FromLong(unit() != NOTHING);
}

static PyObject *py_matrix_unit(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    return PyBool_FromLong(unit() == MATRIX_UNIT);
}

#define SIX "LLLLLL"
#define LAYER(l) &(l).parts, &(l).before, &(l).channels, &(l).filters, &(l).taps, &(l).window

static PyObject *py_room(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer layer;
    if (!PyArg_ParseTuple(arguments, "(" SIX ")", LAYER(layer))) return NULL;
    return PyLong_FromLongLong(lay_out(&layer, NULL).bytes);
}

static void release(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(buffers + i);
}

/* Whether each buffer holds as many bytes as it should. */
static int fit(const Py_buffer *buffers, const int64_t *bytes, int count) {
    for (int i = 0; i < count; i++)
        if (buffers[i].len < bytes[i]) return 0;
    return unit() != NOTHING;
}

static PyObject *refuse(void) {
    return PyErr_Format(PyExc_ValueError, "an array is too small, or this processor does not multiply bfloat16");
}

static PyObject *py_forward(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer l;
    long long count;
    Py_buffer b[7];
    if (!PyArg_ParseTuple(arguments, "(" SIX ")Lw*y*y*y*y*w*w*", LAYER(l), &count, b, b + 1, b + 2, b + 3, b + 4, b + 5,
                          b + 6))
        return NULL;
    Plan p = lay_out(&l, b[0].buf);
    const int64_t channels = l.window ? l.channels : p.channels;
    const int64_t bytes[] = {p.bytes, count * l.before * (l.window ? BASES : channels) * 4,
                             (l.window ? POOL * channels * l.window * BASES : channels) * 4, p.channels * 4,
                             l.filters * l.channels * l.taps * 4, count * p.length * p.filters * 4, 2 * p.filters * 8};
    const int good = fit(b, bytes, 7);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        memset(b[0].buf, 0, p.bytes);
        forward_share(&p, count, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, b[6].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 7);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

static PyObject *py_backward(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer l;
    long long count;
    Py_buffer b[14];
    if (!PyArg_ParseTuple(arguments, "(" SIX ")Lw*y*y*y*y*y*y*y*y*y*y*w*w*w*", LAYER(l), &count, b, b + 1, b + 2, b + 3,
                          b + 4, b + 5, b + 6, b + 7, b + 8, b + 9, b + 10, b + 11, b + 12, b + 13))
        return NULL;
    Plan p = lay_out(&l, b[0].buf);
    const int64_t channels = l.window ? l.channels : p.channels, norm = p.filters * 4;
    const int64_t kernel = POOL * channels * l.window * BASES * 4, weight = l.filters * l.channels * l.taps * 4;
    const int64_t bytes[] = {p.bytes, count * l.before * (l.window ? BASES : channels) * 4,
                             l.window ? kernel : channels * 4, p.channels * 4, weight,
                             count * p.length * norm, norm, norm, norm, norm, count * (p.length / POOL) * norm, weight,
                             l.window ? kernel : count * p.length * p.channels * 4,
                             l.window ? p.channels * 4 : 2 * p.channels * 8};
    const int good = fit(b, bytes, 14);
    if (good) {
        const Norm behind = {b[6].buf, b[7].buf, b[8].buf, b[9].buf};
        Py_BEGIN_ALLOW_THREADS
        memset(b[0].buf, 0, p.bytes);
        backward_share(&p, count, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, behind, b[10].buf, b[11].buf,
                       b[12].buf, b[13].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 14);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

/* after the last layer: with a gradient what `shut` does, without one what `pool_share` does */
static PyObject *py_pool(PyObject *self, PyObject *arguments) {
    (void)self;
    long long count, before, channels;
    Py_buffer b[6];
    if (!PyArg_ParseTuple(arguments, "LLLy*y*y*w*y*w*", &count, &before, &channels, b, b + 1, b + 2, b + 3, b + 4, b + 5))
        return NULL;
    const int backward = b[4].len > 0;
    const int64_t pooled = count * (before / POOL) * channels * 4;
    const int64_t bytes[] = {count * before * channels * 4, channels * 4, channels * 4, pooled,
                             backward ? pooled : 0, backward ? 2 * channels * 8 : 0};
    const int good = fit(b, bytes, 6) && channels % STEP == 0;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        const float *hidden = b[0].buf, *gradient = b[4].buf;
        float *out = b[3].buf;
        if (!backward) pool_share(count, before, channels, hidden, b[1].buf, b[2].buf, out);
        for (int64_t i = 0; backward && i < count; i++)
            shut(gradient + i * (before / POOL) * channels, before / POOL, channels, hidden + i * before * channels,
                 b[1].buf, b[2].buf, out + i * (before / POOL) * channels, b[5].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 6);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"available", py_available, METH_NOARGS, "Whether this processor has what the functions need."},
    {"matrix_unit", py_matrix_unit, METH_NOARGS, "Whether products run on its matrix unit, and the system lends it."},
    {"room", py_room, METH_VARARGS, "room(layer) -> bytes of working memory, aligned to 64, that a call needs."},
    {"forward", py_forward, METH_VARARGS,
     "forward(layer, count, room, input, scale, shift, weight, output, totals). Releases the GIL."},
    {"backward", py_backward, METH_VARARGS,
     "backward(layer, count, room, input, scale, shift, weight, output, norm_scale, norm_shift, along, level, pooled, "
     "weight_gradient, gradient, rest). Releases the GIL."},
    {"pool", py_pool, METH_VARARGS,
     "pool(count, before, channels, hidden, scale, shift, out, gradient, totals): the pooled of a hidden layer, or the "
     "gradient of the pooled shut where ReLU was. Releases the GIL."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_trunk", "See trunk.py.", 0, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__trunk(void) { return PyModule_Create(&MODULE); }
