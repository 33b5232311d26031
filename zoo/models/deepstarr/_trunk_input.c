/* The input of a layer for one sequence: pooled, split into bfloat16 parts, with the zeros of 'same' padding at both
   ends. It comes from one-hot bases through the folded first layer, or from a hidden layer before its batch norm. */

#include "_trunk_bfloat16.h"
#include "_trunk_pair.h"
#include "_trunk_product.h"

TARGET void place_bases(const Plan *p, const float *one_hot) {
    const int64_t left = (p->is.window - 2) / 2;
    for (int64_t i = 0; i < p->is.before * BASES; i++) p->bases[left * BASES + i] = nearest(one_hot[i]);
}

/* shift, ReLU and max-pooling of the first layer; `gates` say which member of each pair its gradient goes to */
TARGET void stem_input(const Plan *p, const float *shift, int gated) {
    for (int64_t top = 0; top < p->length; top += STEP)
        for (int64_t c = 0; c < p->channels; c += LANES) {
            float *sums = p->sums;
            multiply((Product){p->bases + top * POOL * BASES, 0, POOL * BASES, 1, p->window_steps,
                               p->stem + c / LANES * p->window_steps * POOL * TILE, p->stem_part, p->is.parts, 1, sums,
                               STEP});
            const __m512 moved = _mm512_loadu_ps(shift + c), zero = _mm512_setzero_ps();
            const int64_t rows = p->length - top < STEP ? p->length - top : STEP;
            for (int64_t row = 0; row < rows; row++) {
                const __m512 one = _mm512_add_ps(_mm512_load_ps(sums + row * STEP), moved);
                const __m512 two = _mm512_add_ps(_mm512_load_ps(sums + row * STEP + LANES), moved);
                const __m512 pooled = _mm512_max_ps(zero, _mm512_max_ps(one, two));
                put(pooled, p->input + (top + row + p->left) * p->channels + c, p->input_part, p->is.parts);
                if (gated) {
                    uint16_t *gate = p->gates + ((top + row) * (p->channels / LANES) + c / LANES) * POOL;
                    const __mmask16 first = _mm512_cmp_ps_mask(one, two, _CMP_GE_OQ);
                    const __mmask16 open = _mm512_cmp_ps_mask(pooled, zero, _CMP_GT_OQ);
                    gate[0] = first & open;
                    gate[1] = ~first & open;
                }
            }
        }
}

TARGET void hidden_input(const Plan *p, const float *hidden, const float *scale, const float *shift) {
    const int64_t stride = p->channels;
    for (int64_t at = 0; at < p->length; at++)
        for (int64_t c = 0; c < stride; c += LANES) {
            const Pair pair = pair_at(hidden + at * POOL * stride + c, stride, _mm512_loadu_ps(scale + c),
                                      _mm512_loadu_ps(shift + c));
            put(pair.pooled, p->input + (at + p->left) * stride + c, p->input_part, p->is.parts);
        }
}

/* windows (entry, position): the value of `bases` at 2 x position + entry / BASES */
TARGET void turn_windows(const Plan *p) {
    for (int64_t base = 0; base < p->is.window; base++)
        for (int64_t letter = 0; letter < BASES; letter++) {
            half *to = p->windows + (base * BASES + letter) * p->rows;
            const half *from = p->bases + base * BASES + letter;
            for (int64_t at = 0; at < p->length; at++) to[at] = from[at * POOL * BASES];
        }
}

INLINE __m512i loaded(const half *from) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)); }

/* input -> pairs */
TARGET void pair_input(const Plan *p) {
    for (int64_t part = 0; part < p->is.parts; part++)
        for (int64_t row = 0; row < p->length + p->is.taps - 1; row += 2) {
            const half *from = p->input + part * p->input_part + row * p->channels;
            half *to = p->pairs + part * p->pairs_part + row * p->channels;
            for (int64_t c = 0; c < p->channels; c += LANES)
                _mm512_storeu_si512(to + c * 2, words(loaded(from + c), loaded(from + c + p->channels)));
        }
}
