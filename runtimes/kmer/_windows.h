/* What _windows.c and sharing.py agree on: how overlapping windows share their layers, and the memory for it.

   A window that begins at base s has its position p of layer l (after l poolings) at base s + 2^l p of the contig. What
   lies there is the same for every window, unless the ends of the window reach in: 'same' padding puts zeros there. So
   each layer is computed once along the contig, for all windows (its "rows"), and for each window again at the few
   positions that feel an end (its "ends"). A row is needed only where a position of some window falls: at multiples of
   the greatest common divisor of 2^l and the stride, the layer's "grid".

   A contig is worked through in steps of some windows. Rows are kept only as long as later ones need them, so that they
   stay in the cache. */

#ifndef WINDOWS_H
#define WINDOWS_H

#include "_program.h"

/* One Windows, behind it its Levels, behind them its Operations. Numbers of bases are from the start of a window. */
struct Windows {
    int64_t stride, step, block; /* windows of a step; of a matrix product, a whole number of steps */
    int64_t lead;                /* windows by which left ends are ahead of right ends */
    int64_t kmer_length, kmer_left; /* bases of a k-mer, and how many of them lie left of its position */
    int64_t zeros;               /* table row of zeros */
    int64_t levels, operations;
    int64_t run, group;          /* windows whose products are made as they are; that all operations serve together */
};

/* A convolution and the pooling behind it; the first level is what tables replace. Inside [low, high) a position is the
   same for every window. Sums are what the convolution gives, before the pooling; there is one plane of them for each
   tap: plane k holds the bias and taps k, k + 1, ... to the last, so that plane 0 is the convolution. */
typedef struct {
    int64_t low, high, positions, channels, taps, left, weight, bias;
    int64_t scale, grid, front, keep, first, rows;                     /* of pooled rows */
    int64_t sum_scale, sum_grid, sum_front, sum_keep, planes, sum_rows; /* of sums */
} Level;

/* One product of dense1 with `weight`, of combined rows, that is added to several windows; see sliding.py. `offsets`:
   int32, rows of the inputs from that of the window, then windows of the outputs; `factors`: float32, likewise. */
typedef struct {
    int64_t inputs, outputs, weight, offsets, factors;
} Operation;

static inline const Level *levels_of(const Windows *plan) { return (const Level *)(plan + 1); }

static inline const Operation *operations_of(const Windows *plan) {
    return (const Operation *)(levels_of(plan) + plan->levels);
}

static inline int64_t ends_of(const Level *level) { return level->low + level->positions - level->high; }

/* Rows of a layer along the contig: numbers `first` to `done` - 1 are there; row r belongs to base r * grid. */
typedef struct {
    float *rows;
    int64_t first, done, width, plane; /* plane: floats from one plane to the next */
} Track;

static inline float *row_of(const Track *track, int64_t row) {
    return track->rows + (row - track->first) * track->width;
}

enum { MOST_LEVELS = 16 };

/* The memory of one thread. */
typedef struct {
    Track sums[MOST_LEVELS], pooled[MOST_LEVELS];
    float *ends;          /* of the last level: (window, end, width), left ones first */
    int64_t first_window; /* that `ends` begins with */
    int64_t left_done;    /* windows whose left ends are there */
    float *near[2];       /* ends of one level and of the next, for a few windows */
    int32_t *kmers;
    uint16_t *lists;
    float *combined, *zeros;
    int32_t *served; /* row of `combined` -> window */
    float *hidden[2];
} Room;

#endif
