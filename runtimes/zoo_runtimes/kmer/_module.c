/* The Python module zoo_runtimes.kmer._kernel: its methods, and the choice of the instruction set.

   Optional: without it, kmer-cpu does the same with NumPy and ONNX Runtime. kernel.py writes the program
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

/* The number of an instruction set by its name; -1, with an exception set, if this processor does not have it. */
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

/* Arguments of a method; buffers that it does not use are empty. more: a plan of windows, or the weights of the
   backward pass. Derived from these: set, the instruction set; count, the number of sequences or windows.

   Sizes and codes are checked. Addresses in a program or plan are trusted: kernel.py keeps the arrays. */
typedef struct {
    const char *name;
    Py_buffer program, more, codes, edited, references, room, out;
    int set;
    const Program *steps;
    int64_t count, targets;
} Call;

/* Whether `found` has the expected value, such as the bytes of an array; if not, an exception is set. */
static int is(const char *what, long long expected, long long found) {
    if (found != expected) PyErr_Format(PyExc_ValueError, "%s: expected %lld, got %lld", what, expected, found);
    return found == expected;
}

static int at_least(const char *what, long long expected, long long found) {
    if (found < expected) PyErr_Format(PyExc_ValueError, "%s: expected at least %lld, got %lld", what, expected, found);
    return found >= expected;
}

/* Reads the program, and checks that it has the size that it declares. */
static int has_program(Call *call) {
    const Program *steps = call->program.buf;
    const int64_t bytes = call->program.len;
    if (!at_least("bytes of the program", sizeof *steps, bytes)) return 0;
    if (steps->length < 1 || steps->convolutions < 0 || steps->convolutions > bytes || steps->matrices < 1 ||
        steps->matrices > bytes) {
        PyErr_SetString(PyExc_ValueError, "the program is none");
        return 0;
    }
    if (!is("bytes of the program",
            sizeof *steps + steps->convolutions * sizeof(Convolution) + steps->matrices * sizeof(Matrix), bytes))
        return 0;
    call->steps = steps;
    call->targets = matrices_of(steps)[steps->matrices - 1].outputs;
    return at_least("targets of the program", 1, call->targets);
}

static int has_plan(const Call *call) {
    const int fits = plan_fits(call->more.buf, call->more.len) && call->steps->table;
    if (!fits) PyErr_SetString(PyExc_ValueError, "the plan of the windows is none, or the program has no tables");
    return fits;
}

/* Whether all codes are bases; tables have no rows for an N. */
static int are_codes(const Py_buffer *buffer, int n_allowed) {
    const uint8_t *codes = buffer->buf;
    uint8_t largest = 0;
    for (Py_ssize_t i = 0; i < buffer->len; i++) largest = codes[i] > largest ? codes[i] : largest;
    if (largest <= 3 + n_allowed) return 1;
    PyErr_Format(PyExc_ValueError, "codes: expected 0 to %d, got %d", 3 + n_allowed, largest);
    return 0;
}

/* Counts whole sequences. */
static int has_sequences(Call *call) {
    call->count = call->codes.len / call->steps->length;
    return is("bases of the codes", call->count * call->steps->length, call->codes.len) &&
           are_codes(&call->codes, !call->steps->table);
}

/* Whether the working memory has at least, and the result exactly, the given number of floats. */
static int has_memory(const Call *call, int64_t room, int64_t out) {
    return at_least("bytes of the room", room * sizeof(float), call->room.len) &&
           is("bytes of the result", out * sizeof(float), call->out.len);
}

/* Finds the instruction set and reads the program; every method that computes calls this first. */
static int begins(Call *call) {
    call->set = set_called(call->name);
    return call->set >= 0 && has_program(call);
}

/* Releases all buffers. Returns the result of the method: None, or NULL with an exception set. */
static PyObject *ended(Call *call, int done) {
    Py_buffer *buffers[] = {&call->program,    &call->more, &call->codes, &call->edited,
                            &call->references, &call->room, &call->out};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) PyBuffer_Release(buffers[i]);
    return done ? Py_NewRef(Py_None) : NULL;
}

/* methods that need only a program return the floats of working memory for it */
static PyObject *floats_for(PyObject *arguments, int64_t (*room)(const Program *)) {
    Call call = {0};
    if (!PyArg_ParseTuple(arguments, "y*", &call.program)) return NULL;
    const int fits = has_program(&call);
    const int64_t floats = fits ? room(call.steps) : 0;
    PyBuffer_Release(&call.program);
    return fits ? PyLong_FromLongLong(floats) : NULL;
}

static PyObject *room(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, forward_room);
}

static PyObject *forward(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    if (!PyArg_ParseTuple(arguments, "sy*y*w*w*", &call.name, &call.program, &call.codes, &call.room, &call.out))
        return NULL;
    const int fits = begins(&call) && has_sequences(&call) &&
                     has_memory(&call, forward_room(call.steps), call.count * call.targets);
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t first = 0; first < call.count; first += BLOCK)
            FORWARD[call.set](call.steps, (const uint8_t *)call.codes.buf + first * call.steps->length,
                              call.count - first < BLOCK ? call.count - first : BLOCK, call.room.buf,
                              (float *)call.out.buf + first * call.targets);
        Py_END_ALLOW_THREADS
    }
    return ended(&call, fits);
}

static PyObject *room_of_edits(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, edits_room);
}

static PyObject *mutants(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    if (!PyArg_ParseTuple(arguments, "sy*y*w*w*", &call.name, &call.program, &call.codes, &call.room, &call.out))
        return NULL;
    const int fits = begins(&call) && has_sequences(&call) &&
                     has_memory(&call, edits_room(call.steps), call.codes.len * 4 * call.targets);
    if (fits) {
        const int64_t length = call.steps->length;
        Py_BEGIN_ALLOW_THREADS
        for (int64_t s = 0; s < call.count; s++)
            EDITS[call.set](call.steps, (const uint8_t *)call.codes.buf + s * length, NULL, 0, call.room.buf,
                            (float *)call.out.buf + s * length * 4 * call.targets);
        Py_END_ALLOW_THREADS
    }
    return ended(&call, fits);
}

/* Whether there is an edited sequence for each sequence. */
static int has_edited(const Call *call) {
    return is("bases of the edited sequences", call->codes.len, call->edited.len) &&
           are_codes(&call->edited, !call->steps->table);
}

static PyObject *edits(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    if (!PyArg_ParseTuple(arguments, "sy*y*y*w*w*", &call.name, &call.program, &call.codes, &call.edited, &call.room,
                          &call.out))
        return NULL;
    const int fits = begins(&call) && has_sequences(&call) && has_edited(&call) &&
                     has_memory(&call, edits_room(call.steps), call.count * call.targets);
    if (fits) {
        const int64_t length = call.steps->length;
        const uint8_t *codes = call.codes.buf, *edited = call.edited.buf;
        Py_BEGIN_ALLOW_THREADS
        for (int64_t first = 0, next = 0; first < call.count; first = next) {
            const uint8_t *original = codes + first * length;
            while (next < call.count && !memcmp(original, codes + next * length, length)) next++;
            EDITS[call.set](call.steps, original, edited + first * length, next - first, call.room.buf,
                            (float *)call.out.buf + first * call.targets);
        }
        Py_END_ALLOW_THREADS
    }
    return ended(&call, fits);
}

static PyObject *room_of_windows(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    if (!PyArg_ParseTuple(arguments, "y*y*", &call.program, &call.more)) return NULL;
    const int fits = has_program(&call) && has_plan(&call);
    const int64_t floats = fits ? windows_room(call.steps, call.more.buf) : 0;
    PyBuffer_Release(&call.program);
    PyBuffer_Release(&call.more);
    return fits ? PyLong_FromLongLong(floats) : NULL;
}

/* Whether `codes` has all bases that are read for `count` windows, the first of which begins at codes[before]. */
static int has_bases(const Call *call, long long before) {
    int64_t bases_before, bases_after;
    windows_reach(call->steps, call->more.buf, call->count, &bases_before, &bases_after);
    return at_least("bases before the first window", bases_before, before) &&
           at_least("bases from the first window on", bases_after, call->codes.len - before) &&
           are_codes(&call->codes, 0);
}

static PyObject *windows(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    long long before;
    if (!PyArg_ParseTuple(arguments, "sy*y*y*Lw*w*", &call.name, &call.program, &call.more, &call.codes, &before,
                          &call.room, &call.out))
        return NULL;
    int fits = begins(&call) && has_plan(&call);
    if (fits) {
        call.count = call.out.len / (int64_t)sizeof(float) / call.targets;
        fits = has_bases(&call, before) &&
               has_memory(&call, windows_room(call.steps, call.more.buf), call.count * call.targets);
    }
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        WINDOWS[call.set](call.steps, call.more.buf, (const uint8_t *)call.codes.buf + before, call.count,
                          call.room.buf, call.out.buf);
        Py_END_ALLOW_THREADS
    }
    return ended(&call, fits);
}

static PyObject *room_of_contributions(PyObject *self, PyObject *arguments) {
    (void)self;
    return floats_for(arguments, contributions_room);
}

/* Whether all sequences have the same number of references. */
static int has_references(const Call *call, int64_t each) {
    return is("bases of the references", call->count * each * call->steps->length, call->references.len) &&
           are_codes(&call->references, !call->steps->table);
}

/* references: (N, R, L), or empty for the gradient */
static PyObject *contributions(PyObject *self, PyObject *arguments) {
    (void)self;
    Call call = {0};
    long long target;
    if (!PyArg_ParseTuple(arguments, "sy*y*y*y*Lw*w*", &call.name, &call.program, &call.more, &call.codes,
                          &call.references, &target, &call.room, &call.out))
        return NULL;
    int fits = begins(&call) && has_sequences(&call) && at_least("target", 0, target) &&
               at_least("targets", target + 1, call.targets);
    const int64_t length = fits ? call.steps->length : 1;
    const int64_t each = call.references.len / length / (call.count ? call.count : 1);
    fits = fits && has_references(&call, each) &&
           is("bytes of the way back", layers_of(call.steps) * 8, call.more.len) &&
           has_memory(&call, contributions_room(call.steps), call.codes.len * 4);
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t s = 0; s < call.count; s++) {
            const uint8_t *sequence = (const uint8_t *)call.codes.buf + s * length;
            const uint8_t *references = (const uint8_t *)call.references.buf + s * each * length;
            float *to = (float *)call.out.buf + s * length * 4;
            if (each)
                CONTRIBUTIONS[call.set](call.steps, call.more.buf, sequence, references, each, target, call.room.buf,
                                        to);
            else GRADIENT[call.set](call.steps, call.more.buf, sequence, target, call.room.buf, to);
        }
        Py_END_ALLOW_THREADS
    }
    return ended(&call, fits);
}

static PyMethodDef METHODS[] = {
    {"instruction_sets", instruction_sets, METH_NOARGS, "Names of those that this processor has, the fastest first."},
    {"room", room, METH_VARARGS, "room(program) -> floats that forward needs beside."},
    {"forward", forward, METH_VARARGS,
     "forward(instruction_set, program, codes, room, out): base codes 0 to 3 (4 too, without tables), uint8 (N, L) -> "
     "activities, float32 (N, T). Releases the GIL; threads share a program, each needs a room of its own."},
    {"room_of_edits", room_of_edits, METH_VARARGS,
     "room_of_edits(program) -> floats that mutants and edits need beside."},
    {"mutants", mutants, METH_VARARGS,
     "mutants(instruction_set, program, codes, room, out): base codes as forward takes them, uint8 (N, L) -> what each "
     "base in each place adds to the activities, float32 (N, L, 4, T). Releases the GIL as forward does."},
    {"edits", edits, METH_VARARGS,
     "edits(instruction_set, program, codes, edited, room, out): base codes as forward takes them, uint8 (N, L), and an "
     "edited sequence for each, uint8 (N, L) -> its activities minus those of the sequence, float32 (N, T). Work is "
     "shared between neighbours with the same sequence. Releases the GIL as forward does."},
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
