/* float32 as bfloat16: rounded to the nearest, or split into a sum of parts, of which three hold all 24 bits.

   The parts of an array follow one another, `part` numbers apart. */

#ifndef TRUNK_BFLOAT16_H
#define TRUNK_BFLOAT16_H

#include "_trunk.h"

/* 16 numbers rounded, each in the lower half of a word; x becomes what rounding lost */
INLINE __m512i rounded(__m512 *x) {
    const __m512i kept = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(*x));
    *x = _mm512_sub_ps(*x, _mm512_castsi512_ps(_mm512_slli_epi32(kept, 16)));
    return kept;
}

/* 16 numbers as parts: each is what rounding to the parts before it lost */
INLINE void put(__m512 x, half *to, int64_t part, int64_t parts) {
    for (; parts > 1; parts--, to += part) _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(rounded(&x)));
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

/* 16 numbers of one position and of the next, as words of two */
INLINE __m512i words(__m512i one, __m512i next) { return _mm512_or_si512(one, _mm512_slli_epi32(next, 16)); }

INLINE void put_words(__m512 one, __m512 next, half *to, int64_t part, int64_t parts) {
    for (; parts; parts--, to += part) _mm512_storeu_si512(to, words(rounded(&one), rounded(&next)));
}

static inline half nearest(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return (half)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline void put_one(float x, half *to, int64_t part, int64_t parts) {
    for (; parts; parts--, to += part) {
        *to = nearest(x);
        const uint32_t bits = (uint32_t)*to << 16;
        float kept;
        memcpy(&kept, &bits, 4);
        x -= kept;
    }
}

#endif
