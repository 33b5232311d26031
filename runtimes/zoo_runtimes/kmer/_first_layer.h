/* The first layer, where a base selects a row of weights: its sums, and the multipliers of the bases in the backward
   pass. Included by _contributions.c. An N, like padding, adds nothing. */

/* The code at a tap. */
INLINE int NAME(base_at)(const Layer *first, const uint8_t *codes, int64_t position, int64_t tap) {
    const int64_t base = position - first->left + tap;
    return base < 0 || base >= first->positions ? 4 : codes[base];
}

/* Weights of a base at a tap, from the filter `column` on; those of register v begin NAME(part_of)(first, v) later. */
INLINE const float *NAME(weights_of)(const Layer *first, int64_t column, int64_t tap, int64_t base) {
    return first->weight + column / PANEL * PANEL * first->taps * 4 + column % PANEL + (tap * 4 + base) * PANEL;
}
INLINE int64_t NAME(part_of)(const Layer *first, int v) {
    return v * LANES / PANEL * PANEL * first->taps * 4 + v * LANES % PANEL;
}

/* Sums at one position. */
INLINE void NAME(first_sums)(const int vectors, const Layer *first, const uint8_t *codes, int64_t position,
                             int64_t column, VECTOR *sum) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[v] = READ(first->bias + column + v * LANES);
    for (int64_t tap = 0; tap < first->taps; tap++) {
        const int base = NAME(base_at)(first, codes, position, tap);
        if (base > 3) continue;
        const float *weights = NAME(weights_of)(first, column, tap, base);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[v] += READ(weights + NAME(part_of)(first, v));
    }
}

/* One result, pooled from two sums, which go to `sums` if that is not NULL. */
INLINE void NAME(first_result)(const int vectors, const Layer *first, const uint8_t *codes, int64_t position,
                               int64_t column, float *sums, float *out) {
    const int64_t width = width_of(first->filters);
    VECTOR one[WIDE], two[WIDE];
    NAME(first_sums)(vectors, first, codes, 2 * position, column, one);
    NAME(first_sums)(vectors, first, codes, 2 * position + 1, column, two);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        AT(out + column + v * LANES) = NAME(larger)(NAME(larger)(one[v], two[v]), (VECTOR){0});
        if (!sums) continue;
        AT(sums + column + v * LANES) = one[v];
        AT(sums + width + column + v * LANES) = two[v];
    }
}

/* Whole sequences. sums: (results * 2, width) of a single one, or NULL. */
INLINE void NAME(first_results)(const int rows, const Layer *first, const uint8_t *const *codes, float *sums,
                                Map *out) {
    for (int64_t p = 0; p < first->results; p++) {
        for (int r = 0; r < rows; r++) {
            float *to = out->values + (p * rows + r) * out->width, *keep = sums ? sums + 2 * p * out->width : NULL;
#define FIRST(vectors, column) NAME(first_result)(vectors, first, codes[r], p, column, keep, to)
            OVER_CHANNELS(first->filters, FIRST)
#undef FIRST
        }
        NAME(list)(rows, out, p);
    }
}

/* reached[base][lane] += multipliers of the sums at a position x weights of the base that `codes` has at each tap, or
   of base `every` if that is not negative. */
INLINE void NAME(reach)(const int vectors, const Layer *first, const uint8_t *codes, int every, int64_t position,
                        int64_t column, const VECTOR *multiplier, float *reached) {
    for (int64_t tap = 0; tap < first->taps; tap++) {
        const int base = every < 0 ? NAME(base_at)(first, codes, position, tap) : every;
        if (base > 3) continue;
        const float *weights = NAME(weights_of)(first, column, tap, base);
        VECTOR sum = {0};
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum += multiplier[v] * READ(weights + NAME(part_of)(first, v));
        AT(reached + (position + tap) * LANES) += sum;
    }
}

/* reach() for base `every`, from multipliers of sums in memory. */
INLINE void NAME(reach_from)(const int vectors, const Layer *first, int every, int64_t position, int64_t column,
                             const float *multipliers, float *reached) {
    VECTOR multiplier[WIDE];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) multiplier[v] = READ(multipliers + column + v * LANES);
    NAME(reach)(vectors, first, NULL, every, position, column, multiplier, reached);
}

/* The multiplier of the base at `position`: the sum over lanes. */
INLINE float NAME(reached_at)(const Layer *first, int64_t position, const float *reached) {
    float sum = 0;
    for (int l = 0; l < LANES; l++) sum += reached[(position + first->left) * LANES + l];
    return sum;
}
