/* What the C files of the module _trunk share: a layer, the plan of its working memory, and the functions of each file
   that the others call. _trunk.c says what the module is for; trunk.py owns all memory. */

#ifndef TRUNK_H
#define TRUNK_H

#if !defined(__GNUC__) || !defined(__x86_64__) || !defined(__linux__)
#error "needs gcc or clang on x86-64 Linux; the package works without this module"
#endif

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* functions that C files share are not visible outside the module */
#pragma GCC visibility push(hidden)

#define TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef uint16_t half; /* the upper 16 bits of a float32: bfloat16 */

enum {
    LANES = 16,           /* floats in a register, rows and float columns of a tile */
    STEP = 32,            /* rows or columns in one step: two tiles; bfloat16 numbers in a row of a tile */
    TILE = LANES * STEP,  /* bfloat16 numbers in a tile */
    SUMS = LANES * LANES, /* floats in a tile */
    BASES = 4,            /* channels of one-hot DNA */
    POOL = 2,
};

/* A layer, as the caller describes it. Rows of channels and filters of hidden layers are padded with zeros to a
   multiple of STEP. */
typedef struct {
    int64_t parts;    /* 1: bfloat16, 3: float32 as a sum of three */
    int64_t before;   /* positions of the input before pooling */
    int64_t channels; /* of the input */
    int64_t filters, taps;
    int64_t window;   /* bases that a pooled pair of the first layer sees; 0: the input is a hidden layer */
} Layer;

/* Pointers into the working memory, and the distance between the parts of each array. All arrays but the weights are
   for one sequence. */
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

/* How batch norm, ReLU and pooling after this layer change the gradient: scale and shift of the norm; `along` and
   `level`, per filter, are the terms that go through the statistics of the batch. */
typedef struct {
    const float *scale, *shift, *along, *level;
} Norm;

static inline int64_t up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

/* _trunk_plan.c: lay out the working memory; room NULL only adds up the bytes */
Plan lay_out(const Layer *, char *room);

/* _trunk_kernels.c: packed for products, and gradients of kernels unpacked */
void pack_stem(const Plan *, const float *kernel);
void pack_weight(const Plan *, const float *weight);
void pack_reversed(const Plan *, const float *weight);
void unpack_stem(const Plan *, float *gradient);
void unpack_weight(const Plan *, float *gradient);

/* _trunk_input.c: of one sequence; `gated` and the last two are for the backward pass */
void place_bases(const Plan *, const float *one_hot);
void stem_input(const Plan *, const float *shift, int gated);
void hidden_input(const Plan *, const float *hidden, const float *scale, const float *shift);
void turn_windows(const Plan *);
void pair_input(const Plan *);

/* _trunk_forward.c, _trunk_backward.c: a share of a batch through a layer, and through the pooling after the last */
void forward_share(const Plan *, int64_t count, const float *input, const float *scale, const float *shift,
                   const float *weight, float *output, double *totals);
void pool_share(int64_t count, int64_t before, int64_t channels, const float *hidden, const float *scale,
                const float *shift, float *pooled);
void backward_share(const Plan *, int64_t count, const float *input, const float *scale, const float *shift,
                    const float *weight, const float *output, Norm norm, const float *pooled, float *weight_out,
                    float *gradient, void *rest);
void shut(const float *from, int64_t rows, int64_t stride, const float *hidden, const float *scale, const float *shift,
          float *gradient, double *totals);

#pragma GCC visibility pop

#endif
