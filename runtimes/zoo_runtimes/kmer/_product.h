/* Matrix products with packed weights: a tile of sums that stays in registers, and whole layers made of tiles.

   Activations are float32, (position, channel). A weight matrix (depth, columns) is packed in panels of PANEL columns,
   (panel, depth, PANEL), zeros where a layer has fewer, so that a product reads it from front to back. Rows of
   activations are `stride` floats apart and may overlap, which makes a convolution a matrix product without copying
   its input: row p is the `taps` positions that begin at p. */

/* to[rows][COLUMNS] = from[rows][COLUMNS] + a[rows][depth] x panel[depth][COLUMNS]; rows of `from` are from_stride
   floats apart (0: the same for all, a bias), those of `to` to_stride; `from` and `to` may be one. */
INLINE void NAME(product)(const int rows, const float *a, int64_t stride, int64_t depth, const float *panel,
                          const float *from, int64_t from_stride, float *to, int64_t to_stride) {
    VECTOR sum[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) sum[r][v] = READ(from + r * from_stride + v * LANES);
    for (int64_t k = 0; k < depth; k++) {
        VECTOR weight[VECTORS];
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) weight[v] = READ(panel + k * PANEL + v * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (int v = 0; v < VECTORS; v++) sum[r][v] += weight[v] * a[r * stride + k];
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) AT(to + r * to_stride + v * LANES) = sum[r][v];
}

/* product() for the first of `rows` rows that fit a tile; returns their number */
INLINE int64_t NAME(some_rows)(int64_t rows, const float *a, int64_t stride, int64_t depth, const float *panel,
                               const float *from, int64_t from_stride, float *to, int64_t to_stride) {
#define ROWS_OF(number) NAME(product)(number, a, stride, depth, panel, from, from_stride, to, to_stride), number
    if (rows >= ROWS) return ROWS_OF(ROWS);
    if (ROWS > 4 && rows >= 4) return ROWS_OF(4);
    if (rows >= 2) return ROWS_OF(2);
    return ROWS_OF(1);
#undef ROWS_OF
}

/* out[rows / pool][columns] = pooled(relu(bias + a x weight)); rows must be a multiple of pool, pool 1 or 2 */
SHARED void NAME(multiply)(const float *a, int64_t stride, int64_t rows, int64_t depth, const float *weight,
                           const float *bias, int64_t columns, int64_t pool, int64_t relu, float *out) {
    float tile[ROWS * COLUMNS];
    const float least = relu ? 0.0f : -INFINITY;
    for (int64_t first = 0; first < columns; first += COLUMNS) {
        const float *panel = weight + first / PANEL * PANEL * depth + first % PANEL;
        const int64_t used = columns - first < COLUMNS ? columns - first : COLUMNS;
        int64_t done;
        for (int64_t row = 0; row < rows; row += done) {
            done = NAME(some_rows)(rows - row, a + row * stride, stride, depth, panel, bias + first, 0, tile, COLUMNS);
            for (int64_t r = 0; r < done; r += pool) {
                float *to = out + (row + r) / pool * columns + first;
                const float *one = tile + r * COLUMNS, *two = one + (pool - 1) * COLUMNS;
                for (int64_t c = 0; c < used; c++) {
                    float most = one[c] > two[c] ? one[c] : two[c];
                    to[c] = most > least ? most : least;
                }
            }
        }
    }
}
