/* A pooled pair of a hidden layer: its norm, ReLU and max-pooling, and the members that its gradient goes back to.

   Inline, since the input of a layer, the backward pass and the step after the last layer all begin with it. */

#ifndef TRUNK_PAIR_H
#define TRUNK_PAIR_H

#include "_trunk.h"

/* a pooled pair of a hidden layer: both members before the norm, the value, and which members pass a gradient */
typedef struct {
    __m512 one, two, pooled;
    __mmask16 first, open;
} Pair;

INLINE Pair pair_at(const float *hidden, int64_t stride, __m512 scale, __m512 shift) {
    const __m512 one = _mm512_loadu_ps(hidden), two = _mm512_loadu_ps(hidden + stride), zero = _mm512_setzero_ps();
    const __m512 normed = _mm512_fmadd_ps(one, scale, shift), next = _mm512_fmadd_ps(two, scale, shift);
    const __m512 pooled = _mm512_max_ps(zero, _mm512_max_ps(normed, next));
    return (Pair){one, two, pooled, _mm512_cmp_ps_mask(normed, next, _CMP_GE_OQ),
                  _mm512_cmp_ps_mask(pooled, zero, _CMP_GT_OQ)};
}

#endif
