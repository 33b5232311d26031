/* The walks of dinucleotide shuffles, compiled: the Python module zoo.dna._shuffle.

   Optional: shuffle.py does the same with NumPy, number for number, and explains it. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS = 5, STEPS = 5 };

/* The next number of the stream `key`, below `bound`: SplitMix64 (Steele, Lea, Flood 2014,
   doi:10.1145/2660193.2660195). */
static inline int64_t draw(uint64_t key, uint64_t *count, int64_t bound) {
    uint64_t z = key + ++*count * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (int64_t)(((z >> 32) * (uint64_t)bound) >> 32);
}

static void walk(const uint8_t *codes, int64_t length, uint64_t key, uint8_t *exits, uint8_t *out) {
    const int end = codes[length - 1];
    int64_t left[SYMBOLS] = {0}, begin[SYMBOLS], filled[SYMBOLS] = {0}, chosen[SYMBOLS] = {0};
    uint8_t last[SYMBOLS] = {0};
    uint64_t count = 0;
    for (int64_t p = 0; p + 1 < length; p++) left[codes[p]]++;
    for (int64_t base = 0, next = 0; base < SYMBOLS; next += left[base++]) begin[base] = next;
    for (int64_t p = 0; p + 1 < length; p++) {
        const int base = codes[p];
        exits[begin[base] + filled[base]++] = codes[p + 1];
    }
    for (int reached = 0; !reached;) {
        for (int base = 0; base < SYMBOLS; base++) {
            if (base == end || !left[base]) continue;
            chosen[base] = begin[base] + draw(key, &count, left[base]);
            last[base] = exits[chosen[base]];
        }
        reached = 1;
        for (int base = 0; base < SYMBOLS; base++) {
            int at = base;
            for (int step = 0; step < STEPS && at != end && left[at]; step++) at = last[at];
            reached &= at == end || !left[base];
        }
    }
    for (int base = 0; base < SYMBOLS; base++)
        if (base != end && left[base]) exits[chosen[base]] = exits[begin[base] + --left[base]];
    int base = codes[0];
    out[0] = (uint8_t)base;
    for (int64_t p = 1; p < length; p++) {
        if (left[base]) {
            uint8_t *exit = exits + begin[base] + draw(key, &count, left[base]);
            const int next = *exit;
            *exit = exits[begin[base] + --left[base]];
            base = next;
        } else base = last[base];
        out[p] = (uint8_t)base;
    }
}

static PyObject *walks(PyObject *self, PyObject *arguments) {
    (void)self;
    Py_buffer codes, keys, out;
    if (!PyArg_ParseTuple(arguments, "y*y*w*", &codes, &keys, &out)) return NULL;
    const int64_t count = keys.len / 8, length = count ? codes.len / count : 0;
    uint8_t *exits = malloc((size_t)length + 1);
    const int fits = codes.len == count * length && out.len == codes.len && (length > 1 || !count);
    int known = 1;
    for (Py_ssize_t i = 0; i < codes.len; i++) known &= ((const uint8_t *)codes.buf)[i] < SYMBOLS;
    if (exits && fits && known) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t row = 0; row < count; row++) {
            uint64_t key;
            memcpy(&key, (const char *)keys.buf + row * 8, sizeof key);
            walk((const uint8_t *)codes.buf + row * length, length, key, exits, (uint8_t *)out.buf + row * length);
        }
        Py_END_ALLOW_THREADS
    }
    const int memory = exits != NULL;
    free(exits);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&keys);
    PyBuffer_Release(&out);
    if (!memory) return PyErr_NoMemory();
    if (!fits || !known)
        return PyErr_Format(PyExc_ValueError, "expected codes and out (N, L) with L above 1, keys (N,)");
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"walks", walks, METH_VARARGS, "walks(codes, keys, out): uint8 (N, L), uint64 (N,) -> uint8 (N, L)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_shuffle", .m_doc = "See shuffle.py.", .m_methods = METHODS};

PyMODINIT_FUNC PyInit__shuffle(void) { return PyModule_Create(&MODULE); }
