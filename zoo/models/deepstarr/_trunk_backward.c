/* Backward pass: a share of a batch through one layer, sequence by sequence. The input is the gradient of the pooled
   output; the results are the gradients of the kernels and of the pooled input, zero where its ReLU was zero. */

#include "_trunk_bfloat16.h"
#include "_trunk_pair.h"
#include "_trunk_product.h"

/* gradient of the pooled (length / 2, filters), output (length, filters) -> slopes and turned */
TARGET static void enter(const Plan *p, const float *pooled, const float *output, Norm norm) {
    const int64_t stride = p->filters, parts = p->is.parts, first_row = p->is.taps - 1 - p->left;
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32((int)p->wide / 2));
    for (int64_t at = 0; at < p->length; at += POOL)
        for (int64_t g = 0; g < stride; g += LANES) {
            const __m512 scale = _mm512_loadu_ps(norm.scale + g), along = _mm512_loadu_ps(norm.along + g);
            const __m512 level = _mm512_loadu_ps(norm.level + g);
            __m512 one, two = _mm512_setzero_ps();
            if (at + 1 < p->length) {
                const Pair pair = pair_at(output + at * stride + g, stride, scale, _mm512_loadu_ps(norm.shift + g));
                const __m512 from = _mm512_mul_ps(_mm512_loadu_ps(pooled + at / POOL * stride + g), scale);
                one = _mm512_add_ps(_mm512_fmadd_ps(along, pair.one, level),
                                    _mm512_maskz_mov_ps(pair.first & pair.open, from));
                two = _mm512_add_ps(_mm512_fmadd_ps(along, pair.two, level),
                                    _mm512_maskz_mov_ps(~pair.first & pair.open, from));
                put(two, p->slopes + (at + 1 + first_row) * stride + g, p->slopes_part, parts);
            } else {
                one = _mm512_fmadd_ps(along, _mm512_loadu_ps(output + at * stride + g), level);
            }
            put(one, p->slopes + (at + first_row) * stride + g, p->slopes_part, parts);
            half *to = p->turned + g * p->wide + at + p->shifted;
            for (int64_t part = 0; part < parts; part++, to += p->turned_part)
                _mm512_i32scatter_epi32((int *)to, lanes, words(rounded(&one), rounded(&two)), 4);
        }
}

TARGET static void weight_gradient(const Plan *p) {
    float *sums = p->weight_sums;
    const int64_t steps = up(p->length + p->is.taps - 1, STEP) / STEP;
    for (int64_t tap = 0; tap < p->is.taps; tap++)
        for (int64_t g = 0; g < p->filters; g += STEP)
            for (int64_t c = 0; c < p->channels; c += STEP, sums += 4 * SUMS)
                accumulate((Accumulation){p->turned + g * p->wide + p->shifted - tap, p->turned_part, p->wide,
                                          p->pairs + c * 2, p->pairs_part, p->channels * 2, steps, p->is.parts, 0,
                                          sums});
}

/* rows top .. top + 31 of the gradient of the input, into sums (32, channels) */
TARGET static void input_gradient(const Plan *p, int64_t top) {
    for (int64_t panel = 0; panel < p->channels; panel += STEP)
        multiply((Product){p->slopes + top * p->filters, p->slopes_part, p->filters, p->is.taps, p->filters / STEP,
                           p->reversed + panel * p->is.taps * p->filters, p->weight_part, p->is.parts, 0,
                           p->sums + panel, p->channels});
}

/* from (rows, stride): the gradient of pooled pairs of `hidden`. Sets gradient, with zeros where ReLU was zero, and
   adds to totals (2, stride) what the batch norm needs: its sum, and that of its products with the member it goes to */
TARGET void shut(const float *from, int64_t rows, int64_t stride, const float *hidden, const float *scale,
                 const float *shift, float *gradient, double *totals) {
    for (int64_t c = 0; c < stride; c += LANES) {
        __m512 sum = _mm512_setzero_ps(), along = sum;
        for (int64_t row = 0; row < rows; row++) {
            const Pair pair = pair_at(hidden + row * POOL * stride + c, stride, _mm512_loadu_ps(scale + c),
                                      _mm512_loadu_ps(shift + c));
            const __m512 x = _mm512_maskz_loadu_ps(pair.open, from + row * stride + c);
            _mm512_storeu_ps(gradient + row * stride + c, x);
            sum = _mm512_add_ps(sum, x);
            along = _mm512_fmadd_ps(x, _mm512_mask_mov_ps(pair.two, pair.first, pair.one), along);
        }
        float lanes[2][LANES];
        _mm512_storeu_ps(lanes[0], sum);
        _mm512_storeu_ps(lanes[1], along);
        for (int64_t lane = 0; lane < LANES; lane++) {
            totals[c + lane] += lanes[0][lane];
            totals[stride + c + lane] += lanes[1][lane];
        }
    }
}

/* the gradient of the first layer's pooled output, in sums, routed to the members of its pairs; shift_gradient
   (channels) += the sum of it */
TARGET static void leave_stem(const Plan *p, int64_t top, int64_t rows, float *shift_gradient) {
    const int64_t stride = p->channels;
    for (int64_t c = 0; c < stride; c += LANES) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t row = 0; row < rows; row += 2) {
            const uint16_t *gate = p->gates + ((top + row) * (stride / LANES) + c / LANES) * POOL;
            const uint16_t *next = gate + stride / LANES * POOL;
            const float *from = p->sums + row * stride + c;
            const int64_t to = (top + row) * stride + c * 2;
            for (int member = 0; member < POOL; member++) {
                const __m512 one = _mm512_maskz_loadu_ps(gate[member], from);
                const __m512 two = _mm512_maskz_loadu_ps(next[member], from + stride);
                put_words(one, two, p->routed[member] + to, p->routed_part, p->is.parts);
                sum = _mm512_add_ps(sum, _mm512_add_ps(one, two));
            }
        }
        _mm512_storeu_ps(shift_gradient + c, _mm512_add_ps(_mm512_loadu_ps(shift_gradient + c), sum));
    }
}

TARGET static void stem_gradient(const Plan *p) {
    float *sums = p->stem_sums;
    for (int member = 0; member < POOL; member++)
        for (int64_t entry = 0; entry < p->window_steps * STEP; entry += STEP)
            for (int64_t c = 0; c < p->channels; c += STEP, sums += 4 * SUMS)
                accumulate((Accumulation){p->windows + entry * p->rows, 0, p->rows, p->routed[member] + c * 2,
                                          p->routed_part, p->channels * 2, p->rows / STEP, p->is.parts, 1, sums});
}

TARGET void backward_share(const Plan *p, int64_t count, const float *input, const float *scale, const float *shift,
                           const float *weight, const float *output, Norm norm, const float *pooled, float *weight_out,
                           float *gradient, void *rest) {
    begin_tiles();
    pack_reversed(p, weight);
    if (p->is.window) pack_stem(p, scale);
    for (int64_t i = 0; i < count; i++) {
        const float *from = input + i * p->is.before * (p->is.window ? BASES : p->channels);
        if (p->is.window) {
            place_bases(p, from);
            turn_windows(p);
            stem_input(p, shift, 1);
        } else {
            hidden_input(p, from, scale, shift);
        }
        pair_input(p);
        enter(p, pooled + i * (p->length / POOL) * p->filters, output + i * p->length * p->filters, norm);
        weight_gradient(p);
        for (int64_t top = 0; top < p->length; top += STEP) {
            input_gradient(p, top);
            const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
            if (p->is.window) leave_stem(p, top, rows, rest);
            else shut(p->sums, rows, p->channels, from + top * POOL * p->channels, scale, shift,
                      gradient + (i * p->length + top) * p->channels, rest);
        }
        if (p->is.window) stem_gradient(p);
    }
    end_tiles();
    unpack_weight(p, weight_out);
    if (p->is.window) unpack_stem(p, gradient);
}
