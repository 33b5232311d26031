/* The arithmetic of _kernel.c, included once for each instruction set with

       NAME(x)        x with the name of the instruction set behind it
       TARGET         attribute that lets a function use that instruction set, or nothing
       LANES          floats in one of its registers
       ROWS, VECTORS  rows x registers of sums that stay in registers while a matrix product runs

   Plain C with GNU vectors, so gcc and clang both take it. Activations are float32, (position, channel), and rows of
   COLUMNS weights are packed together, zeros where a layer has fewer. */

#define COLUMNS (VECTORS * LANES)
_Static_assert(PANEL % COLUMNS == 0, "a panel is a whole number of passes");

typedef float NAME(vector) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define VECTOR NAME(vector)
#define INLINE static inline __attribute__((always_inline)) TARGET

/* tile[rows][COLUMNS] = bias + a[rows][depth] x panel[depth][COLUMNS]; rows of `a` lie `stride` floats apart and may
   overlap, which makes a convolution a matrix product without copying its input */
INLINE void NAME(product)(const int rows, const float *a, int64_t stride, int64_t depth, const float *panel,
                          const float *bias, float *tile) {
    VECTOR sum[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) sum[r][v] = *(const VECTOR *)(bias + v * LANES);
    for (int64_t k = 0; k < depth; k++) {
        VECTOR weight[VECTORS];
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) weight[v] = *(const VECTOR *)(panel + k * PANEL + v * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (int v = 0; v < VECTORS; v++) sum[r][v] += weight[v] * a[r * stride + k];
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; v++) *(VECTOR *)(tile + r * COLUMNS + v * LANES) = sum[r][v];
}

/* out[rows / pool][columns] = pooled(relu(bias + a x weight)); rows must be a multiple of pool, pool 1 or 2 */
TARGET static void NAME(multiply)(const float *a, int64_t stride, int64_t rows, int64_t depth, const float *weight,
                                  const float *bias, int64_t columns, int64_t pool, int64_t relu, float *out) {
    float tile[ROWS * COLUMNS];
    const float least = relu ? 0.0f : -INFINITY;
    for (int64_t first = 0; first < columns; first += COLUMNS) {
        const float *panel = weight + first / PANEL * PANEL * depth + first % PANEL;
        const int64_t used = columns - first < COLUMNS ? columns - first : COLUMNS;
        int64_t done;
        for (int64_t row = 0; row < rows; row += done) {
            const float *from = a + row * stride;
            if (rows - row >= ROWS) NAME(product)(done = ROWS, from, stride, depth, panel, bias + first, tile);
            else if (ROWS > 4 && rows - row >= 4) NAME(product)(done = 4, from, stride, depth, panel, bias + first, tile);
            else if (rows - row >= 2) NAME(product)(done = 2, from, stride, depth, panel, bias + first, tile);
            else NAME(product)(done = 1, from, stride, depth, panel, bias + first, tile);
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

INLINE VECTOR NAME(larger)(VECTOR one, VECTOR two) {
    typedef int32_t mask __attribute__((vector_size(LANES * 4)));
    mask first = one > two;
    return (VECTOR)(((mask)one & first) | ((mask)two & ~first));
}

/* One position of the result: for `pool` neighbours the sum of each tap's part of its row, their maximum, ReLU. Writes
   whole registers, up to LANES - 1 zeros behind the last channel: the next position overwrites them, and room is left
   behind the last one. */
INLINE void NAME(gather)(const int64_t taps, const int64_t pool, const Program *program, const int32_t *rows,
                         float *out) {
    const int64_t width = program->width, length = program->taps * width;
    for (int64_t channel = 0; channel < program->channels; channel += LANES) {
        const float *part = (const float *)program->table + channel;
        VECTOR most = {0};
        for (int64_t p = 0; p < pool; p++) {
            VECTOR sum = *(const VECTOR *)(part + rows[p] * length);
            for (int64_t t = 1; t < taps; t++) sum += *(const VECTOR *)(part + rows[p + t] * length + t * width);
            most = NAME(larger)(sum, most);
        }
        *(VECTOR *)(out + channel) = most;
    }
}

/* Codes of one sequence -> what the compiled layers say of it. `rows` has room for the row of each position and for
   taps - 1 more at the ends, where padding lies: those hold the row of zeros throughout. */
TARGET static void NAME(look_up)(const Program *program, const uint8_t *codes, int32_t *rows, float *out) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths,
                  *offset = (const int32_t *)program->offsets;
    const int64_t line = program->taps * program->width, pool = program->pool, taps = program->taps;
    uint32_t kmer = 0;
    for (int64_t p = 0, base = 0; p < program->windows; p++) {
        /* windows on one table follow each other, so that only the bases behind the last one are new */
        if (p == 0 || offset[p] != offset[p - 1]) base = start[p];
        for (; base < start[p] + length[p]; base++) kmer = kmer << 2 | codes[base];
        rows[program->left + p] = offset[p] + (int32_t)(kmer & ((1u << 2 * length[p]) - 1));
    }
    const int64_t last = program->positions * pool + taps - 1;
    int64_t fetched = 0;
    for (int64_t p = 0; p < program->positions; p++, out += program->channels) {
        /* the tables are larger than any cache but the last, and no processor can guess the next row */
        for (; fetched < last && fetched < p * pool + AHEAD; fetched++) {
            const float *next = (const float *)program->table + rows[fetched] * line;
            for (int64_t f = 0; f < line; f += 16) __builtin_prefetch(next + f);
        }
        const int32_t *from = rows + p * pool;
        if (taps == 3 && pool == 2) NAME(gather)(3, 2, program, from, out);
        else if (taps == 5 && pool == 2) NAME(gather)(5, 2, program, from, out);
        else NAME(gather)(taps, pool, program, from, out);
    }
}

/* `count` sequences, at most BLOCK, through the whole network; see forward in _kernel.c for `room` */
TARGET static void NAME(block)(const Program *program, const uint8_t *codes, int64_t count, float *room, float *out) {
    const Convolution *layers = (const Convolution *)(program + 1);
    const Matrix *matrices = (const Matrix *)(layers + program->convolutions);
    int32_t *rows = (int32_t *)room;
    float *buffers = room + rows_room(program), *features = buffers;
    for (int64_t i = 0; i < program->convolutions; i++) features += buffer_room(layers + i);
    const int64_t flat = matrices->inputs;

    for (int64_t s = 0; s < count; s++, codes += program->length) {
        float *flattened = features + s * flat, *buffer = buffers;
        float *first = program->convolutions ? buffer + layers->left * layers->channels : flattened;
        if (program->table) NAME(look_up)(program, codes, rows, first);
        else
            for (int64_t p = 0; p < program->length; p++)
                for (int64_t base = 0; base < 4; base++) first[p * 4 + base] = codes[p] == base;
        for (int64_t i = 0; i < program->convolutions; i++) {
            const Convolution *layer = layers + i;
            float *next = buffer + buffer_room(layer);
            float *to = i + 1 < program->convolutions ? next + layer[1].left * layer[1].channels : flattened;
            NAME(multiply)(buffer, layer->channels, layer->positions / 2 * 2, layer->taps * layer->channels,
                           (const float *)layer->weight, (const float *)layer->bias, layer->filters, 2, 1, to);
            buffer = next;
        }
    }
    const float *hidden = features;
    float *spare = features + BLOCK * flat + SLACK;
    for (int64_t i = 0; i < program->matrices; i++) {
        const Matrix *matrix = matrices + i;
        float *to = i + 1 < program->matrices ? spare : out;
        NAME(multiply)(hidden, matrix->inputs, count, matrix->inputs, (const float *)matrix->weight,
                       (const float *)matrix->bias, matrix->outputs, 1, matrix->relu, to);
        hidden = to;
        spare += BLOCK * matrix->outputs;
    }
}

#undef VECTOR
#undef INLINE
#undef COLUMNS
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#undef VECTORS
