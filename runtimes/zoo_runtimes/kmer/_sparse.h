/* Products that skip inputs which are zero in all of a few rows: changes by an edit, multipliers, activations.

   ReLU and max-pooling leave half of the channels at zero, or unchanged. GROUP rows share the weights that are read.
   Weights are packed as for _product.h; Layer and Map are in _program.h. Included by _edits.c and _contributions.c.
   */

/* _edits.c needs ADD_PRODUCT; the loops of _contributions.c are faster without it */
#ifndef ADD_SPARSE
#define ADD_SPARSE(sum, vector, number) (sum) += (vector) * (number)
#endif

/* Lists the channels of a position that are not zero in all rows. */
INLINE void NAME(list)(const int rows, Map *map, int64_t position) {
    const float *values = map->values + (position - map->first) * rows * map->width;
    int32_t *list = map->lists + (position - map->first) * map->width;
    int64_t count = 0;
#if LANES == 16
    __m512i channels = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t c = 0; c < map->channels; c += 16) {
        const int64_t left = map->channels - c;
        __mmask16 some = 0;
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            some |= _mm512_cmp_ps_mask(_mm512_loadu_ps(values + r * map->width + c), _mm512_setzero_ps(),
                                       _CMP_NEQ_UQ);
        if (left < 16) some &= (__mmask16)((1u << left) - 1);
        _mm512_storeu_si512(list + count, _mm512_maskz_compress_epi32(some, channels));
        count += __builtin_popcount(some);
        channels = _mm512_add_epi32(channels, _mm512_set1_epi32(16));
    }
#else
    for (int64_t c = 0; c < map->channels; c++) {
        int some = 0;
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) some |= values[r * map->width + c] != 0;
        list[count] = (int32_t)c;
        count += some;
    }
#endif
    map->counts[position - map->first] = count;
}

/* sum[rows][vectors] += the sums of a layer at `position`, from the filter `column` on, of the part of its input that
   `in` holds. A bias is not added. */
INLINE void NAME(add_sums)(const int rows, const int vectors, const Layer *layer, const Map *in, int64_t position,
                           int64_t column, VECTOR (*sum)[WIDE]) {
    const int64_t depth = layer->taps * layer->channels, reach = position - layer->left;
    const float *panels = layer->weight + column / PANEL * PANEL * depth + column % PANEL;
    const int64_t first = reach > in->first ? reach : in->first;
    const int64_t last = reach + layer->taps - 1 < in->last ? reach + layer->taps - 1 : in->last;
    for (int64_t p = first; p <= last; p++) {
        const float *values = in->values + (p - in->first) * rows * in->width;
        const int32_t *list = in->lists + (p - in->first) * in->width, *end = list + in->counts[p - in->first];
        const float *tap = panels + (p - reach) * layer->channels * PANEL;
        for (; list < end; list++) {
            const float *weights = tap + *list * PANEL, *value = values + *list;
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) {
                VECTOR weight = READ(weights + v * LANES / PANEL * PANEL * depth + v * LANES % PANEL);
                IN_REGISTER(weight);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++) ADD_SPARSE(sum[r][v], weight, value[r * in->width]);
            }
        }
    }
}

#undef ADD_SPARSE

/* Does DO(vectors, column) for all registers of `channels` channels, WIDE of them at a time while there are enough;
   `vectors` is a constant. */
#define OVER_CHANNELS(channels, DO)                                                                                    \
    for (int64_t column = 0, left = ((channels) + LANES - 1) / LANES; left > 0;) {                                     \
        const int64_t take = left >= WIDE ? WIDE : left >= 4 ? 4 : left >= 2 ? 2 : 1;                                  \
        if (take == WIDE) DO(WIDE, column);                                                                            \
        else if (take == 4) DO(4, column);                                                                             \
        else if (take == 2) DO(2, column);                                                                             \
        else DO(1, column);                                                                                            \
        column += take * LANES, left -= take;                                                                          \
    }

/* One position of a layer's result: for pool sums, made in the order of positions, their maximum and ReLU.

   from: sums to begin with, `pool` rows of a map's width, or one row for all, a bias (from_stride 0), or NULL.  sums:
   where the sums go, (pool, rows, width), or NULL.  out: (rows, width); `less`, (width,), is subtracted if it is not
   NULL. */
INLINE void NAME(results_at)(const int rows, const int vectors, const Layer *layer, const Map *in, int64_t position,
                             int64_t column, const float *from, int64_t from_stride, float *sums, const float *less,
                             float *out) {
    const int64_t width = width_of(layer->filters);
    const float least = layer->relu ? 0.0f : -INFINITY;
    VECTOR most[GROUP][WIDE];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) most[r][v] = (VECTOR){0} + least;
    for (int64_t p = 0; p < layer->pool; p++) {
        VECTOR sum[GROUP][WIDE];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[r][v] = from ? READ(from + p * from_stride + column + v * LANES) : (VECTOR){0};
        NAME(add_sums)(rows, vectors, layer, in, position * layer->pool + p, column, sum);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) {
                if (sums) AT(sums + (p * rows + r) * width + column + v * LANES) = sum[r][v];
                most[r][v] = NAME(larger)(sum[r][v], most[r][v]);
            }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            VECTOR result = most[r][v];
            if (less) result -= READ(less + column + v * LANES);
            AT(out + r * width + column + v * LANES) = result;
        }
}

/* A layer for whole sequences: all of `in` -> `sums`, (results * pool, rows, width), and all of `out` with its lists. */
INLINE void NAME(results)(const int rows, const Layer *layer, const Map *in, float *sums, Map *out) {
    for (int64_t p = 0; p < layer->results; p++) {
        float *here = sums + p * layer->pool * rows * out->width, *to = out->values + p * rows * out->width;
#define RESULTS(vectors, column)                                                                                       \
    NAME(results_at)(rows, vectors, layer, in, p, column, layer->bias, 0, here, NULL, to)
        OVER_CHANNELS(layer->filters, RESULTS)
#undef RESULTS
        NAME(list)(rows, out, p);
    }
}
