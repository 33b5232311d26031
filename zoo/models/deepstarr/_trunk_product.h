/* Products of bfloat16 numbers, summed in float32, of 32 rows by 32 columns: as tiles of the matrix unit
   (_trunk_tiles.c) or on AVX-512 lanes (_trunk_lanes.c), depending on the processor (_trunk_unit.c). */

#ifndef TRUNK_PRODUCT_H
#define TRUNK_PRODUCT_H

#include "_trunk.h"

#pragma GCC visibility push(hidden)

/* Kinds of processors. */
enum { NOTHING, BFLOAT16_LANES, MATRIX_UNIT };

int unit(void);

/* Called before and after all products of a thread: set up and release the tile registers. */
void begin_tiles(void);
void end_tiles(void);

/* out[32][32] = the sum over taps of a[row + tap][depth] x packed[tap][depth][32]; `exact`: a has one part */
typedef struct {
    const half *a;
    int64_t a_part, stride, taps, steps;
    const half *packed;
    int64_t packed_part, parts;
    int exact;
    float *out;
    int64_t out_stride;
} Product;

/* sums[4 tiles] += a[32][depth] x words[depth / 2][32][2] */
typedef struct {
    const half *a;
    int64_t a_part, a_stride;
    const half *words;
    int64_t words_part, words_stride, steps, parts;
    int exact;
    float *sums;
} Accumulation;

void product_of_tiles(const Product *);
void accumulate_tiles(const Accumulation *);
void product_of_lanes(const Product *);
void accumulate_lanes(const Accumulation *);

static inline void multiply(Product p) {
    if (unit() == MATRIX_UNIT) product_of_tiles(&p);
    else product_of_lanes(&p);
}

static inline void accumulate(Accumulation p) {
    if (unit() == MATRIX_UNIT) accumulate_tiles(&p);
    else accumulate_lanes(&p);
}

/* Which parts of the left and the right operand are multiplied. An exact left operand has one part. */
static const int64_t EVERY[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {2, 0}};
static const int64_t EXACT[][2] = {{0, 0}, {0, 1}, {0, 2}};

static inline int64_t products(int64_t parts, int exact) { return exact ? parts : parts * (parts + 1) / 2; }

#pragma GCC visibility pop

#endif
