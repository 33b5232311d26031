/* Kernels in the layout of the products: split into parts and packed in tiles. And the reverse: gradients of kernels,
   which products sum tile by tile, in the layout of PyTorch. */

#include "_trunk_bfloat16.h"

/* Place of element (k, n) of a matrix in its packed tile: the two k of a pair are adjacent. */
static int64_t in_tile(int64_t k, int64_t n) { return k / 2 * STEP + n * 2 + k % 2; }

/* kernel (POOL x channels, window x BASES): 16 filters' first members beside their second members */
TARGET void pack_stem(const Plan *p, const float *kernel) {
    const int64_t entries = p->is.window * BASES;
    for (int64_t member = 0; member < POOL; member++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t k = 0; k < entries; k++) {
                const int64_t tile = (c / LANES * p->window_steps + k / STEP) * POOL + member;
                put_one(kernel[(member * p->is.channels + c) * entries + k],
                        p->stem + tile * TILE + in_tile(k % STEP, c % LANES), p->stem_part, p->is.parts);
            }
}

/* weight (filters, channels, taps) -> for the output (panel of filters, tap, channel) and, with the taps reversed, for
   the gradient of the input (panel of channels, tap, filter) */
INLINE void pack(const Plan *p, const float *weight, int backward) {
    const int64_t taps = p->is.taps;
    for (int64_t g = 0; g < p->is.filters; g++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t n = backward ? c : g, k = backward ? g : c;
                const int64_t steps = (backward ? p->filters : p->channels) / STEP;
                const int64_t place = backward ? taps - 1 - tap : tap;
                const int64_t tile = ((n / STEP * taps + place) * steps + k / STEP) * 2 + n % STEP / LANES;
                put_one(weight[(g * p->is.channels + c) * taps + tap],
                        (backward ? p->reversed : p->weight) + tile * TILE + in_tile(k % STEP, n % LANES),
                        p->weight_part, p->is.parts);
            }
}

TARGET void pack_weight(const Plan *p, const float *weight) { pack(p, weight, 0); }
TARGET void pack_reversed(const Plan *p, const float *weight) { pack(p, weight, 1); }

/* stem_sums -> (POOL x channels, window x BASES) */
TARGET void unpack_stem(const Plan *p, float *gradient) {
    const int64_t entries = p->is.window * BASES;
    for (int64_t member = 0; member < POOL; member++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t k = 0; k < entries; k++) {
                const int64_t block = (member * p->window_steps + k / STEP) * p->channels / STEP + c / STEP;
                const int64_t tile = block * 4 + k % STEP / LANES * 2 + c % STEP / LANES;
                gradient[(member * p->is.channels + c) * entries + k] =
                    p->stem_sums[tile * SUMS + k % LANES * LANES + c % LANES];
            }
}

/* weight_sums -> (filters, channels, taps) */
TARGET void unpack_weight(const Plan *p, float *gradient) {
    for (int64_t g = 0; g < p->is.filters; g++)
        for (int64_t c = 0; c < p->is.channels; c++)
            for (int64_t tap = 0; tap < p->is.taps; tap++) {
                const int64_t block = (tap * p->filters / STEP + g / STEP) * p->channels / STEP + c / STEP;
                const int64_t tile = block * 4 + g % STEP / LANES * 2 + c % STEP / LANES;
                gradient[(g * p->is.channels + c) * p->is.taps + tap] =
                    p->weight_sums[tile * SUMS + g % LANES * LANES + c % LANES];
            }
}
