/* How a multiplier passes a ReLU or a max-pooling in the backward pass, register by register; included by
   _contributions.c.

   DeepLIFT's rescale rule (Shrikumar et al. 2017, arXiv:1704.02685): the change of an output divided by the change of
   its input, here from a sum b of the reference to the sum a of the sequence. */

/* differences of sums below this are not divided by, as in shap */
#define SMALL_DIFFERENCE 1e-6f

INLINE MASK NAME(small)(VECTOR difference) {
    return (difference < SMALL_DIFFERENCE) & (difference > -SMALL_DIFFERENCE);
}

/* A ReLU; its derivative at the reference where the sums hardly differ. */
INLINE VECTOR NAME(through_relu)(VECTOR multiplier, VECTOR a, VECTOR b) {
    const VECTOR zero = {0}, rise = NAME(larger)(a, zero) - NAME(larger)(b, zero);
    return NAME(choose)(NAME(small)(a - b), NAME(choose)(b > zero, multiplier, zero), multiplier * rise / (a - b));
}

/* ReLU and max-pooling of two positions: one of them takes the multiplier, the sequence's own maximum where that is the
   larger, else the reference's. */
INLINE void NAME(through_pool)(VECTOR multiplier, const VECTOR *a, const VECTOR *b, VECTOR *to) {
    const VECTOR zero = {0};
    const VECTOR most_a = NAME(larger)(NAME(larger)(a[0], a[1]), zero);
    const VECTOR most_b = NAME(larger)(NAME(larger)(b[0], b[1]), zero);
    const MASK own = most_a >= most_b, second = (own & (a[1] > a[0])) | (~own & (b[1] > b[0]));
    const VECTOR difference = NAME(choose)(second, a[1] - b[1], a[0] - b[0]);
    const VECTOR passed = NAME(choose)(NAME(small)(difference), zero, multiplier * (most_a - most_b) / difference);
    to[0] = NAME(choose)(second, zero, passed);
    to[1] = NAME(choose)(second, passed, zero);
}

/* The derivatives of both. */
INLINE VECTOR NAME(through_positive)(VECTOR multiplier, VECTOR a) {
    return NAME(choose)(a > (VECTOR){0}, multiplier, (VECTOR){0});
}
INLINE void NAME(through_largest)(VECTOR multiplier, const VECTOR *a, VECTOR *to) {
    const VECTOR zero = {0};
    const MASK second = a[1] > a[0];
    to[0] = NAME(choose)(second, zero, NAME(through_positive)(multiplier, a[0]));
    to[1] = NAME(choose)(second, NAME(through_positive)(multiplier, a[1]), zero);
}
