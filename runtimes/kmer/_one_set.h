/* The tools for one instruction set, then the file of arithmetic that uses them; included by _each_set.h alone.

   Plain C with GNU vectors, so gcc and clang both take it: a VECTOR is LANES floats in one register, and + and * work
   on all of them at once. */

typedef float NAME(vector) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define VECTOR NAME(vector)

/* a small function that becomes part of its caller, so that its constant arguments shape the code */
#define INLINE static inline __attribute__((always_inline)) TARGET

/* a larger one that several files share and not each of them calls */
#define SHARED static __attribute__((unused)) TARGET

#define COLUMNS (VECTORS * LANES) /* that a matrix product computes at a time */
_Static_assert(PANEL % COLUMNS == 0, "a panel is a whole number of passes");

#define AT(address) (*(VECTOR *)(address))
#define READ(address) (*(const VECTOR *)(address))

typedef int32_t NAME(mask) __attribute__((vector_size(LANES * 4)));
#define MASK NAME(mask)

/* lane by lane one of two */
INLINE VECTOR NAME(choose)(MASK first, VECTOR one, VECTOR two) {
    return (VECTOR)(((MASK)one & first) | ((MASK)two & ~first));
}

INLINE VECTOR NAME(larger)(VECTOR one, VECTOR two) { return NAME(choose)(one > two, one, two); }

#include "_product.h"
#include "_lookup.h"
#include "_skipping.h"
#include "_sparse.h"

#include ARITHMETIC

#undef READ
#undef AT
#undef COLUMNS
#undef SHARED
#undef INLINE
#undef VECTOR
#undef MASK
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#undef WIDE
#undef VECTORS
