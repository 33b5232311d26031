/* The layers along the contig, each row once: table rows, then convolutions, with the sums that ends start from. `last`
   is the base where the last window of this step begins; rows are computed up to `front` bases after it. */

/* pooled row = relu(larger of the two sums that it covers) */
STAGE void NAME(pool_rows)(const Level *level, const Track *sums, Track *pooled, int64_t last) {
    const int64_t until = below(last + level->front, level->grid) + 1, width = pooled->width;
    const int64_t apart = level->sum_scale / level->sum_grid * width;
    for (; pooled->done < until; pooled->done++) {
        const float *one = row_of(sums, pooled->done * level->grid / level->sum_grid);
        float *to = row_of(pooled, pooled->done);
        for (int64_t c = 0; c < width; c += LANES)
            AT(to + c) = NAME(larger)(NAME(larger)(READ(one + c), READ(one + apart + c)), (VECTOR){0});
    }
}

/* Table rows of the k-mers at `rows` positions that are `grid` bases apart; `codes` is where the first k-mer begins. */
STAGE void NAME(kmers_along)(const Windows *plan, const uint8_t *codes, int64_t rows, int64_t grid, int32_t *kmers) {
    const int64_t length = plan->kmer_length;
    const uint32_t mask = (uint32_t)((1ull << 2 * length) - 1);
    uint32_t kmer = 0;
    for (int64_t r = 0, base = 0; r < rows; r++) {
        if (base < r * grid) base = r * grid;
        for (; base < r * grid + length; base++) kmer = kmer << 2 | codes[base];
        kmers[r] = (int32_t)(kmer & mask);
    }
}

/* The first level. A k-mer is looked up for each tap of the convolution that is multiplied into the tables, `apart`
   rows from each other; without such a convolution, the table row is the pooled row. */
STAGE void NAME(look_up_rows)(const Program *program, const Windows *plan, Room *room, const uint8_t *codes,
                                      int64_t last) {
    const Level *level = levels_of(plan);
    Track *to = level->planes ? &room->sums[0] : &room->pooled[0];
    const int64_t grid = level->planes ? level->sum_grid : level->grid, taps = program->taps;
    const int64_t apart = level->planes ? level->sum_scale / grid : 0;
    const int64_t until = below(last + (level->planes ? level->sum_front : level->front), grid) + 1;
    const int64_t wanted = until - to->done, seen = wanted + (taps - 1) * apart;
    const int64_t first = to->done - program->left * apart; /* position of the first k-mer */
    NAME(kmers_along)(plan, codes + first * grid - plan->kmer_left, seen, grid, room->kmers);
    int64_t fetched = 0;
    for (int64_t r = 0; r < wanted; r++) {
        for (; fetched < seen && fetched < r + (taps - 1) * apart + NAME(AHEAD); fetched++)
            NAME(fetch)(program, room->kmers[fetched]);
        float *row = row_of(to, to->done + r);
        for (int64_t c = 0; c < program->channels; c += LANES)
            AT(row + c) = NAME(sum_of_parts)(taps, program, room->kmers + r, apart, c);
    }
    to->done = until;
    if (level->planes) NAME(pool_rows)(level, &room->sums[0], &room->pooled[0], last);
}

/* A convolution, from its last tap to its first: each plane of sums is the next one plus one tap. */
STAGE void NAME(convolve_rows)(const Windows *plan, Room *room, int64_t l, int64_t last) {
    const Level *level = levels_of(plan) + l, *lower = level - 1;
    const Track *from = &room->pooled[l - 1];
    Track *to = &room->sums[l];
    const int64_t apart = level->sum_scale / level->sum_grid, depth = level->taps * lower->channels;
    const int64_t until = below(last + level->sum_front, level->sum_grid) + 1;
    const float *weight = (const float *)level->weight, *bias = (const float *)level->bias;
    while (to->done < until) {
        const int64_t rows = until - to->done < ROWS ? until - to->done : ROWS;
        for (int64_t first = 0; first < to->width; first += COLUMNS) {
            const float *panel = weight + first / PANEL * PANEL * depth + first % PANEL;
            float *sums = row_of(to, to->done) + first;
            for (int64_t tap = level->taps - 1; tap >= 0; tap--) {
                const int last_tap = tap == level->taps - 1;
                for (int64_t r = 0, done; r < rows; r += done) {
                    const float *a = row_of(from, to->done + r + (tap - level->left) * apart);
                    const float *begin = sums + (tap + 1) * to->plane + r * to->width;
                    done = NAME(some_rows)(rows - r, a, from->width, lower->channels,
                                           panel + tap * lower->channels * PANEL, last_tap ? bias + first : begin,
                                           last_tap ? 0 : to->width, sums + tap * to->plane + r * to->width, to->width);
                }
            }
        }
        to->done += rows;
    }
    NAME(pool_rows)(level, to, &room->pooled[l], last);
}
