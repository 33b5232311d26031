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

/* lane by lane the larger of two */
INLINE VECTOR NAME(larger)(VECTOR one, VECTOR two) {
    typedef int32_t mask __attribute__((vector_size(LANES * 4)));
    mask first = one > two;
    return (VECTOR)(((mask)one & first) | ((mask)two & ~first));
}

#include "_product.h"
#include "_lookup.h"

#include ARITHMETIC

#undef READ
#undef AT
#undef COLUMNS
#undef SHARED
#undef INLINE
#undef VECTOR
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#undef VECTORS
