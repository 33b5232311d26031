/* The positions of each window that depend on one of its ends, level by level, for TOGETHER windows at a time.

   A sum near the left end is the shared sum from the first tap on that reads inside, plus the taps before it on the
   ends of the level below (on padding they read zeros). Near the right end it is the shared convolution without the
   taps that read outside, plus the taps on the ends of the level below. */

/* Table rows that the first level's ends need, for `count` windows; a row of zeros for padding. */
STAGE void NAME(rows_of_ends)(const Program *program, const Windows *plan, const uint8_t *codes, int64_t count,
                              int right, int32_t *rows) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths,
                  *offset = (const int32_t *)program->offsets;
    const Level *level = levels_of(plan);
    const int64_t first = (right ? level->high : 0) * program->pool - program->left;
    const int64_t seen = seen_by_ends(program, level, right);
    for (int64_t i = 0; i < seen; i++) {
        const int64_t p = first + i;
        const int inside = p >= 0 && p < program->windows;
        for (int64_t w = 0; w < count; w++) {
            const uint8_t *bases = codes + w * plan->stride + (inside ? start[p] : 0);
            uint32_t kmer = 0;
            for (int64_t base = 0; inside && base < length[p]; base++) kmer = kmer << 2 | bases[base];
            rows[w * seen + i] = inside ? offset[p] + (int32_t)kmer : (int32_t)plan->zeros;
        }
    }
}

/* The first level of TOGETHER windows from their table rows; the rows of later windows, up to `until`, are fetched. */
STAGE void NAME(look_up_ends)(const Program *program, const Windows *plan, const int32_t *rows, const int32_t *until,
                              int right, float *out, int64_t out_stride) {
    const Level *level = levels_of(plan);
    const int64_t number = right ? level->positions - level->high : level->low, width = width_of(level->channels);
    const int64_t seen = seen_by_ends(program, level, right);
    for (int64_t i = 0; i < TOGETHER * seen; i++)
        if (rows + 2 * TOGETHER * seen + i < until) NAME(fetch)(program, rows[2 * TOGETHER * seen + i]);
    for (int t = 0; t < TOGETHER; t++)
        for (int64_t i = 0; i < number; i++) {
            const int32_t *from = rows + t * seen + i * program->pool;
            float *to = out + t * out_stride + i * width;
            if (program->taps == 3 && program->pool == 2) NAME(gather)(3, 2, program, from, to);
            else NAME(gather)(program->taps, program->pool, program, from, to);
        }
}

/* Start of a sum near an end: the bias if `from` is NULL; else the shared sums at `from`, or, with `less`, the bias
   plus `from` minus `less`. */
typedef struct {
    const float *from, *less;
} NAME(Beginning);

INLINE NAME(Beginning) NAME(beginning)(const Level *level, const Track *sums, int64_t base, int64_t position,
                                       const Level *lower, int right) {
    const int64_t first = position - level->left; /* input of tap 0 */
    const int64_t edge = right ? lower->high : lower->low;
    int64_t taps = edge - first; /* before the first input behind the edge */
    taps = taps < 0 ? 0 : taps > level->taps ? level->taps : taps;
    const float *plane = row_of(sums, (base + position * level->sum_scale) / level->sum_grid);
    if (!right) return (NAME(Beginning)){taps < level->taps ? plane + taps * sums->plane : NULL, NULL};
    return (NAME(Beginning)){taps ? plane : NULL, taps < level->taps ? plane + taps * sums->plane : NULL};
}

INLINE void NAME(begin_sums)(NAME(Beginning) at, int64_t stride, const float *bias, int half,
                             VECTOR (*sum)[2][VECTORS]) {
#pragma GCC unroll 8
    for (int t = 0; t < TOGETHER; t++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            VECTOR begun = READ(bias + v * LANES);
            if (at.from && at.less)
                begun += READ(at.from + t * stride + v * LANES) - READ(at.less + t * stride + v * LANES);
            else if (at.from) begun = READ(at.from + t * stride + v * LANES);
            sum[t][half][v] = begun;
        }
}

/* COLUMNS channels of one pooled position of TOGETHER windows: its two sums from the ends below, then their maximum. */
INLINE void NAME(end)(const Level *level, const Level *lower, const NAME(Beginning) *at, int64_t stride,
                      const float *bias, const float *panel, int64_t position, int64_t below_begin,
                      int64_t below_number, const float *near, int64_t near_stride, const uint16_t *lists, float *out,
                      int64_t out_stride) {
    const int64_t width = width_of(lower->channels), length = lower->channels + 1;
    VECTOR sum[TOGETHER][2][VECTORS];
    NAME(begin_sums)(at[0], stride, bias, 0, sum);
    NAME(begin_sums)(at[1], stride, bias, 1, sum);
    for (int64_t q = 0; q < below_number; q++) {
        /* the tap of either sum that reads this input */
        const int64_t tap = below_begin + q - 2 * position + level->left;
        const int one = tap >= 0 && tap < level->taps, two = tap >= 1 && tap <= level->taps;
        const float *weight = panel + tap * lower->channels * PANEL;
        const float *before = weight - lower->channels * PANEL;
        const uint16_t *list = lists + q * length;
        const float *a = near + q * width;
        if (one && two) NAME(add_listed)(3, a, near_stride, list + 1, list[0], weight, before, sum);
        else if (one) NAME(add_listed)(1, a, near_stride, list + 1, list[0], weight, NULL, sum);
        else if (two) NAME(add_listed)(2, a, near_stride, list + 1, list[0], NULL, before, sum);
    }
#pragma GCC unroll 8
    for (int t = 0; t < TOGETHER; t++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
            AT(out + t * out_stride + v * LANES) =
                NAME(larger)(NAME(larger)(sum[t][0][v], sum[t][1][v]), (VECTOR){0});
}

/* One level of TOGETHER windows from `window` on: the ends of the level below, `near` -> the ends of this one, `out`.
   */
STAGE void NAME(end_level)(const Windows *plan, Room *room, int64_t l, int64_t window, int right, const float *near,
                            int64_t near_stride, float *out, int64_t out_stride) {
    const Level *level = levels_of(plan) + l, *lower = level - 1;
    const Track *sums = &room->sums[l];
    const int64_t below_begin = right ? lower->high : 0;
    const int64_t below_number = right ? lower->positions - lower->high : lower->low;
    const int64_t begin = right ? level->high : 0, number = right ? level->positions - level->high : level->low;
    const int64_t width = width_of(level->channels), depth = level->taps * lower->channels;
    const int64_t stride = plan->stride / level->sum_grid * width; /* floats from a window's sums to the next one's */
    const float *weight = (const float *)level->weight, *bias = (const float *)level->bias;
    for (int64_t q = 0; q < below_number; q++) {
        uint16_t *list = room->lists + q * (lower->channels + 1);
        list[0] = (uint16_t)NAME(list_inputs)(near + q * width_of(lower->channels), near_stride, lower->channels,
                                              list + 1);
    }
    for (int64_t p = 0; p < number; p++) {
        NAME(Beginning) at[2];
        for (int half = 0; half < 2; half++)
            at[half] = NAME(beginning)(level, sums, window * plan->stride, 2 * (begin + p) + half, lower, right);
        for (int64_t first = 0; first < width; first += COLUMNS) {
            NAME(end)(level, lower, at, stride, bias + first, weight + first / PANEL * PANEL * depth + first % PANEL,
                      begin + p, below_begin, below_number, near, near_stride, room->lists, out + p * width + first,
                      out_stride);
            for (int half = 0; half < 2; half++) {
                if (at[half].from) at[half].from += COLUMNS;
                if (at[half].less) at[half].less += COLUMNS;
            }
        }
    }
}

/* The ends of all levels, left or right, of TOGETHER windows from number `window` on; the last level's are kept. */
STAGE void NAME(ends_of_windows)(const Program *program, const Windows *plan, Room *room, int64_t window, int right,
                                 const int32_t *rows, const int32_t *until) {
    const Level *levels = levels_of(plan), *top = levels + plan->levels - 1;
    const int64_t top_stride = ends_of(top) * width_of(top->channels);
    float *kept = room->ends + (window - room->first_window) * top_stride +
                  (right ? top->low * width_of(top->channels) : 0);
    float *near = NULL;
    int64_t near_stride = 0;
    for (int64_t l = 0; l < plan->levels; l++) {
        const Level *level = levels + l;
        const int64_t number = right ? level->positions - level->high : level->low;
        float *out = level == top ? kept : room->near[l % 2];
        const int64_t out_stride = level == top ? top_stride : number * width_of(level->channels);
        if (l) NAME(end_level)(plan, room, l, window, right, near, near_stride, out, out_stride);
        else NAME(look_up_ends)(program, plan, rows, until, right, out, out_stride);
        near = out, near_stride = out_stride;
    }
}

/* The ends, left or right, of `count` windows from number `window` on, a multiple of TOGETHER. */
INLINE void NAME(ends)(const Program *program, const Windows *plan, Room *room, const uint8_t *codes, int64_t window,
                       int64_t count, int right) {
    const int64_t seen = seen_by_ends(program, levels_of(plan), right);
    NAME(rows_of_ends)(program, plan, codes + window * plan->stride, count, right, room->end_rows);
    for (int64_t w = 0; w < count; w += TOGETHER)
        NAME(ends_of_windows)(program, plan, room, window + w, right, room->end_rows + w * seen,
                              room->end_rows + count * seen);
}
