/* The matrices of one block of windows. The first reads the last level at all positions: the ends of each window
   separately, the positions between them in products that several windows share, see sharing.py. The other matrices are
   computed for each window. */

/* to[row] = the rows of the last level that one product takes for a window, each times its factor, added up */
STAGE void NAME(combine)(const Windows *plan, const Room *room, const Combination *inputs, int64_t begin, int64_t rows,
                         float *to) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const Track *from = &room->pooled[plan->levels - 1];
    const int32_t *offsets = (const int32_t *)inputs->offsets;
    const float *factors = (const float *)inputs->factors;
    for (int64_t r = 0; r < rows; r++, to += from->width) {
        const float *a = row_of(from, (begin + room->served[r]) * plan->stride / top->grid);
        for (int64_t c = 0; c < from->width; c += LANES) {
            VECTOR sum = READ(a + offsets[0] * from->width + c) * factors[0];
            for (int64_t i = 1; i < inputs->number; i++) sum += READ(a + offsets[i] * from->width + c) * factors[i];
            AT(to + c) = sum;
        }
    }
}

/* to[window] += sums[row] x factor, COLUMNS of `width` columns, for each window that a sum is added to */
INLINE void NAME(add_sums)(const Combination *outputs, const float *sums, const int32_t *served, int64_t rows,
                           int64_t width, float *to) {
    const int32_t *offsets = (const int32_t *)outputs->offsets;
    const float *factors = (const float *)outputs->factors;
    for (int64_t o = 0; o < outputs->number; o++)
        for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++)
                AT(to + (served[r] + offsets[o]) * width + v * LANES) +=
                    READ(sums + r * COLUMNS + v * LANES) * factors[o];
}

/* Starts to load the next panel into the cache: the share of the rows from `row` on. */
INLINE void NAME(fetch_part)(const float *panel, int64_t depth, int64_t row, int64_t rows) {
    for (int64_t k = row * depth / rows, end = (row + ROWS) * depth / rows; k < end && k < depth; k++) {
        __builtin_prefetch(panel + k * PANEL);
        __builtin_prefetch(panel + k * PANEL + COLUMNS / 2);
    }
}

/* sums[s] += a x panel x factors[s], COLUMNS columns of all rows; with `begin`, sums start at zero */
INLINE void NAME(add_product)(const float *a, int64_t stride, int64_t depth, const float *panel, const float *next,
                              int64_t rows, const float *zeros, const float *factors, int begin, float *const *sums) {
    float tile[ROWS * COLUMNS];
    for (int64_t row = 0; row < rows;) {
        NAME(fetch_part)(next, depth, row, rows);
        const int64_t done =
            NAME(some_rows)(rows - row, a + row * stride, stride, depth, panel, zeros, 0, tile, COLUMNS);
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < done * COLUMNS; i += LANES) {
                const VECTOR before = begin ? (VECTOR){0} : READ(sums[s] + row * COLUMNS + i);
                AT(sums[s] + row * COLUMNS + i) = before + READ(tile + i) * factors[s];
            }
        row += done;
    }
}

/* sum += a x panel, the same for a bundle of one sum, whose factors are 1 */
INLINE void NAME(add_plain_product)(const float *a, int64_t stride, int64_t depth, const float *panel, int64_t rows,
                                    const float *zeros, int begin, float *sum) {
    for (int64_t row = 0; row < rows;)
        row += NAME(some_rows)(rows - row, a + row * stride, stride, depth, panel, begin ? zeros : sum + row * COLUMNS,
                               begin ? 0 : COLUMNS, sum + row * COLUMNS, COLUMNS);
}

/* One bundle: hidden += its sums. Row r of product p begins at a[p] + r * stride. A panel of weights stays in the
   first-level cache for all rows. */
STAGE void NAME(serve)(const Room *room, const Bundle *bundle, const Product *products, const float *const *a,
                       int64_t stride, int64_t depth, int64_t rows, int64_t width, float *hidden) {
    float *const sums[2] = {room->sums_of_bundle, room->sums_of_bundle + rows * COLUMNS};
    for (int64_t first = 0; first < width; first += COLUMNS) {
        const int64_t column = first / PANEL * PANEL * depth + first % PANEL;
        for (int64_t p = 0; p < bundle->products; p++) {
            const float *panel = (const float *)products[p].weight + column;
            const float *next = (const float *)products[p + 1 < bundle->products ? p + 1 : 0].weight + column;
            if (bundle->sums == 1)
                NAME(add_plain_product)(a[p], stride, depth, panel, rows, room->zeros, p == 0, sums[0]);
            else
                NAME(add_product)(a[p], stride, depth, panel, next, rows, room->zeros,
                                  (const float *)products[p].factors, p == 0, sums);
        }
        for (int64_t s = 0; s < bundle->sums; s++)
            NAME(add_sums)(&bundle->outputs[s], sums[s], room->served, rows, width, hidden + first);
    }
}

/* hidden += the products of the first matrix with the positions that windows share */
INLINE void NAME(share_products)(const Windows *plan, const Room *room, int64_t begin, int64_t width, float *hidden) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const Track *from = &room->pooled[plan->levels - 1];
    const int64_t rows = plan->block / plan->group * plan->run, per_window = plan->stride / top->grid;
    const Product *products = products_of(plan);
    const float *a[plan->most];
    for (const Bundle *bundle = bundles_of(plan); bundle < bundles_of(plan) + plan->bundles; bundle++) {
        const int as_they_are = plan->run == plan->group; /* nothing to combine: rows are evenly spaced */
        for (int64_t p = 0; p < bundle->products; p++) {
            const Combination *inputs = &products[p].inputs;
            float *combined = room->combined + p * rows * from->width;
            if (as_they_are) a[p] = row_of(from, begin * per_window + *(const int32_t *)inputs->offsets);
            else NAME(combine)(plan, room, inputs, begin, rows, combined), a[p] = combined;
        }
        NAME(serve)(room, bundle, products, a, (as_they_are ? per_window : 1) * from->width, top->channels, rows, width,
                    hidden);
        products += bundle->products;
    }
}

/* Activities of the block that begins at window `begin`, rows of whole panels. */
STAGE const float *NAME(dense)(const Program *program, const Windows *plan, Room *room, int64_t begin) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const Matrix *matrix = matrices_of(program);
    const int64_t ends = ends_of(top);
    int64_t width = width_of(matrix->outputs), first_rows[ends ? ends : 1];
    float *hidden = room->hidden[0], *next = room->hidden[1];
    for (int64_t e = 0; e < ends; e++)
        first_rows[e] = (e < top->low ? e : top->high + e - top->low) * top->channels;
    const NAME(Inputs) of_ends = {room->ends, ends * width_of(top->channels), ends, width_of(top->channels),
                                  top->channels, first_rows};
    NAME(multiply_listed)(&of_ends, plan->block, matrix->inputs, (const float *)matrix->weight,
                          (const float *)matrix->bias, matrix->outputs, 0, room->lists, hidden, width);
    NAME(share_products)(plan, room, begin, width, hidden);
    if (matrix->relu)
        for (int64_t i = 0; i < plan->block * width; i += LANES)
            AT(hidden + i) = NAME(larger)(READ(hidden + i), (VECTOR){0});
    for (int64_t m = 1; m < program->matrices; m++) {
        const int64_t all = 0, outputs = width_of(matrix[m].outputs);
        const NAME(Inputs) from = {hidden, width, 1, 0, matrix[m].inputs, &all};
        NAME(multiply_listed)(&from, plan->block, matrix[m].inputs, (const float *)matrix[m].weight,
                              (const float *)matrix[m].bias, matrix[m].outputs, matrix[m].relu, room->lists, next,
                              outputs);
        float *spare = hidden;
        hidden = next, next = spare, width = outputs;
    }
    return hidden;
}
