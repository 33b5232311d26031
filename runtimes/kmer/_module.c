/* The Python module runtimes.kmer._kernel: its methods, and the choice of the instruction set.

   Optional: where it was not built, kmer-cpu does the same with NumPy and ONNX Runtime. kernel.py writes the program
   (_program.h) that the other C files run and owns all memory in it. A file of arithmetic holds one idea: _forward.c
   sequences one by one, _windows.c overlapping windows. The tools that they share are in _product.h, _lookup.h and
   _skipping.h; _each_set.h compiles each file once for every instruction set. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_program.h"

/* as enumerated in _program.h */
static const char *const NAMES[NUMBER_OF_SETS] = {
#if defined(__x86_64__)
    [AVX512] = "avx512",
    [AVX2] = "avx2",
#endif
    [BASELINE] = "baseline",
};

static int available(int set) {
#if defined(__x86_64__)
    if (set == AVX512) return __builtin_cpu_supports("avx512f") != 0;
    if (set == AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return set == BASELINE;
}

/* The number of an instruction set that this processor has; -1, and an exception set, if there is none of that name. */
static int set_called(const char *name) {
    for (int set = 0; set < NUMBER_OF_SETS; set++)
        if (available(set) && !strcmp(NAMES[set], name)) return set;
    PyErr_Format(PyExc_ValueError, "no instruction set is called %s here", name);
    return -1;
}

static PyObject *instruction_sets(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    PyObject *names = PyList_New(0);
    for (int set = 0; names && set < NUMBER_OF_SETS; set++) {
        if (!available(set)) continue;
        PyObject *name = PyUnicode_FromString(NAMES[set]);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* what a method says that needs a program alone: the floats of working memory for it */
static PyObject *floats_for(PyObject *arguments, int64_t (*room)(const Program *)) {
    Py_buffer program;
    if (!PyArg_ParseTuple(arguments, "y*", &program)) return NULL;
    int64_t floats = room(program.buf);
    PyBuffer_Release(&program);
    return PyLong_FromLongLong(floats);
}

static PyObject *room(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, forward_room);
}

static PyObject *forward(PyObject *self, PyObject *arguments) {
    (void)self;
    const char *name;
    Py_buffer program, codes, space, out;
    if (!PyArg_ParseTuple(arguments, "sy*y*w*w*", &name, &program, &codes, &space, &out)) return NULL;
    const int set = set_called(name);
    const Program *steps = program.buf;
    const int64_t targets = matrices_of(steps)[steps->matrices - 1].outputs, count = codes.len / steps->length;
    const int fits = space.len >= forward_room(steps) * 4 && out.len == count * targets * 4;
    if (set >= 0 && fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t first = 0; first < count; first += BLOCK)
            FORWARD[set](steps, (const uint8_t *)codes.buf + first * steps->length,
                         count - first < BLOCK ? count - first : BLOCK, space.buf, (float *)out.buf + first * targets);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&program);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&space);
    PyBuffer_Release(&out);
    if (set < 0) return NULL;
    if (!fits) return PyErr_Format(PyExc_ValueError, "room or out is too small for %lld sequences", (long long)count);
    Py_RETURN_NONE;
}

static PyObject *room_of_mutants(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, mutants_room);
}

static PyObject *mutants(PyObject *self, PyObject *arguments) {
    (void)self;
    const char *name;
    Py_buffer program, codes, space, out;
    if (!PyArg_ParseTuple(arguments, "sy*y*w*w*", &name, &program, &codes, &space, &out)) return NULL;
    const int set = set_called(name);
    const Program *steps = program.buf;
    const int64_t targets = matrices_of(steps)[steps->matrices - 1].outputs, count = codes.len / steps->length;
    const int fits = space.len >= mutants_room(steps) * 4 && out.len == codes.len * 4 * targets * 4;
    if (set >= 0 && fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t s = 0; s < count; s++)
            MUTANTS[set](steps, (const uint8_t *)codes.buf + s * steps->length, space.buf,
                         (float *)out.buf + s * steps->length * 4 * targets);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&program);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&space);
    PyBuffer_Release(&out);
    if (set < 0) return NULL;
    if (!fits) return PyErr_Format(PyExc_ValueError, "room or out is too small for %lld sequences", (long long)count);
    Py_RETURN_NONE;
}

static PyObject *room_of_windows(PyObject *self, PyObject *arguments) {
    (void)self;
    Py_buffer program, plan;
    if (!PyArg_ParseTuple(arguments, "y*y*", &program, &plan)) return NULL;
    int64_t floats = windows_room(program.buf, plan.buf);
    PyBuffer_Release(&program);
    PyBuffer_Release(&plan);
    return PyLong_FromLongLong(floats);
}

static PyObject *windows(PyObject *self, PyObject *arguments) {
    (void)self;
    const char *name;
    Py_buffer program, plan, codes, space, out;
    long long before;
    if (!PyArg_ParseTuple(arguments, "sy*y*y*Lw*w*", &name, &program, &plan, &codes, &before, &space, &out))
        return NULL;
    const int set = set_called(name);
    const Program *steps = program.buf;
    const int64_t targets = matrices_of(steps)[steps->matrices - 1].outputs, count = out.len / 4 / targets;
    const int fits = space.len >= windows_room(steps, plan.buf) * 4;
    if (set >= 0 && fits) {
        Py_BEGIN_ALLOW_THREADS
        WINDOWS[set](steps, plan.buf, (const uint8_t *)codes.buf + before, count, space.buf, out.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&program);
    PyBuffer_Release(&plan);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&space);
    PyBuffer_Release(&out);
    if (set < 0) return NULL;
    if (!fits) return PyErr_Format(PyExc_ValueError, "room is too small for %lld windows", (long long)count);
    Py_RETURN_NONE;
}

static PyObject *room_of_contributions(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, contributions_room);
}

/* references: (N, R, L), or of no length: the gradient */
static PyObject *contributions(PyObject *self, PyObject *arguments) {
    (void)self;
    const char *name;
    long long target;
    Py_buffer program, back, codes, references, space, out;
    if (!PyArg_ParseTuple(arguments, "sy*y*y*y*Lw*w*", &name, &program, &back, &codes, &references, &target, &space,
                          &out))
        return NULL;
    const int set = set_called(name);
    const Program *steps = program.buf;
    const int64_t length = steps->length, count = codes.len / length;
    const int64_t each = references.len / length / (count ? count : 1);
    const int64_t targets = matrices_of(steps)[steps->matrices - 1].outputs;
    const int fits = space.len >= contributions_room(steps) * 4 && out.len == codes.len * 4 * 4 &&
                     references.len == count * each * length && target >= 0 && target < targets &&
                     back.len == layers_of(steps) * 8;
    if (set >= 0 && fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t s = 0; s < count; s++) {
            const uint8_t *sequence = (const uint8_t *)codes.buf + s * length;
            float *to = (float *)out.buf + s * length * 4;
            if (each)
                CONTRIBUTIONS[set](steps, back.buf, sequence, (const uint8_t *)references.buf + s * each * length, each,
                                   target, space.buf, to);
            else GRADIENT[set](steps, back.buf, sequence, target, space.buf, to);
        }
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&program);
    PyBuffer_Release(&back);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&references);
    PyBuffer_Release(&space);
    PyBuffer_Release(&out);
    if (set < 0) return NULL;
    if (!fits) return PyErr_Format(PyExc_ValueError, "arrays or target do not fit %lld sequences", (long long)count);
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that this processor has, the fastest first."},
    {"room", room, METH_VARARGS, "room(program) -> floats that forward needs beside."},
    {"forward", forward, METH_VARARGS,
     "forward(instruction_set, program, codes, room, out): base codes 0 to 3 (4 too, without tables), uint8 (N, L) -> "
     "activities, float32 (N, T). Releases the GIL; threads share a program, each needs a room of its own."},
    {"room_of_mutants", room_of_mutants, METH_VARARGS, "room_of_mutants(program) -> floats that mutants needs beside."},
    {"mutants", mutants, METH_VARARGS,
     "mutants(instruction_set, program, codes, room, out): base codes as forward takes them, uint8 (N, L) -> what each "
     "base in each place adds to the activities, float32 (N, L, 4, T). Releases the GIL as forward does."},
    {"room_of_windows", room_of_windows, METH_VARARGS, "room_of_windows(program, plan) -> floats that windows needs."},
    {"windows", windows, METH_VARARGS,
     "windows(instruction_set, program, plan, codes, before, room, out): base codes 0 to 3 along a contig, uint8, of "
     "which the first window begins at codes[before] -> activities of each window, float32 (W, T). Releases the GIL."},
    {"room_of_contributions", room_of_contributions, METH_VARARGS,
     "room_of_contributions(program) -> floats that contributions needs beside."},
    {"contributions", contributions, METH_VARARGS,
     "contributions(instruction_set, program, back, codes, references, target, room, out): base codes, uint8 (N, L), "
     "and references, uint8 (N, R, L) -> hypothetical scores, float32 (N, L, 4); without references the gradient."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_doc = "See kernel.py.", .m_methods = METHODS};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&MODULE); }
