/* The tools for one instruction set, then the file of arithmetic that uses them; included by _each_set.h alone.

   Plain C with GNU vectors, so gcc and clang both take it: a VECTOR is LANES floats in one register, and + and * work
   on all of them at once. */

typedef float NAME(vector) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define VECTOR NAME(vector)

/* a small function that becomes part of its caller, so that its constant arguments shape the code */
#define INLINE static inline __attribute__((always_inline)) TARGET

/* a larger one that several files share and not all of them call */
#define SHARED static __attribute__((unused)) TARGET

/* a stage of the work: a function of its own, so that a profile shows where the time goes */
#define STAGE static __attribute__((noinline)) TARGET

#define COLUMNS (VECTORS * LANES) /* that a matrix product computes at a time */
_Static_assert(PANEL % COLUMNS == 0, "a panel is a whole number of passes");
_Static_assert(TOGETHER <= MOST_TOGETHER, "memory is laid out for all sets alike");

#define AT(address) (*(VECTOR *)(address))
#define READ(address) (*(const VECTOR *)(address))

/* Keeps a value that is used several times in a register; compilers would read it from memory each time. */
#if defined(__x86_64__)
#define IN_REGISTER(value) __asm__("" : "+v"(value))
#else
#define IN_REGISTER(value) (void)(value)
#endif

/* sum += vector x number, in loops whose values take all registers of AVX2: left alone, compilers keep a sum in memory */
#if LANES == 8
#define ADD_PRODUCT(sum, vector, number)                                                                               \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(vector), "x"((number) - (VECTOR){0}))
#else
#define ADD_PRODUCT(sum, vector, number) (sum) += (vector) * (number)
#endif

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

#include ARITHMETIC

#undef ADD_PRODUCT
#undef IN_REGISTER
#undef READ
#undef AT
#undef COLUMNS
#undef SHARED
#undef STAGE
#undef INLINE
#undef VECTOR
#undef MASK
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#undef WIDE
#undef TOGETHER
#undef VECTORS
