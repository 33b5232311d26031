/* Forward pass: a share of a batch through one layer, sequence by sequence, and the sums that its batch norm needs. */

#include "_trunk_pair.h"
#include "_trunk_product.h"

/* output (length, filters) of one sequence, and its sums and sums of squares added to totals (2, filters) */
TARGET static void convolve(const Plan *p, float *output, double *totals) {
    for (int64_t top = 0; top < p->length; top += STEP) {
        for (int64_t panel = 0; panel < p->filters; panel += STEP)
            multiply((Product){p->input + top * p->channels, p->input_part, p->channels, p->is.taps, p->channels / STEP,
                               p->weight + panel * p->is.taps * p->channels, p->weight_part, p->is.parts, 0,
                               p->sums + panel, p->filters});
        const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
        memcpy(output + top * p->filters, p->sums, rows * p->filters * 4);
        for (int64_t g = 0; g < p->filters; g += LANES) {
            __m512 sum = _mm512_setzero_ps(), squares = sum;
            for (int64_t row = 0; row < rows; row++) {
                const __m512 x = _mm512_loadu_ps(p->sums + row * p->filters + g);
                sum = _mm512_add_ps(sum, x);
                squares = _mm512_fmadd_ps(x, x, squares);
            }
            float lanes[2][LANES];
            _mm512_storeu_ps(lanes[0], sum);
            _mm512_storeu_ps(lanes[1], squares);
            for (int64_t lane = 0; lane < LANES; lane++) {
                totals[g + lane] += lanes[0][lane];
                totals[p->filters + g + lane] += lanes[1][lane];
            }
        }
    }
}

/* input: one-hot (N, before, BASES) and kernel, shift of the first layer; or hidden (N, before, channels) and its
   norm's scale, shift */
TARGET void forward_share(const Plan *p, int64_t count, const float *input, const float *scale, const float *shift,
                          const float *weight, float *output, double *totals) {
    begin_tiles();
    pack_weight(p, weight);
    if (p->is.window) pack_stem(p, scale);
    for (int64_t i = 0; i < count; i++) {
        if (p->is.window) {
            place_bases(p, input + i * p->is.before * BASES);
            stem_input(p, shift, 0);
        } else {
            hidden_input(p, input + i * p->is.before * p->channels, scale, shift);
        }
        convolve(p, output + i * p->length * p->filters, totals);
    }
    end_tiles();
}

/* hidden (N, before, channels) -> norm, ReLU and max-pooling of it (N, before / 2, channels) */
TARGET void pool_share(int64_t count, int64_t before, int64_t channels, const float *hidden, const float *scale,
                       const float *shift, float *pooled) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t at = 0; at < before / POOL; at++, pooled += channels)
            for (int64_t c = 0; c < channels; c += LANES)
                _mm512_storeu_ps(pooled + c, pair_at(hidden + (i * before + at * POOL) * channels + c, channels,
                                                     _mm512_loadu_ps(scale + c), _mm512_loadu_ps(shift + c))
                                                 .pooled);
}
