/* The matrices of one block of windows. The first takes the last level at all positions: its ends for each window, what
   lies between in products that several windows share (sliding.py says which), the others as they are. */

/* combined[row] = the rows of the last level that one product takes for a window, each times its factor, added up */
INLINE void NAME(combine)(const Windows *plan, const Room *room, const Operation *operation, int64_t begin,
                          int64_t rows) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const Track *from = &room->pooled[plan->levels - 1];
    const int32_t *offsets = (const int32_t *)operation->offsets;
    const float *factors = (const float *)operation->factors;
    for (int64_t r = 0; r < rows; r++) {
        const float *a = row_of(from, (begin + room->served[r]) * plan->stride / top->grid);
        float *to = room->combined + r * from->width;
        for (int64_t c = 0; c < from->width; c += LANES) {
            VECTOR sum = READ(a + offsets[0] * from->width + c) * factors[0];
            for (int64_t i = 1; i < operation->inputs; i++)
                sum += READ(a + offsets[i] * from->width + c) * factors[i];
            AT(to + c) = sum;
        }
    }
}

/* hidden += what one product gives, for each window that it serves */
INLINE void NAME(serve)(const Windows *plan, const Room *room, const Operation *operation, int64_t rows, int64_t width,
                        float *hidden) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const int64_t depth = top->channels, stride = width_of(depth);
    const int32_t *offsets = (const int32_t *)operation->offsets + operation->inputs;
    const float *factors = (const float *)operation->factors + operation->inputs;
    float tile[ROWS * COLUMNS];
    for (int64_t first = 0; first < width; first += COLUMNS) {
        const float *panel = (const float *)operation->weight + first / PANEL * PANEL * depth + first % PANEL;
        int64_t done;
        for (int64_t row = 0; row < rows; row += done) {
            done = NAME(some_rows)(rows - row, room->combined + row * stride, stride, depth, panel, room->zeros, 0,
                                   tile, COLUMNS);
            for (int64_t o = 0; o < operation->outputs; o++)
                for (int64_t r = 0; r < done; r++) {
                    float *to = hidden + (room->served[row + r] + offsets[o]) * width + first;
#pragma GCC unroll 8
                    for (int v = 0; v < VECTORS; v++)
                        AT(to + v * LANES) += READ(tile + r * COLUMNS + v * LANES) * factors[o];
                }
        }
    }
}

/* Activities of the block that begins at window `begin`, rows of whole panels. */
TARGET static const float *NAME(dense)(const Program *program, const Windows *plan, Room *room, int64_t begin) {
    const Level *top = levels_of(plan) + plan->levels - 1;
    const Matrix *matrix = matrices_of(program);
    const int64_t ends = ends_of(top), rows = plan->block / plan->group * plan->run;
    int64_t width = width_of(matrix->outputs), first_rows[ends ? ends : 1];
    float *hidden = room->hidden[0], *next = room->hidden[1];
    for (int64_t e = 0; e < ends; e++)
        first_rows[e] = (e < top->low ? e : top->high + e - top->low) * top->channels;
    const NAME(Inputs) of_ends = {room->ends, ends * width_of(top->channels), ends, width_of(top->channels),
                                  top->channels, first_rows};
    NAME(multiply_listed)(&of_ends, plan->block, matrix->inputs, (const float *)matrix->weight,
                          (const float *)matrix->bias, matrix->outputs, 0, room->lists, hidden, width);
    for (int64_t o = 0; o < plan->operations; o++) {
        const Operation *operation = operations_of(plan) + o;
        NAME(combine)(plan, room, operation, begin, rows);
        NAME(serve)(plan, room, operation, rows, width, hidden);
    }
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
