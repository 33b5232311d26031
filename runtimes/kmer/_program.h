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

/* what one C file has for another stays inside the module */
#pragma GCC visibility push(hidden)

enum {
    PANEL = 32, /* columns of a weight matrix that are packed together */
    BLOCK = 64, /* sequences whose features are kept for one matrix product */
    SLACK = 16, /* floats that may be written behind the end of a buffer */
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

#endif
