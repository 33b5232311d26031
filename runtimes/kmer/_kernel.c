/* Tables over k-mers and the layers after them, from base codes to activities, for one thread at a time.

   Optional: where it was not built, kmer-cpu does the same with NumPy and ONNX Runtime. kernel.py writes the program
   that this file runs and owns all memory in it. The arithmetic is in _kernel.h, compiled once for each instruction set
   and chosen when the module is loaded, so that one build is fast everywhere. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef __GNUC__
#error "needs GNU vectors (gcc or clang); the package works without this module"
#endif

enum {
    PANEL = 32, /* columns of a weight matrix that are packed together */
    BLOCK = 64, /* sequences whose features are kept for one matrix product */
    SLACK = 16, /* floats that may be written behind the end of a buffer */
    AHEAD = 16, /* table rows fetched before they are needed */
};

/* A program is a run of int64: one Program, its Convolutions, its Matrices. Addresses are of float32 (weights packed
   as kernel.py says) or int32 arrays. table 0: the network begins with one-hot bases. */
typedef struct {
    int64_t length, convolutions, matrices;
    int64_t table, starts, lengths, offsets, windows, taps, left, pool, positions, channels, width;
} Program;

typedef struct {
    int64_t positions, channels, taps, left, filters, weight, bias;
} Convolution;

typedef struct {
    int64_t inputs, outputs, relu, weight, bias;
} Matrix;

/* floats for the rows of one sequence, a row of zeros at each place where padding lies */
static int64_t rows_room(const Program *program) {
    return program->table ? (program->windows + program->taps - 1 + SLACK - 1) / SLACK * SLACK : 0;
}

/* floats for the input of a convolution with its padding */
static int64_t buffer_room(const Convolution *layer) {
    return (layer->positions + layer->taps - 1) * layer->channels + SLACK;
}

#if defined(__x86_64__)
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx2,fma")))
#define LANES 16
#define VECTORS 2
#define ROWS 12
#include "_kernel.h"
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define VECTORS 2
#define ROWS 6
#include "_kernel.h"
#endif

#define NAME(x) x##_baseline
#define TARGET
#define LANES 4
#define VECTORS 2
#if defined(__aarch64__)
#define ROWS 12
#else
#define ROWS 6
#endif
#include "_kernel.h"

typedef void (*Run)(const Program *, const uint8_t *, int64_t, float *, float *);

static const struct {
    const char *name;
    Run run;
} SETS[] = {
#if defined(__x86_64__)
    {"avx512", block_avx512},
    {"avx2", block_avx2},
#endif
    {"baseline", block_baseline},
};

static int available(int set) {
#if defined(__x86_64__)
    if (SETS[set].run == block_avx512) return __builtin_cpu_supports("avx512f") != 0;
    if (SETS[set].run == block_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return set >= 0;
}

enum { NUMBER_OF_SETS = sizeof SETS / sizeof *SETS };

static int64_t room_of(const Program *program) {
    const Convolution *layers = (const Convolution *)(program + 1);
    const Matrix *matrices = (const Matrix *)(layers + program->convolutions);
    int64_t floats = rows_room(program) + BLOCK * matrices->inputs + SLACK;
    for (int64_t i = 0; i < program->convolutions; i++) floats += buffer_room(layers + i);
    for (int64_t i = 0; i < program->matrices; i++) floats += BLOCK * matrices[i].outputs;
    return floats;
}

static PyObject *instruction_sets(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    PyObject *names = PyList_New(0);
    for (int set = 0; names && set < NUMBER_OF_SETS; set++) {
        if (!available(set)) continue;
        PyObject *name = PyUnicode_FromString(SETS[set].name);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *room(PyObject *self, PyObject *arguments) {
    (void)self;
    Py_buffer program;
    if (!PyArg_ParseTuple(arguments, "y*", &program)) return NULL;
    int64_t floats = room_of(program.buf);
    PyBuffer_Release(&program);
    return PyLong_FromLongLong(floats);
}

static PyObject *forward(PyObject *self, PyObject *arguments) {
    (void)self;
    const char *name;
    Py_buffer program, codes, space, out;
    if (!PyArg_ParseTuple(arguments, "sy*y*w*w*", &name, &program, &codes, &space, &out)) return NULL;
    Run run = NULL;
    for (int set = 0; set < NUMBER_OF_SETS && !run; set++)
        if (available(set) && !strcmp(SETS[set].name, name)) run = SETS[set].run;
    const Program *steps = program.buf;
    const Matrix *head = (const Matrix *)((const Convolution *)(steps + 1) + steps->convolutions) + steps->matrices - 1;
    const int64_t count = codes.len / steps->length;
    const int fits = space.len >= room_of(steps) * 4 && out.len == count * head->outputs * 4;
    if (run && fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t first = 0; first < count; first += BLOCK)
            run(steps, (const uint8_t *)codes.buf + first * steps->length, count - first < BLOCK ? count - first : BLOCK,
                space.buf, (float *)out.buf + first * head->outputs);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&program);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&space);
    PyBuffer_Release(&out);
    if (!run) return PyErr_Format(PyExc_ValueError, "no instruction set is called %s here", name);
    if (!fits) return PyErr_Format(PyExc_ValueError, "room or out is too small for %lld sequences", (long long)count);
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that this processor has, the fastest first."},
    {"room", room, METH_VARARGS, "room(program) -> floats that forward needs beside."},
    {"forward", forward, METH_VARARGS,
     "forward(instruction_set, program, codes, room, out): base codes 0 to 3 (4 too, without tables), uint8 (N, L) -> "
     "activities, float32 (N, T). Releases the GIL; threads share a program, each needs a room of its own."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_kernel", "See kernel.py.", 0, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&MODULE); }
