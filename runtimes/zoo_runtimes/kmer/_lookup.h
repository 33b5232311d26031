/* Lookup of the first layers: base codes -> table rows -> output of the layers that the tables replace.

   tables.py explains the tables: a row for each k-mer, with a part for each tap of the convolution that is multiplied
   in. The last row is zeros, for taps that read padding. */

enum { NAME(AHEAD) = 16 }; /* table rows fetched before they are needed */

/* The sum of each tap's part of its row, for LANES channels from `channel` on: tap t reads rows[t * apart]. */
INLINE VECTOR NAME(sum_of_parts)(const int64_t taps, const Program *program, const int32_t *rows, int64_t apart,
                                 int64_t channel) {
    const int64_t width = program->width, length = program->taps * width;
    const float *part = (const float *)program->table + channel;
    VECTOR sum = READ(part + rows[0] * length);
    for (int64_t t = 1; t < taps; t++) sum += READ(part + rows[t * apart] * length + t * width);
    return sum;
}

/* One position of the result: for `pool` neighbours the sum of parts, their maximum, ReLU. Writes whole registers, up
   to LANES - 1 zeros behind the last channel: the next position overwrites them, and there is room after the last. */
INLINE void NAME(gather)(const int64_t taps, const int64_t pool, const Program *program, const int32_t *rows,
                         float *out) {
    for (int64_t channel = 0; channel < program->channels; channel += LANES) {
        VECTOR most = {0};
        for (int64_t p = 0; p < pool; p++)
            most = NAME(larger)(NAME(sum_of_parts)(taps, program, rows + p, 1, channel), most);
        AT(out + channel) = most;
    }
}

/* Starts to load a table row into the cache: the tables are larger than all caches but the last, and no processor can
   predict the next row. */
INLINE void NAME(fetch)(const Program *program, int32_t row) {
    const int64_t length = program->taps * program->width;
    const float *next = (const float *)program->table + row * length;
    for (int64_t f = 0; f < length; f += 16) __builtin_prefetch(next + f);
}

/* Codes of one sequence -> the table row of each window in [first, last]. `rows` has room for taps - 1 more at the ends,
   for padding: these always hold the row of zeros. */
SHARED void NAME(find_rows)(const Program *program, const uint8_t *codes, int64_t first, int64_t last, int32_t *rows) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths,
                  *offset = (const int32_t *)program->offsets;
    uint32_t kmer = 0;
    for (int64_t p = first, base = 0; p <= last; p++) {
        /* windows that share a table follow each other, so only the last bases of each are new */
        if (p == first || offset[p] != offset[p - 1]) base = start[p];
        for (; base < start[p] + length[p]; base++) kmer = kmer << 2 | codes[base];
        rows[program->left + p] = offset[p] + (int32_t)(kmer & ((1u << 2 * length[p]) - 1));
    }
}

/* One position of the result, for any plan of tables. */
INLINE void NAME(gather_any)(const Program *program, const int32_t *rows, float *out) {
    const int64_t pool = program->pool, taps = program->taps;
    if (taps == 3 && pool == 2) NAME(gather)(3, 2, program, rows, out);
    else if (taps == 5 && pool == 2) NAME(gather)(5, 2, program, rows, out);
    else NAME(gather)(taps, pool, program, rows, out);
}

/* Codes of one sequence -> output of the layers that the tables replace; positions are `stride` floats apart. See
   find_rows. */
SHARED void NAME(look_up)(const Program *program, const uint8_t *codes, int32_t *rows, float *out, int64_t stride) {
    NAME(find_rows)(program, codes, 0, program->windows - 1, rows);
    const int64_t last = program->positions * program->pool + program->taps - 1;
    int64_t fetched = 0;
    for (int64_t p = 0; p < program->positions; p++, out += stride) {
        for (; fetched < last && fetched < p * program->pool + NAME(AHEAD); fetched++)
            NAME(fetch)(program, rows[fetched]);
        NAME(gather_any)(program, rows + p * program->pool, out);
    }
}
