/* What _windows.c and sharing.py agree on: how overlapping windows share their layers, and the memory for it.

   A window that begins at base s has its position p of layer l (after l poolings) at base s + 2^l p of the contig. Its
   value is the same for every window, unless it depends on the zeros of 'same' padding at an end of the window. So each
   layer is computed once along the contig, for all windows (its "rows"), and again for each window at the few positions
   that depend on an end (its "ends"). Rows are needed only at positions of windows: at multiples of the
   greatest common divisor of 2^l and the stride, the layer's "grid".

   A contig is worked through in steps of some windows. Rows are kept only as long as later ones need them, so that they
   stay in the cache. */

#ifndef WINDOWS_H
#define WINDOWS_H

#include "_program.h"

/* One Windows, followed by its Levels, then its Bundles, then the Products of all bundles. */
struct Windows {
    int64_t stride;                 /* bases from the start of a window to that of the next */
    int64_t step, block;            /* windows of a step; of a matrix product, a whole number of steps */
    int64_t lead;                   /* number of windows that left ends are ahead of right ends */
    int64_t kmer_length, kmer_left; /* bases of a k-mer, and how many of them lie left of its position */
    int64_t zeros;                  /* table row of zeros */
    int64_t levels, bundles;
    int64_t most;                   /* products of a bundle, at most */
    int64_t run, group;             /* consecutive windows that share no product; that the bundles serve together */
};

/* A convolution and its pooling; the first level has the layers that tables replace. Inside [low, high) a position is
   the same for every window. Sums are the output of the convolution before the pooling, in one plane for each tap:
   plane k holds the bias and taps k, k + 1, ... to the last, so that plane 0 is the convolution.

   scale: bases from one position to the next.  grid: bases from one row to the next.  front: the last base, from the
   start of the last window of a step, at which a row is needed; keep: the first at which the next step needs one.
   first: number of the first row, below 0 where zeros are read before the contig.  rows: number of rows that fit the
   memory. */
typedef struct {
    int64_t low, high, positions, channels, taps, left, weight, bias;
    int64_t scale, grid, front, keep, first, rows;                      /* of pooled rows */
    int64_t sum_scale, sum_grid, sum_front, sum_keep, planes, sum_rows; /* of sums */
} Level;

/* A sum of rows (or to windows), each times its factor: int32 offsets from the row of a window (from the window),
   float32 factors. */
typedef struct {
    int64_t number, offsets, factors;
} Combination;

/* Products of the first matrix that add up to one sum or two, each added to some windows; see sharing.py. */
typedef struct {
    int64_t products, sums;
    Combination outputs[2];
} Bundle;

/* `factors`: float32, of the product in each sum */
typedef struct {
    Combination inputs;
    int64_t weight, factors;
} Product;

static inline const Level *levels_of(const Windows *plan) { return (const Level *)(plan + 1); }

static inline const Bundle *bundles_of(const Windows *plan) {
    return (const Bundle *)(levels_of(plan) + plan->levels);
}

static inline const Product *products_of(const Windows *plan) {
    return (const Product *)(bundles_of(plan) + plan->bundles);
}

static inline int64_t ends_of(const Level *level) { return level->low + level->positions - level->high; }

/* table rows that the left or right ends of the first level take */
static inline int64_t seen_by_ends(const Program *program, const Level *first, int right) {
    return (right ? first->positions - first->high : first->low) * program->pool + program->taps - 1;
}

/* Rows of a layer along the contig: numbers `first` to `done` - 1 are computed; row r belongs to base r * grid. */
typedef struct {
    float *rows;
    int64_t first, done, width, plane; /* plane: floats from one plane to the next */
} Track;

static inline float *row_of(const Track *track, int64_t row) {
    return track->rows + (row - track->first) * track->width;
}

enum { MOST_LEVELS = 16 }; /* as MOST_LAYERS in sharing.py */

/* The memory of one thread. */
typedef struct {
    Track sums[MOST_LEVELS], pooled[MOST_LEVELS];
    float *ends;          /* of the last level: (window, end, width), left ones first */
    int64_t first_window; /* first window in `ends` */
    int64_t left_done;    /* windows whose left ends are computed */
    float *near[2];       /* ends of one level and of the next, for a few windows */
    int32_t *kmers, *end_rows;
    uint16_t *lists;
    float *combined, *sums_of_bundle, *zeros;
    int32_t *served; /* row of `combined` -> window */
    float *hidden[2];
} Room;

#endif
