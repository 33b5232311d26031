/* The whole network: convolutions for one sequence at a time, matrices for a block of sequences.

   Layers that tables replace are looked up; without tables the network begins with one-hot bases, where an N is zeros.
   */

#ifndef NAME

#include "_program.h"

/* floats for the input of a convolution with its padding */
static int64_t buffer_room(const Convolution *layer) {
    return (layer->positions + layer->taps - 1) * layer->channels + SLACK;
}

int64_t forward_room(const Program *program) {
    const Convolution *layers = convolutions_of(program);
    const Matrix *matrices = matrices_of(program);
    int64_t floats = rows_room(program) + BLOCK * matrices->inputs + SLACK;
    for (int64_t i = 0; i < program->convolutions; i++) floats += buffer_room(layers + i);
    for (int64_t i = 0; i < program->matrices; i++) floats += BLOCK * matrices[i].outputs;
    return floats;
}

#define ARITHMETIC "_forward.c"
#include "_each_set.h"

const Forward FORWARD[NUMBER_OF_SETS] = OF_EACH_SET(forward);

#else

/* One sequence through the convolutions: codes -> features, (position, channel). `buffers` holds the input of each
   convolution, with the zeros of padding at both ends: kernel.py writes these once, and they never change. */
INLINE void NAME(convolve)(const Program *program, const uint8_t *codes, int32_t *rows, float *buffers,
                           float *features) {
    const Convolution *layers = convolutions_of(program);
    float *buffer = buffers, *first = program->convolutions ? buffer + layers->left * layers->channels : features;
    if (program->table) NAME(look_up)(program, codes, rows, first, program->channels);
    else
        for (int64_t p = 0; p < program->length; p++)
            for (int64_t base = 0; base < 4; base++) first[p * 4 + base] = codes[p] == base;
    for (int64_t i = 0; i < program->convolutions; i++) {
        const Convolution *layer = layers + i;
        float *next = buffer + buffer_room(layer);
        float *to = i + 1 < program->convolutions ? next + layer[1].left * layer[1].channels : features;
        NAME(multiply)(buffer, layer->channels, layer->positions / 2 * 2, layer->taps * layer->channels,
                       (const float *)layer->weight, (const float *)layer->bias, layer->filters, 2, 1, to);
        buffer = next;
    }
}

TARGET static void NAME(forward)(const Program *program, const uint8_t *codes, int64_t count, float *room, float *out) {
    const Matrix *matrices = matrices_of(program);
    int32_t *rows = (int32_t *)room;
    float *buffers = room + rows_room(program), *features = buffers;
    for (int64_t i = 0; i < program->convolutions; i++) features += buffer_room(convolutions_of(program) + i);
    const int64_t flat = matrices->inputs;

    for (int64_t s = 0; s < count; s++)
        NAME(convolve)(program, codes + s * program->length, rows, buffers, features + s * flat);

    const float *hidden = features;
    float *spare = features + BLOCK * flat + SLACK;
    for (int64_t i = 0; i < program->matrices; i++) {
        const Matrix *matrix = matrices + i;
        float *to = i + 1 < program->matrices ? spare : out;
        NAME(multiply)(hidden, matrix->inputs, count, matrix->inputs, (const float *)matrix->weight,
                       (const float *)matrix->bias, matrix->outputs, 1, matrix->relu, to);
        hidden = to;
        spare += BLOCK * matrix->outputs;
    }
}

#endif
