/* Convolution, batch norm, ReLU and max-pooling of a training step, fused: wide arrays exist for one sequence at a
   time, in the second-level cache. Products run on the processor's matrix unit (AMX) or, without one, on its bfloat16
   lanes (AVX-512). trunk.py calls this and describes the layers.

   Optional: without it, or on a processor with neither, training.py does the same with PyTorch.

   A layer here is: its input, pooled, as rows of positions; then a convolution with 'same' padding, without bias. The
   input is either a hidden layer before its batch norm (norm, ReLU and pooling are applied on the way in) or the first
   layer, computed from one-hot bases. Products take bfloat16 operands and sum in float32. With three parts, each
   float32 operand is split into a sum of three bfloat16 numbers, all 24 bits; only products below them are left out.

   This file is the Python module: it checks that arrays are large enough. A layer is computed in _trunk_forward.c and
   _trunk_backward.c, from what _trunk_input.c and _trunk_kernels.c make ready for the products of _trunk_product.h. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_trunk_product.h"

static PyObject *py_available(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    return PyBool_FromLong(unit() != NOTHING);
}

static PyObject *py_matrix_unit(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
    return PyBool_FromLong(unit() == MATRIX_UNIT);
}

#define SIX "LLLLLL"
#define LAYER(l) &(l).parts, &(l).before, &(l).channels, &(l).filters, &(l).taps, &(l).window

static PyObject *py_room(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer layer;
    if (!PyArg_ParseTuple(arguments, "(" SIX ")", LAYER(layer))) return NULL;
    return PyLong_FromLongLong(lay_out(&layer, NULL).bytes);
}

static void release(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(buffers + i);
}

/* Whether each buffer has the expected number of bytes. */
static int fit(const Py_buffer *buffers, const int64_t *bytes, int count) {
    for (int i = 0; i < count; i++)
        if (buffers[i].len < bytes[i]) return 0;
    return unit() != NOTHING;
}

static PyObject *refuse(void) {
    return PyErr_Format(PyExc_ValueError, "an array is too small, or this processor does not multiply bfloat16");
}

static PyObject *py_forward(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer l;
    long long count;
    Py_buffer b[7];
    if (!PyArg_ParseTuple(arguments, "(" SIX ")Lw*y*y*y*y*w*w*", LAYER(l), &count, b, b + 1, b + 2, b + 3, b + 4, b + 5,
                          b + 6))
        return NULL;
    Plan p = lay_out(&l, b[0].buf);
    const int64_t channels = l.window ? l.channels : p.channels;
    const int64_t bytes[] = {p.bytes, count * l.before * (l.window ? BASES : channels) * 4,
                             (l.window ? POOL * channels * l.window * BASES : channels) * 4, p.channels * 4,
                             l.filters * l.channels * l.taps * 4, count * p.length * p.filters * 4, 2 * p.filters * 8};
    const int good = fit(b, bytes, 7);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        memset(b[0].buf, 0, p.bytes);
        forward_share(&p, count, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, b[6].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 7);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

static PyObject *py_backward(PyObject *self, PyObject *arguments) {
    (void)self;
    Layer l;
    long long count;
    Py_buffer b[14];
    if (!PyArg_ParseTuple(arguments, "(" SIX ")Lw*y*y*y*y*y*y*y*y*y*y*w*w*w*", LAYER(l), &count, b, b + 1, b + 2, b + 3,
                          b + 4, b + 5, b + 6, b + 7, b + 8, b + 9, b + 10, b + 11, b + 12, b + 13))
        return NULL;
    Plan p = lay_out(&l, b[0].buf);
    const int64_t channels = l.window ? l.channels : p.channels, norm = p.filters * 4;
    const int64_t kernel = POOL * channels * l.window * BASES * 4, weight = l.filters * l.channels * l.taps * 4;
    const int64_t bytes[] = {p.bytes, count * l.before * (l.window ? BASES : channels) * 4,
                             l.window ? kernel : channels * 4, p.channels * 4, weight,
                             count * p.length * norm, norm, norm, norm, norm, count * (p.length / POOL) * norm, weight,
                             l.window ? kernel : count * p.length * p.channels * 4,
                             l.window ? p.channels * 4 : 2 * p.channels * 8};
    const int good = fit(b, bytes, 14);
    if (good) {
        const Norm behind = {b[6].buf, b[7].buf, b[8].buf, b[9].buf};
        Py_BEGIN_ALLOW_THREADS
        memset(b[0].buf, 0, p.bytes);
        backward_share(&p, count, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, behind, b[10].buf, b[11].buf,
                       b[12].buf, b[13].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 14);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

/* after the last layer: `shut` with a gradient, `pool_share` without one */
static PyObject *py_pool(PyObject *self, PyObject *arguments) {
    (void)self;
    long long count, before, channels;
    Py_buffer b[6];
    if (!PyArg_ParseTuple(arguments, "LLLy*y*y*w*y*w*", &count, &before, &channels, b, b + 1, b + 2, b + 3, b + 4,
                          b + 5))
        return NULL;
    const int backward = b[4].len > 0;
    const int64_t pooled = count * (before / POOL) * channels * 4;
    const int64_t bytes[] = {count * before * channels * 4, channels * 4, channels * 4, pooled,
                             backward ? pooled : 0, backward ? 2 * channels * 8 : 0};
    const int good = fit(b, bytes, 6) && channels % STEP == 0;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        const float *hidden = b[0].buf, *gradient = b[4].buf;
        float *out = b[3].buf;
        if (!backward) pool_share(count, before, channels, hidden, b[1].buf, b[2].buf, out);
        for (int64_t i = 0; backward && i < count; i++)
            shut(gradient + i * (before / POOL) * channels, before / POOL, channels, hidden + i * before * channels,
                 b[1].buf, b[2].buf, out + i * (before / POOL) * channels, b[5].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 6);
    if (!good) return refuse();
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"available", py_available, METH_NOARGS, "Whether this processor has what the functions need."},
    {"matrix_unit", py_matrix_unit, METH_NOARGS, "Whether products run on its matrix unit, and the system lends it."},
    {"room", py_room, METH_VARARGS, "room(layer) -> bytes of working memory, aligned to 64, that a call needs."},
    {"forward", py_forward, METH_VARARGS,
     "forward(layer, count, room, input, scale, shift, weight, output, totals). Releases the GIL."},
    {"backward", py_backward, METH_VARARGS,
     "backward(layer, count, room, input, scale, shift, weight, output, norm_scale, norm_shift, along, level, pooled, "
     "weight_gradient, gradient, rest). Releases the GIL."},
    {"pool", py_pool, METH_VARARGS,
     "pool(count, before, channels, hidden, scale, shift, out, gradient, totals): the pooled of a hidden layer, or the "
     "gradient of the pooled shut where ReLU was. Releases the GIL."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_trunk", "See trunk.py.", 0, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__trunk(void) { return PyModule_Create(&MODULE); }
