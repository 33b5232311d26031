/* How this processor multiplies bfloat16. The operating system is asked once, also for the matrix unit.

   The environment may demand less: ZOO_INSTRUCTION_SET=avx512 leaves out the matrix unit, a lower set everything. */

#include "_trunk_product.h"

#include <cpuid.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int asked, found;

int unit(void) {
    if (asked) return found;
    asked = 1;
    const char *demanded = getenv("ZOO_INSTRUCTION_SET");
    if (demanded && !*demanded) demanded = NULL;
    if (demanded && strcmp(demanded, "avx512")) return found;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return found;
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq"))
        return found;
    found = BFLOAT16_LANES;
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* Linux gives a process the tile registers on request */
    if (!demanded && __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1 && d >> 24 & 1 &&
        syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0)
        found = MATRIX_UNIT;
    return found;
}
