/* Products on the matrix unit (AMX): four tiles of sums, 32 by 32, two of the left operand, two of the right. */

#include "_trunk_product.h"

/* gcc does not know that a tile is loaded from memory, so earlier stores must be complete */
#define ALL_STORED __asm__ volatile("" ::: "memory")

#define MULTIPLY             \
    _tile_dpbf16ps(0, 4, 6); \
    _tile_dpbf16ps(1, 4, 7); \
    _tile_dpbf16ps(2, 5, 6); \
    _tile_dpbf16ps(3, 5, 7);

TARGET void product_of_tiles(const Product *p) {
    ALL_STORED;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
        const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
        const half *b = p->packed + which[1] * p->packed_part;
        for (int64_t tap = 0; tap < p->taps; tap++) {
            const half *rows = p->a + which[0] * p->a_part + tap * p->stride;
            for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += 2 * TILE) {
                _tile_loadd(4, rows, p->stride * 2);
                _tile_loadd(5, rows + LANES * p->stride, p->stride * 2);
                _tile_loadd(6, b, 64);
                _tile_loadd(7, b + TILE, 64);
                MULTIPLY
            }
        }
    }
    _tile_stored(0, p->out, p->out_stride * 4);
    _tile_stored(1, p->out + LANES, p->out_stride * 4);
    _tile_stored(2, p->out + LANES * p->out_stride, p->out_stride * 4);
    _tile_stored(3, p->out + LANES * p->out_stride + LANES, p->out_stride * 4);
}

TARGET void accumulate_tiles(const Accumulation *p) {
    ALL_STORED;
    _tile_loadd(0, p->sums, 64);
    _tile_loadd(1, p->sums + SUMS, 64);
    _tile_loadd(2, p->sums + 2 * SUMS, 64);
    _tile_loadd(3, p->sums + 3 * SUMS, 64);
    for (int pair = 0; pair < products(p->parts, p->exact); pair++) {
        const int64_t *which = p->exact ? EXACT[pair] : EVERY[pair];
        const half *rows = p->a + which[0] * p->a_part, *b = p->words + which[1] * p->words_part;
        for (int64_t step = 0; step < p->steps; step++, rows += STEP, b += LANES * p->words_stride) {
            _tile_loadd(4, rows, p->a_stride * 2);
            _tile_loadd(5, rows + LANES * p->a_stride, p->a_stride * 2);
            _tile_loadd(6, b, p->words_stride * 2);
            _tile_loadd(7, b + STEP, p->words_stride * 2);
            MULTIPLY
        }
    }
    _tile_stored(0, p->sums, 64);
    _tile_stored(1, p->sums + SUMS, 64);
    _tile_stored(2, p->sums + 2 * SUMS, 64);
    _tile_stored(3, p->sums + 3 * SUMS, 64);
}

TARGET void begin_tiles(void) {
    if (unit() != MATRIX_UNIT) return;
    struct {
        uint8_t palette, row, reserved[14];
        uint16_t columns[16];
        uint8_t rows[16];
    } __attribute__((packed)) config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) config.columns[tile] = 64, config.rows[tile] = LANES;
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
}

TARGET void end_tiles(void) {
    if (unit() == MATRIX_UNIT) _tile_release();
}
