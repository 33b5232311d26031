/* Every window along a stretch of DNA; overlapping windows share their common work, see _windows.h.

   This file owns the order of the work and the memory; rows along the contig are made in _windows_rows.h, the ends of
   each window in _windows_ends.h, the matrices in _windows_dense.h. */

#ifndef NAME

#include "_windows.h"

enum { LINE = 16 }; /* floats of a cache line, and of the widest register */

static float *take(float **free, int64_t floats) {
    float *taken = *free;
    *free += (floats + SLACK + LINE - 1) / LINE * LINE;
    return taken;
}

static Track track(float **free, int64_t rows, int64_t width, int64_t planes, int64_t first) {
    Track made = {NULL, first, 0, width, (rows * width + LINE - 1) / LINE * LINE};
    made.rows = take(free, made.plane * planes);
    return made;
}

static int64_t larger_of(int64_t one, int64_t two) { return one > two ? one : two; }

/* Lays a Room out in memory that begins at `memory`; returns where it ends. */
static float *lay_out(Room *room, const Program *program, const Windows *plan, float *memory) {
    const Level *levels = levels_of(plan), *top = levels + plan->levels - 1;
    const Matrix *matrices = matrices_of(program);
    float *free = memory;
    int64_t near = 0, inputs = 0, hidden = 0;
    for (int64_t l = 0; l < plan->levels; l++) {
        const Level *level = levels + l;
        const int64_t width = width_of(level->channels);
        room->sums[l] = track(&free, level->sum_rows, width, level->planes, 0);
        room->pooled[l] = track(&free, level->rows, width, 1, level->first);
        near = larger_of(near, (level->low + level->positions - level->high) * width);
        inputs = larger_of(inputs, ends_of(level) * (level->channels + 1));
    }
    for (int64_t m = 0; m < program->matrices; m++) {
        hidden = larger_of(hidden, width_of(matrices[m].outputs));
        if (m) inputs = larger_of(inputs, matrices[m].inputs + 1);
    }
    const int64_t served = plan->block / plan->group * plan->run;
    room->ends = take(&free, (plan->block + plan->lead + plan->step) * ends_of(top) * width_of(top->channels));
    for (int i = 0; i < 2; i++) room->near[i] = take(&free, MOST_TOGETHER * near);
    room->kmers = (int32_t *)take(&free, levels->sum_rows + levels->rows + program->taps * levels->sum_scale);
    room->end_rows = (int32_t *)take(&free, (plan->step + plan->lead) * larger_of(seen_by_ends(program, levels, 0),
                                                                                   seen_by_ends(program, levels, 1)));
    room->lists = (uint16_t *)take(&free, plan->block * inputs);
    room->combined = take(&free, plan->most * served * width_of(top->channels));
    room->sums_of_bundle = take(&free, 2 * served * PANEL);
    room->zeros = take(&free, PANEL);
    room->served = (int32_t *)take(&free, served);
    for (int i = 0; i < 2; i++) room->hidden[i] = take(&free, plan->block * hidden);
    return free;
}

int64_t windows_room(const Program *program, const Windows *plan) {
    Room room;
    return lay_out(&room, program, plan, NULL) - (float *)NULL;
}

static int64_t below(int64_t bases, int64_t grid) { /* the last row at or before a base */
    return bases >= 0 ? bases / grid : -((grid - 1 - bases) / grid);
}

int plan_fits(const Windows *plan, int64_t bytes) {
    if (bytes < (int64_t)sizeof *plan) return 0;
    if (plan->levels < 1 || plan->levels > MOST_LEVELS || plan->bundles < 0 || plan->bundles > bytes) return 0;
    if (plan->stride < 1 || plan->step < 1 || plan->block < 1 || plan->lead < 0) return 0;
    int64_t left = bytes - (int64_t)sizeof *plan;
    left -= plan->levels * (int64_t)sizeof(Level) + plan->bundles * (int64_t)sizeof(Bundle);
    for (int64_t b = 0; left >= 0 && b < plan->bundles; b++) {
        const int64_t products = bundles_of(plan)[b].products;
        if (products < 0 || products > bytes) return 0;
        left -= products * (int64_t)sizeof(Product);
    }
    return left == 0;
}

/* Number of bases that are read before the first of `count` windows, and from its start on: by k-mers of the rows along
   the contig, see look_up_rows(), and by k-mers of the ends of windows, see rows_of_ends(). */
void windows_reach(const Program *program, const Windows *plan, int64_t count, int64_t *before, int64_t *after) {
    const Level *first = levels_of(plan);
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths;
    const int64_t whole = (count + plan->block - 1) / plan->block * plan->block, last = (whole - 1) * plan->stride;
    const int64_t apart = first->planes ? first->sum_scale : 0, grid = first->planes ? first->sum_grid : first->grid;
    const int64_t front = first->planes ? first->sum_front : first->front;
    int64_t along = below(last + front, grid) * grid + (program->taps - 1 - program->left) * apart, ends = 0;
    along += plan->kmer_length - plan->kmer_left;
    for (int64_t p = 0; p < program->windows; p++) ends = larger_of(ends, start[p] + length[p]);
    *before = whole ? program->left * apart + plan->kmer_left : 0;
    *after = whole ? larger_of(along, last + plan->lead * plan->stride + ends) : 0;
}

/* Drops the rows before the one at base `keep`, and moves the others to the front. If windows are far apart, rows
   before it may not exist yet; they are not needed. */
static void slide(Track *track, int64_t keep, int64_t grid, int64_t planes) {
    const int64_t first = below(keep, grid);
    if (first <= track->first) return;
    if (first > track->done) track->done = first;
    const int64_t from = (first - track->first) * track->width, kept = (track->done - first) * track->width;
    for (int64_t plane = 0; plane < planes; plane++) {
        float *rows = track->rows + plane * track->plane;
        memmove(rows, rows + from, kept * sizeof *rows);
    }
    track->first = first;
}

#define ARITHMETIC "_windows.c"
#include "_each_set.h"

const ManyWindows WINDOWS[NUMBER_OF_SETS] = OF_EACH_SET(windows);

#else

#include "_windows_rows.h"

#include "_windows_ends.h"

#include "_windows_dense.h"

/* The steps of one block of windows, from number `begin` on: the rows that they need, and the ends of each. */
INLINE void NAME(steps)(const Program *program, const Windows *plan, Room *room, const uint8_t *codes, int64_t begin) {
    const Level *levels = levels_of(plan);
    for (int64_t window = begin; window < begin + plan->block; window += plan->step) {
        const int64_t next = window + plan->step, last = (next - 1) * plan->stride; /* base of the last window */
        NAME(look_up_rows)(program, plan, room, codes, last);
        for (int64_t l = 1; l < plan->levels; l++) NAME(convolve_rows)(plan, room, l, last);
        NAME(ends)(program, plan, room, codes, room->left_done, next + plan->lead - room->left_done, 0);
        room->left_done = next + plan->lead;
        NAME(ends)(program, plan, room, codes, window, plan->step, 1);
        for (int64_t l = 0; l < plan->levels; l++) {
            slide(&room->sums[l], last + levels[l].sum_keep, levels[l].sum_grid, levels[l].planes);
            if (l + 1 < plan->levels) slide(&room->pooled[l], last + levels[l].keep, levels[l].grid, 1);
        }
    }
}

TARGET static void NAME(windows)(const Program *program, const Windows *plan, const uint8_t *codes, int64_t count,
                                 float *memory, float *out) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const int64_t targets = matrices_of(program)[program->matrices - 1].outputs;
    const int64_t window_ends = ends_of(top) * width_of(top->channels);
    Room made = {0}, *room = &made;
    lay_out(room, program, plan, memory);
    memset(room->zeros, 0, PANEL * sizeof *room->zeros);
    for (int64_t l = 0; l < plan->levels; l++) /* rows before the first base are zeros */
        memset(room->pooled[l].rows, 0, -room->pooled[l].first * room->pooled[l].width * sizeof(float));
    for (int64_t r = 0; r < plan->block / plan->group * plan->run; r++)
        room->served[r] = (int32_t)(r / plan->run * plan->group + r % plan->run);

    for (int64_t begin = 0; begin < count; begin += plan->block) {
        NAME(steps)(program, plan, room, codes, begin);
        const float *activities = NAME(dense)(program, plan, room, begin);
        const int64_t width = width_of(targets), wanted = count - begin < plan->block ? count - begin : plan->block;
        for (int64_t w = 0; w < wanted; w++)
            memcpy(out + (begin + w) * targets, activities + w * width, targets * sizeof *out);
        slide(&room->pooled[plan->levels - 1], (begin + plan->block) * plan->stride, top->grid, 1);
        memmove(room->ends, room->ends + plan->block * window_ends,
                (room->left_done - begin - plan->block) * window_ends * sizeof *room->ends);
        room->first_window = begin + plan->block;
    }
}

#endif
