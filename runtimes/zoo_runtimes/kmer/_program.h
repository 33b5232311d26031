/* What compiled code and kernel.py agree on: the program, a run of int64 that says what to compute, and constants.

   Plain C, the same for all instruction sets. A program names arrays by their addresses: float32 (weights packed as
   kernel.py says) or int32. kernel.py keeps them alive. */

#ifndef PROGRAM_H
#define PROGRAM_H

#ifndef __GNUC__
#error "needs GNU vectors (gcc or clang); the package works without this module"
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>

/* functions that C files share are not visible outside the module */
#pragma GCC visibility push(hidden)

enum {
    PANEL = 32, /* columns of a weight matrix that are packed together */
    BLOCK = 64, /* sequences whose features are kept for one matrix product */
    SLACK = 16, /* floats that may be written after the end of a buffer */
    MOST_LANES = 16,   /* floats of the widest register */
    MOST_TOGETHER = 4, /* the largest TOGETHER of an instruction set */
    GROUP = 3,         /* edited sequences, or references, that go through the network together */
};

/* One Program, behind it its Convolutions, behind them its Matrices. table 0: the network begins with one-hot bases. */
typedef struct {
    int64_t length, convolutions, matrices;
    int64_t table, starts, lengths, offsets, windows, taps, left, pool, positions, channels, width;
} Program;

typedef struct {
    int64_t positions, channels, taps, left, filters, weight, bias;
} Convolution;

typedef struct {
    int64_t inputs, outputs, relu, weight, bias;
} Matrix;

static inline const Convolution *convolutions_of(const Program *program) { return (const Convolution *)(program + 1); }

static inline const Matrix *matrices_of(const Program *program) {
    return (const Matrix *)(convolutions_of(program) + program->convolutions);
}

/* floats for the table rows of one sequence, a row of zeros for each position of padding */
static inline int64_t rows_room(const Program *program) {
    return program->table ? (program->windows + program->taps - 1 + SLACK - 1) / SLACK * SLACK : 0;
}

/* Any layer after the tables: a matrix is a convolution with a tap for each of its positions, and one result.

   filters: channels of the result. results: its positions. pool: number of sums whose maximum is one position.  weight:
   packed, (taps * channels, filters). */
typedef struct {
    int64_t positions, channels, taps, left, filters, results, pool, relu;
    const float *weight, *bias;
} Layer;

static inline int64_t layers_of(const Program *program) { return program->convolutions + program->matrices; }

static inline Layer layer_of(const Program *program, int64_t number) {
    const int64_t convolutions = program->convolutions;
    if (number < convolutions) {
        const Convolution *layer = convolutions_of(program) + number;
        return (Layer){layer->positions,     layer->channels, layer->taps, layer->left, layer->filters,
                       layer->positions / 2, 2,               1,           (const float *)layer->weight,
                       (const float *)layer->bias};
    }
    const Matrix *matrix = matrices_of(program) + number - convolutions;
    const int64_t channels = number > convolutions ? matrix->inputs
                             : convolutions        ? convolutions_of(program)[convolutions - 1].filters
                                                   : program->channels;
    const int64_t positions = matrix->inputs / channels;
    return (Layer){positions, channels,     positions, 0, matrix->outputs, 1, 1, matrix->relu,
                   (const float *)matrix->weight, (const float *)matrix->bias};
}

/* floats of a position, so that whole panels may be written */
static inline int64_t width_of(int64_t channels) { return (channels + PANEL - 1) / PANEL * PANEL; }

/* Positions [first, last] of a layer's input, `rows` rows of `width` floats for each, and the channels that are not
   zero in all rows. No positions if last < first. */
typedef struct {
    float *values;   /* (position, row, width) */
    int32_t *lists;  /* (position, width) */
    int64_t *counts; /* (position,), length of each list */
    int64_t channels, width, first, last;
} Map;

static inline int64_t map_room(int64_t positions, int64_t channels) {
    return positions * ((GROUP + 1) * width_of(channels) + 2) + SLACK;
}

/* A map at `*room`, which moves to its end. */
static inline Map map_at(float **room, int64_t positions, int64_t channels) {
    const int64_t width = width_of(channels);
    Map map = {*room, (int32_t *)*room + positions * GROUP * width, NULL, channels, width, 0, positions - 1};
    map.counts = (int64_t *)(map.lists + positions * width);
    *room += map_room(positions, channels) / SLACK * SLACK;
    return map;
}

/* The instruction sets that every C file of arithmetic is compiled for, the fastest first; see _each_set.h. A file
   offers its function for all of them as one array: const Forward FORWARD[] = OF_EACH_SET(forward); */
#if defined(__x86_64__)
enum { AVX512, AVX2, BASELINE, NUMBER_OF_SETS };
#define OF_EACH_SET(function) {function##_avx512, function##_avx2, function##_baseline}
#else
enum { BASELINE, NUMBER_OF_SETS };
#define OF_EACH_SET(function) {function##_baseline}
#endif

/* _forward.c: `count` sequences, at most BLOCK, through the whole network */
typedef void (*Forward)(const Program *, const uint8_t *codes, int64_t count, float *room, float *out);
extern const Forward FORWARD[NUMBER_OF_SETS];
int64_t forward_room(const Program *); /* floats */

/* _edits.c: one sequence, and `count` that are made from it -> out[count][targets], their activities minus those of the
   sequence; with `edited` NULL, out[length][4][targets], what each base at each position adds to the activities */
typedef void (*Edits)(const Program *, const uint8_t *codes, const uint8_t *edited, int64_t count, float *room,
                      float *out);
extern const Edits EDITS[NUMBER_OF_SETS];
int64_t edits_room(const Program *);

/* _contributions.c: one sequence -> out[length][4]; `back` is explained there */
typedef void (*Contributions)(const Program *, const int64_t *back, const uint8_t *codes, const uint8_t *references,
                              int64_t count, int64_t target, float *room, float *out);
typedef void (*Gradient)(const Program *, const int64_t *back, const uint8_t *codes, int64_t target, float *room,
                         float *out);
extern const Contributions CONTRIBUTIONS[NUMBER_OF_SETS];
extern const Gradient GRADIENT[NUMBER_OF_SETS];
int64_t contributions_room(const Program *);

/* _windows.c: `count` windows along `codes`, which are also read some way before and after them, see sharing.py */
typedef struct Windows Windows;
typedef void (*ManyWindows)(const Program *, const Windows *, const uint8_t *codes, int64_t count, float *room,
                            float *out);
extern const ManyWindows WINDOWS[NUMBER_OF_SETS];
int64_t windows_room(const Program *, const Windows *); /* floats */
int plan_fits(const Windows *, int64_t bytes);          /* whether a plan has exactly this size */
void windows_reach(const Program *, const Windows *, int64_t count, int64_t *before, int64_t *after); /* bases read */

#pragma GCC visibility pop

#endif
