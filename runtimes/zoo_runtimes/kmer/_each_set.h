/* Compiles one C file for every instruction set, so that one build is fast everywhere. A file of arithmetic begins

       #ifndef NAME
       #include "_program.h"
       #define ARITHMETIC "_forward.c"      (its own name)
       #include "_each_set.h"               (reads the file again, below #else, for each set)
       const Forward FORWARD[NUMBER_OF_SETS] = OF_EACH_SET(forward);
       #else

   and what follows, up to #endif, is written once with these names, which differ from set to set:

       NAME(x)        x with the name of the instruction set behind it: forward_avx2
       TARGET         attribute that lets a function use that instruction set, or nothing
       LANES          floats in one of its registers
       ROWS, VECTORS  rows x registers of sums that stay in registers while a matrix product runs
       WIDE           registers of sums for each of GROUP rows, while a product runs that skips zeros
       TOGETHER       rows of one that skips inputs which are zero; it computes twice as many columns

   _one_set.h adds the tools that all such files share. No two functions of one set may have the same name in a file. */

#if defined(__x86_64__)
#include <immintrin.h>

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx2,fma")))
#define LANES 16
#define VECTORS 2
#define ROWS 12
#define TOGETHER 4
#define WIDE 8
#include "_one_set.h"

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define VECTORS 2
#define ROWS 6
#define TOGETHER 3
#define WIDE 4
#include "_one_set.h"
#endif

#define NAME(x) x##_baseline
#define TARGET
#define LANES 4
#define VECTORS 2
#if defined(__aarch64__)
#define ROWS 12
#define TOGETHER 4
#define WIDE 8
#else
#define ROWS 6
#define TOGETHER 3
#define WIDE 4
#endif
#include "_one_set.h"
