/* DeepLIFT (rescale rule) of a sequence against its references, and the gradient, both in closed form.

   The forward pass keeps the sums of every layer; the backward pass computes multipliers, from the head to the bases,
   see _rescale.h. GROUP references are computed together, and products skip inputs that are zero in all of them.

   The program holds all convolutions. The first (_first_layer.h) is cheap enough to be computed again in the backward
   pass; tables, if any, include the second one. `back` holds, for each layer but the first, the address of its weights
   for the backward pass: packed, (taps * filters, channels), the taps in reverse order. */

#ifndef NAME

#include "_program.h"

/* One layer and its kept arrays. */
typedef struct {
    Layer layer, back;
    float *own;      /* sums of the sequence, (results * pool, width) */
    float *others;   /* of references, (results * pool, rows, width) */
    Map out;         /* results of the forward pass */
    Map multipliers; /* of the sums, in the backward pass */
} Kept;

/* mean: multipliers of the first layer's sums, added up, (results * pool, width). reached: multipliers of the bases,
   one register for each base and for padding. */
typedef struct {
    int32_t *rows;
    Kept *kept;
    float *mean, *reached;
} Space;

static int64_t mean_room(const Layer *first) { return first->results * first->pool * width_of(first->filters); }
static int64_t reached_room(const Layer *first) { return (first->positions + first->taps) * MOST_LANES; }

static int64_t kept_room(const Program *program) {
    return (layers_of(program) * (int64_t)sizeof(Kept) / 4 + SLACK) / SLACK * SLACK;
}

int64_t contributions_room(const Program *program) {
    const Layer first = layer_of(program, 0);
    int64_t floats = rows_room(program) + kept_room(program) + mean_room(&first) + reached_room(&first);
    for (int64_t i = 0; i < layers_of(program); i++) {
        const Layer layer = layer_of(program, i);
        const int64_t sums = layer.results * layer.pool;
        floats += sums * (GROUP + 1) * width_of(layer.filters);
        floats += map_room(layer.results, layer.filters) + map_room(sums, layer.filters);
    }
    return floats;
}

static Space space_at(const Program *program, const int64_t *back, float *room) {
    const Layer first = layer_of(program, 0);
    Space space = {.rows = (int32_t *)room, .kept = (Kept *)(room + rows_room(program))};
    space.mean = room + rows_room(program) + kept_room(program);
    space.reached = space.mean + mean_room(&first);
    float *next = space.reached + reached_room(&first);
    for (int64_t i = 0; i < layers_of(program); i++) {
        const Layer layer = layer_of(program, i);
        const int64_t sums = layer.results * layer.pool, width = width_of(layer.filters);
        Kept *kept = space.kept + i;
        kept->layer = layer;
        kept->back = (Layer){sums, layer.filters, layer.taps, layer.taps - 1 - layer.left, layer.channels,
                             layer.positions, 1, 0, (const float *)back[i], NULL};
        kept->own = next, next += sums * width;
        kept->others = next, next += sums * GROUP * width;
        kept->out = map_at(&next, layer.results, layer.filters);
        kept->multipliers = map_at(&next, sums, layer.filters);
    }
    memset(space.mean, 0, (mean_room(&first) + reached_room(&first)) * sizeof *space.mean);
    return space;
}

#define ARITHMETIC "_contributions.c"
#include "_each_set.h"

const Contributions CONTRIBUTIONS[NUMBER_OF_SETS] = OF_EACH_SET(contributions);
const Gradient GRADIENT[NUMBER_OF_SETS] = OF_EACH_SET(gradient);

#else

#include "_sparse.h"

#include "_first_layer.h"
#include "_rescale.h"

/* The second layer for whole sequences, from the tables. */
INLINE void NAME(second_results)(const int rows, const Program *program, const uint8_t *const *codes,
                                 int32_t *table_rows, float *sums, Map *out) {
    const int64_t last = program->positions * 2, width = out->width;
    for (int r = 0; r < rows; r++) {
        NAME(find_rows)(program, codes[r], 0, program->windows - 1, table_rows);
        for (int64_t p = 0, fetched = 0; p < last; p++) {
            for (; fetched < last + program->taps - 1 && fetched < p + NAME(AHEAD); fetched++)
                NAME(fetch)(program, table_rows[fetched]);
            for (int64_t c = 0; c < program->channels; c += LANES)
                AT(sums + (p * rows + r) * width + c) = 
                    NAME(sum_of_parts)(program->taps, program, table_rows + p, 1, c);
        }
    }
    for (int64_t p = 0; p < program->positions; p++) {
        for (int r = 0; r < rows; r++)
            for (int64_t c = 0; c < program->channels; c += LANES) {
                const float *one = sums + (2 * p * rows + r) * width + c, *two = one + rows * width;
                AT(out->values + (p * rows + r) * width + c) =
                    NAME(larger)(NAME(larger)(READ(one), READ(two)), (VECTOR){0});
            }
        NAME(list)(rows, out, p);
    }
}

/* `rows` sequences through all layers but the head. own: these are the sequence itself, not references. */
INLINE void NAME(forwards)(const int rows, const int own, const Program *program, const uint8_t *const *codes,
                           const Space *space) {
    Kept *kept = space->kept;
    if (own || !program->table)
        NAME(first_results)(rows, &kept->layer, codes, own ? kept->own : NULL, &kept->out);
    for (int64_t i = 1; i < layers_of(program) - 1; i++) {
        float *sums = own ? kept[i].own : kept[i].others;
        if (i == 1 && program->table)
            NAME(second_results)(rows, program, codes, space->rows, sums, &kept[i].out);
        else NAME(results)(rows, &kept[i].layer, &kept[i - 1].out, sums, &kept[i].out);
    }
}

/* Multipliers of a layer's output, at one result -> multipliers of its sums. */
INLINE void NAME(to_sums)(const int rows, const int vectors, const int gradient, Kept *kept, int64_t position,
                          int64_t column, VECTOR (*multiplier)[WIDE]) {
    const int64_t width = kept->multipliers.width, pool = kept->layer.pool;
    const float *own = kept->own + position * pool * width + column;
    const float *others = kept->others + position * pool * rows * width + column;
    float *out = kept->multipliers.values + position * pool * rows * width + column;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const int64_t at = r * width + v * LANES;
            const VECTOR a[2] = {READ(own + v * LANES), READ(own + (pool - 1) * width + v * LANES)};
            const VECTOR b[2] = {READ(others + at), READ(others + (pool - 1) * rows * width + at)};
            VECTOR to[2];
            if (pool == 2) {
                if (gradient) NAME(through_largest)(multiplier[r][v], a, to);
                else NAME(through_pool)(multiplier[r][v], a, b, to);
                AT(out + rows * width + at) = to[1];
            } else if (gradient) to[0] = NAME(through_positive)(multiplier[r][v], a[0]);
            else to[0] = NAME(through_relu)(multiplier[r][v], a[0], b[0]);
            AT(out + at) = to[0];
        }
}

/* The same for the first layer: multipliers are added to the mean, and those of the bases of the first `here`
   references to `reached`. */
INLINE void NAME(to_bases)(const int vectors, const int gradient, const Space *space, const uint8_t *const *codes,
                           int here, int64_t position, int64_t column, VECTOR (*multiplier)[WIDE]) {
    const Layer *first = &space->kept->layer;
    const int64_t width = width_of(first->filters);
    const float *own = space->kept->own + 2 * position * width + column;
    float *mean = space->mean + 2 * position * width + column;
    for (int r = 0; r < here; r++) {
        VECTOR one[WIDE] = {{0}}, two[WIDE] = {{0}};
        if (!gradient) {
            NAME(first_sums)(vectors, first, codes[r], 2 * position, column, one);
            NAME(first_sums)(vectors, first, codes[r], 2 * position + 1, column, two);
        }
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const VECTOR a[2] = {READ(own + v * LANES), READ(own + width + v * LANES)}, b[2] = {one[v], two[v]};
            VECTOR to[2];
            if (gradient) NAME(through_largest)(multiplier[r][v], a, to);
            else NAME(through_pool)(multiplier[r][v], a, b, to);
            one[v] = to[0], two[v] = to[1];
            AT(mean + v * LANES) += one[v];
            AT(mean + width + v * LANES) += two[v];
        }
        if (gradient) continue;
        NAME(reach)(vectors, first, codes[r], -1, 2 * position, column, one, space->reached);
        NAME(reach)(vectors, first, codes[r], -1, 2 * position + 1, column, two, space->reached);
    }
}

/* One input position of layer i: multipliers of that layer's sums -> multipliers of the sums of the layer below. */
INLINE void NAME(back_at)(const int rows, const int vectors, const int gradient, const Program *program, int64_t target,
                          const Space *space, const uint8_t *const *codes, int here, int64_t i, int64_t position,
                          int64_t column) {
    Kept *kept = space->kept + i;
    const Layer *back = &kept->back;
    const int head = i == layers_of(program) - 1;
    const float *row = back->weight + column / PANEL * PANEL * back->taps * back->channels + column % PANEL +
                       ((back->taps - 1 - position) * back->channels + target) * PANEL;
    VECTOR multiplier[GROUP][WIDE];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            multiplier[r][v] = head ? READ(row + v * LANES / PANEL * PANEL * back->taps * back->channels +
                                           v * LANES % PANEL)
                                    : (VECTOR){0};
    if (!head) NAME(add_sums)(rows, vectors, back, &kept->multipliers, position, column, multiplier);
    if (i > 1) NAME(to_sums)(rows, vectors, gradient, kept - 1, position, column, multiplier);
    else NAME(to_bases)(vectors, gradient, space, codes, here, position, column, multiplier);
}

/* The backward pass, from the head to the bases. codes: those of the references, of which only the first `here` count.
   */
INLINE void NAME(backwards)(const int rows, const int gradient, const Program *program, int64_t target,
                            const Space *space, const uint8_t *const *codes, int here) {
    for (int64_t i = layers_of(program) - 1; i > 0; i--) {
        const Layer *back = &space->kept[i].back;
        for (int64_t p = 0; p < back->results; p++) {
#define BACK(vectors, column)                                                                                          \
    NAME(back_at)(rows, vectors, gradient, program, target, space, codes, here, i, p, column)
            OVER_CHANNELS(back->filters, BACK)
#undef BACK
        }
        Map *multipliers = &space->kept[i - 1].multipliers;
        if (i > 1)
            for (int64_t p = 0; p <= multipliers->last; p++) NAME(list)(rows, multipliers, p);
    }
}

/* out[length][4] = multipliers of each base at each position, from the mean / count, minus the former value of out. */
INLINE void NAME(to_scores)(const Space *space, float count, float *out) {
    const Layer *first = &space->kept->layer;
    for (int base = 0; base < 4; base++) {
        memset(space->reached, 0, reached_room(first) * sizeof *space->reached);
        for (int64_t p = 0; p < first->results * first->pool; p++) {
            const float *mean = space->mean + p * width_of(first->filters);
#define REACH(vectors, column) NAME(reach_from)(vectors, first, base, p, column, mean, space->reached)
            OVER_CHANNELS(first->filters, REACH)
#undef REACH
        }
        for (int64_t p = 0; p < first->positions; p++)
            out[p * 4 + base] = NAME(reached_at)(first, p, space->reached) / count - out[p * 4 + base];
    }
}

TARGET static void NAME(contributions)(const Program *program, const int64_t *back, const uint8_t *codes,
                                       const uint8_t *references, int64_t count, int64_t target, float *room,
                                       float *out) {
    const Space space = space_at(program, back, room);
    const Layer *first = &space.kept->layer;
    const uint8_t *own[1] = {codes}, *others[GROUP];
    NAME(forwards)(1, 1, program, own, &space);
    for (int64_t f = 0; f < count; f += GROUP) {
        const int here = count - f < GROUP ? (int)(count - f) : GROUP;
        for (int r = 0; r < GROUP; r++) others[r] = references + (f + (r < here ? r : 0)) * program->length;
        NAME(forwards)(GROUP, 0, program, others, &space);
        NAME(backwards)(GROUP, 0, program, target, &space, others, here);
    }
    /* (one-hot of base - reference) . multipliers: the second part is in `reached`, at the references' bases */
    for (int64_t p = 0; p < first->positions; p++)
        for (int base = 0; base < 4; base++)
            out[p * 4 + base] = NAME(reached_at)(first, p, space.reached) / (float)count;
    NAME(to_scores)(&space, (float)count, out);
}

TARGET static void NAME(gradient)(const Program *program, const int64_t *back, const uint8_t *codes, int64_t target,
                                  float *room, float *out) {
    const Space space = space_at(program, back, room);
    const uint8_t *own[1] = {codes};
    NAME(forwards)(1, 1, program, own, &space);
    NAME(backwards)(1, 1, program, target, &space, own, 1);
    memset(out, 0, program->length * 4 * sizeof *out);
    NAME(to_scores)(&space, 1, out);
}

#endif
