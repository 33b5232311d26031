/* Every mutant of a sequence, one base at a time: in silico mutagenesis that computes only what changes.

   A base changes a few positions of each layer. The three mutants of a base are computed together; each layer adds
   weight x (new - old) of the inputs that changed to the sums of the sequence itself, and skips channels that none of
   the three changed. */

#ifndef NAME

#include "_program.h"

/* One layer, its output for the sequence itself, and how the mutants of a base differ from it. */
typedef struct {
    Layer layer;
    float *sums, *kept; /* (results * pool, width); (results, width) */
    Map change;
} Step;

static int64_t steps_room(const Program *program) {
    return ((layers_of(program) + 1) * (int64_t)sizeof(Step) / 4 + SLACK) / SLACK * SLACK;
}

/* positions and channels of the first layer's input */
static int64_t input_positions(const Program *program) { return program->table ? program->positions : program->length; }
static int64_t input_channels(const Program *program) { return program->table ? program->channels : 4; }

int64_t mutants_room(const Program *program) {
    int64_t floats = 2 * rows_room(program) + steps_room(program);
    floats += input_positions(program) * width_of(input_channels(program));
    floats += map_room(input_positions(program), input_channels(program));
    for (int64_t i = 0; i < layers_of(program); i++) {
        const Layer layer = layer_of(program, i);
        floats += layer.results * (layer.pool + 1) * width_of(layer.filters) + map_room(layer.results, layer.filters);
    }
    return floats;
}

/* Divides the working memory: step 0 is the input of the layers, step i + 1 the output of layer i. */
static Step *steps_at(const Program *program, float *room) {
    Step *steps = (Step *)room;
    float *next = room + steps_room(program);
    for (int64_t i = 0; i <= layers_of(program); i++) {
        Step *step = steps + i;
        step->layer = (Layer){.filters = input_channels(program), .results = input_positions(program)};
        if (i) step->layer = layer_of(program, i - 1);
        const int64_t width = width_of(step->layer.filters);
        step->sums = next, next += step->layer.results * step->layer.pool * width;
        step->kept = next, next += step->layer.results * width;
        step->change = map_at(&next, step->layer.results, step->layer.filters);
    }
    return steps;
}

#define ARITHMETIC "_mutants.c"
#include "_each_set.h"

const Mutants MUTANTS[NUMBER_OF_SETS] = OF_EACH_SET(mutants);

#else

#include "_sparse.h"

enum { NAME(BASES_AHEAD) = 2 }; /* whose table rows are fetched before they are needed */

/* The sequence itself. The maps of changes lend their lists. */
INLINE void NAME(keep)(const Program *program, const uint8_t *codes, int32_t *rows, Step *steps) {
    const int64_t width = steps->change.width;
    if (program->table) NAME(look_up)(program, codes, rows, steps->kept, width);
    else
        for (int64_t p = 0; p < program->length; p++)
            for (int64_t base = 0; base < 4; base++) steps->kept[p * width + base] = codes[p] == base;
    for (int64_t i = 0; i <= layers_of(program); i++) {
        steps[i].change.first = 0, steps[i].change.last = steps[i].layer.results - 1;
        Map whole = steps[i].change;
        whole.values = steps[i].kept;
        if (i == 0)
            for (int64_t p = 0; p <= whole.last; p++) NAME(list)(1, &whole, p);
        else {
            Map before = steps[i - 1].change;
            before.values = steps[i - 1].kept;
            NAME(results)(1, &steps[i].layer, &before, steps[i].sums, &whole);
        }
    }
}

/* The windows that see a base, [first, last]; they move to the right with it. */
INLINE void NAME(follow)(const Program *program, int64_t base, int64_t *first, int64_t *last) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths;
    while (*first < program->windows && start[*first] + length[*first] <= base) ++*first;
    while (*last + 1 < program->windows && start[*last + 1] <= base) ++*last;
}

/* The table row that a window takes when `base` becomes `code`. */
INLINE int32_t NAME(mutated)(const Program *program, const int32_t *rows, const uint8_t *codes, int64_t window,
                             int64_t base, int code) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths;
    return rows[program->left + window] +
           (code - codes[base]) * (1 << 2 * (start[window] + length[window] - 1 - base));
}

/* How the looked up layers differ, where the windows that see the base are [first, last]. */
INLINE void NAME(looked_up)(const Program *program, const uint8_t *codes, const int32_t *rows, int32_t *mine,
                            int64_t base, const int *alternatives, int64_t first, int64_t last, Step *step) {
    const int64_t pool = program->pool, taps = program->taps, width = step->change.width;
    Map *change = &step->change;
    /* a sum at position i reads the rows of windows i - left to i - left + taps - 1 */
    int64_t from = first + program->left - taps + 1, to = last + program->left;
    from = from > 0 ? from : 0;
    to = to < program->positions * pool - 1 ? to : program->positions * pool - 1;
    change->first = from / pool, change->last = first <= last && from <= to ? to / pool : change->first - 1;
    if (change->last < change->first) return;
    const int64_t begin = change->first * pool, number = (change->last + 1) * pool + taps - 1 - begin;
    for (int r = 0; r < GROUP; r++) {
        memcpy(mine, rows + begin, number * sizeof *mine);
        for (int64_t w = first; w <= last; w++) {
            const int64_t at = program->left + w - begin;
            if (at >= 0 && at < number) mine[at] = NAME(mutated)(program, rows, codes, w, base, alternatives[r]);
        }
        for (int64_t p = change->first; p <= change->last; p++) {
            float *out = change->values + ((p - change->first) * GROUP + r) * width;
            NAME(gather_any)(program, mine + (p - change->first) * pool, out);
            for (int64_t c = 0; c < change->channels; c += LANES) AT(out + c) -= READ(step->kept + p * width + c);
        }
    }
}

/* How the one-hot bases differ. */
INLINE void NAME(substituted)(const uint8_t *codes, int64_t base, const int *alternatives, Step *step) {
    Map *change = &step->change;
    change->first = change->last = base;
    for (int r = 0; r < GROUP; r++)
        for (int code = 0; code < 4; code++)
            change->values[r * change->width + code] =
                (float)(code == alternatives[r]) - (float)(code == codes[base]);
}

/* How a layer's results differ, from how its inputs do. Without ReLU and pooling the difference is a sum itself. */
INLINE void NAME(pass_on)(const Map *in, Step *step) {
    const Layer *layer = &step->layer;
    Map *change = &step->change;
    int64_t from = in->first + layer->left - layer->taps + 1, to = in->last + layer->left;
    from = from > 0 ? from : 0;
    to = to < layer->results * layer->pool - 1 ? to : layer->results * layer->pool - 1;
    change->first = from / layer->pool;
    change->last = in->first <= in->last && from <= to ? to / layer->pool : change->first - 1;
    for (int64_t p = change->first; p <= change->last; p++) {
        const float *sums = layer->relu ? step->sums + p * layer->pool * change->width : NULL;
        const float *kept = layer->relu ? step->kept + p * change->width : NULL;
        float *out = change->values + (p - change->first) * GROUP * change->width;
#define CHANGES(vectors, column)                                                                                       \
    NAME(results_at)(GROUP, vectors, layer, in, p, column, sums, change->width, NULL, kept, out)
        OVER_CHANNELS(layer->filters, CHANGES)
#undef CHANGES
        NAME(list)(GROUP, change, p);
    }
}

TARGET static void NAME(mutants)(const Program *program, const uint8_t *codes, float *room, float *out) {
    int32_t *rows = (int32_t *)room, *mine = rows + rows_room(program);
    Step *steps = steps_at(program, room + 2 * rows_room(program));
    const int64_t layers = layers_of(program), targets = steps[layers].layer.filters;
    const Map *last_change = &steps[layers].change;
    int64_t first = 0, last = -1, next_first = 0, next_last = -1;
    NAME(keep)(program, codes, rows, steps);
    memset(out, 0, program->length * 4 * targets * sizeof *out);
    for (int64_t base = 0, ahead = 0; base < program->length; base++) {
        for (; program->table && ahead < program->length && ahead <= base + NAME(BASES_AHEAD); ahead++) {
            NAME(follow)(program, ahead, &next_first, &next_last);
            for (int64_t w = next_first; w <= next_last; w++)
                for (int code = 0; code < 4; code++)
                    if (code != codes[ahead])
                        NAME(fetch)(program, NAME(mutated)(program, rows, codes, w, ahead, code));
        }
        if (program->table) NAME(follow)(program, base, &first, &last);
        /* three alternatives to a base; four to an N, in two groups that overlap */
        for (int group = 0; group <= (codes[base] > 3); group++) {
            int alternatives[GROUP];
            for (int r = 0; r < GROUP; r++) alternatives[r] = r + (codes[base] > 3 ? group : r >= codes[base]);
            if (program->table)
                NAME(looked_up)(program, codes, rows, mine, base, alternatives, first, last, steps);
            else NAME(substituted)(codes, base, alternatives, steps);
            for (int64_t p = steps->change.first; p <= steps->change.last; p++) NAME(list)(GROUP, &steps->change, p);
            for (int64_t i = 0; i < layers; i++) NAME(pass_on)(&steps[i].change, steps + i + 1);
            if (last_change->last < last_change->first) continue; /* the base reaches nothing */
            for (int r = 0; r < GROUP; r++)
                memcpy(out + (base * 4 + alternatives[r]) * targets, last_change->values + r * last_change->width,
                       targets * sizeof *out);
        }
    }
}

#endif
