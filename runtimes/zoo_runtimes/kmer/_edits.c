/* Edited sequences, by what they change in an original: a motif that is put into it, or every mutant of it.

   A stretch of bases changes a few positions of each layer. GROUP edited sequences, such as the three mutants of a base,
   are computed together; each layer adds weight x (new - old) of the inputs that changed to the sums of the original,
   and skips channels that none of them changed. Where only others of its group differ, the changes of a sequence are
   exact zeros, so its bits do not depend on its group. GROUPS groups go through each layer before the next one, so that
   they share the weights that are read from memory. */

#ifndef NAME

#include "_program.h"

enum { GROUPS = 8 };

/* One layer, its output for the original, and how the edited sequences of each group differ from it. */
typedef struct {
    Layer layer;
    float *sums, *kept; /* (results * pool, width); (results, width) */
    int64_t width;
    Map changes[GROUPS];
} Step;

/* Edited sequences that are computed together; they may be one and the same.

   Ranges, empty if the last is before the first: [first, last], bases in which any of them differs from the original;
   [first_window, last_window], table windows that see these bases; [first_sum, last_sum], sums of table rows of these
   windows.  rows: table rows of these sums.  own: memory for mutants, copies of the original but for the base `mutated`.
   out: where the results go. */
typedef struct {
    const uint8_t *codes[GROUP];
    int64_t first, last, first_window, last_window, first_sum, last_sum, mutated;
    int32_t *rows[GROUP];
    uint8_t *own[GROUP];
    float *out[GROUP];
} Group;

/* What is computed for one original: its edited sequences, (count, length), or all mutants if `edited` is NULL. */
typedef struct {
    const uint8_t *codes, *edited;
    int64_t count, targets;
    float *out;
} Wanted;

static int64_t steps_room(const Program *program) {
    return ((layers_of(program) + 1) * (int64_t)sizeof(Step) / 4 + SLACK) / SLACK * SLACK;
}

/* floats for a copy of the original */
static int64_t codes_room(const Program *program) { return (program->length / 4 + SLACK) / SLACK * SLACK; }

/* positions and channels of the first layer's input */
static int64_t input_positions(const Program *program) { return program->table ? program->positions : program->length; }
static int64_t input_channels(const Program *program) { return program->table ? program->channels : 4; }

int64_t edits_room(const Program *program) {
    int64_t floats = rows_room(program) + GROUPS * GROUP * (rows_room(program) + codes_room(program));
    floats += steps_room(program);
    floats += input_positions(program) * width_of(input_channels(program));
    floats += GROUPS * map_room(input_positions(program), input_channels(program));
    for (int64_t i = 0; i < layers_of(program); i++) {
        const Layer layer = layer_of(program, i);
        floats += layer.results * (layer.pool + 1) * width_of(layer.filters);
        floats += GROUPS * map_room(layer.results, layer.filters);
    }
    return floats;
}

/* Divides the working memory behind the original's rows: step 0 is the input of the layers, step i + 1 the output of
   layer i. */
static Step *steps_at(const Program *program, float *room) {
    Step *steps = (Step *)room;
    float *next = room + steps_room(program);
    for (int64_t i = 0; i <= layers_of(program); i++) {
        Step *step = steps + i;
        step->layer = (Layer){.filters = input_channels(program), .results = input_positions(program)};
        if (i) step->layer = layer_of(program, i - 1);
        step->width = width_of(step->layer.filters);
        step->sums = next, next += step->layer.results * step->layer.pool * step->width;
        step->kept = next, next += step->layer.results * step->width;
        for (int g = 0; g < GROUPS; g++) step->changes[g] = map_at(&next, step->layer.results, step->layer.filters);
    }
    return steps;
}

static float *groups_at(const Program *program, const uint8_t *codes, float *room, Group *groups) {
    for (int g = 0; g < GROUPS; g++) {
        groups[g] = (Group){.last = -1};
        for (int r = 0; r < GROUP; r++) {
            groups[g].rows[r] = (int32_t *)room, room += rows_room(program);
            groups[g].own[r] = (uint8_t *)room, room += codes_room(program);
            memcpy(groups[g].own[r], codes, program->length);
        }
    }
    return room;
}

/* Extends [first, last] to the bases in which two sequences differ. */
static void differing(const uint8_t *one, const uint8_t *other, int64_t length, int64_t *first, int64_t *last) {
    for (int64_t base = 0; base < *first; base++)
        if (one[base] != other[base]) *first = base;
    for (int64_t base = length - 1; base > *last; base--)
        if (one[base] != other[base]) *last = base;
}

/* Edited sequences from number `index` on; the last one fills the group. */
static void edited_group(const Program *program, const Wanted *wanted, int64_t index, Group *group) {
    group->first = program->length, group->last = -1;
    for (int r = 0; r < GROUP; r++) {
        const int64_t number = index + r < wanted->count ? index + r : wanted->count - 1;
        group->codes[r] = wanted->edited + number * program->length;
        group->out[r] = wanted->out + number * wanted->targets;
        differing(wanted->codes, group->codes[r], program->length, &group->first, &group->last);
    }
}

/* Three mutants of a base: those with its alternatives, or, for an N, with A, C, G or, in the second half, C, G, T. */
static void mutated_group(const Wanted *wanted, int64_t base, int half, Group *group) {
    const int there = wanted->codes[base];
    group->first = base, group->last = there > 3 || !half ? base : -1;
    for (int r = 0; r < GROUP; r++) {
        const int code = r + (there > 3 ? half : r >= there);
        group->own[r][group->mutated] = wanted->codes[group->mutated];
        group->own[r][base] = (uint8_t)code;
        group->codes[r] = group->own[r];
        group->out[r] = wanted->out + (base * 4 + code) * wanted->targets;
    }
    group->mutated = base;
}

/* Numbers of mutated groups for each base: tables have no N. */
static int64_t halves(const Program *program) { return program->table ? 1 : 2; }

static int64_t groups_of(const Program *program, const Wanted *wanted) {
    return wanted->edited ? (wanted->count + GROUP - 1) / GROUP : program->length * halves(program);
}

/* Finds windows and sums of a group; `before` is the one before it, whose windows are near. */
static void find_windows(const Program *program, const Group *before, Group *group) {
    const int32_t *start = (const int32_t *)program->starts, *length = (const int32_t *)program->lengths;
    const int64_t pool = program->pool, sums = program->positions * pool;
    int64_t first = before->first_window, last = before->last_window;
    while (first > 0 && start[first - 1] + length[first - 1] > group->first) first--;
    while (first < program->windows && start[first] + length[first] <= group->first) first++;
    while (last >= 0 && start[last] > group->last) last--;
    while (last + 1 < program->windows && start[last + 1] <= group->last) last++;
    group->first_window = first, group->last_window = last;
    /* the sum at position i reads the rows of windows i - left to i - left + taps - 1; whole pools of sums are needed */
    const int64_t from = first + program->left - program->taps + 1, to = last + program->left;
    group->first_sum = (from > 0 ? from : 0) / pool * pool;
    group->last_sum = first > last ? -1 : ((to < sums ? to : sums - 1) / pool + 1) * pool - 1;
}

/* The results of a layer that change with its inputs. */
static void find_results(const Layer *layer, const Map *in, Map *change) {
    int64_t from = in->first + layer->left - layer->taps + 1, to = in->last + layer->left;
    from = from > 0 ? from : 0;
    to = to < layer->results * layer->pool - 1 ? to : layer->results * layer->pool - 1;
    change->first = from / layer->pool;
    change->last = in->first <= in->last && from <= to ? to / layer->pool : change->first - 1;
}

#define ARITHMETIC "_edits.c"
#include "_each_set.h"

const Edits EDITS[NUMBER_OF_SETS] = OF_EACH_SET(edits);

#else

#define ADD_SPARSE ADD_PRODUCT
#include "_sparse.h"

enum { NAME(GROUPS_AHEAD) = 2 }; /* whose table rows are fetched before they are needed */

/* The original. The maps of changes lend their lists. */
INLINE void NAME(keep)(const Program *program, const uint8_t *codes, int32_t *rows, Step *steps) {
    const int64_t width = steps->width;
    if (program->table) NAME(look_up)(program, codes, rows, steps->kept, width);
    else
        for (int64_t p = 0; p < program->length; p++)
            for (int64_t base = 0; base < 4; base++) steps->kept[p * width + base] = codes[p] == base;
    for (int64_t i = 0; i <= layers_of(program); i++) {
        Map whole = steps[i].changes[0];
        whole.values = steps[i].kept, whole.first = 0, whole.last = steps[i].layer.results - 1;
        if (i == 0)
            for (int64_t p = 0; p <= whole.last; p++) NAME(list)(1, &whole, p);
        else {
            Map before = steps[i - 1].changes[0];
            before.values = steps[i - 1].kept, before.first = 0, before.last = steps[i - 1].layer.results - 1;
            NAME(results)(1, &steps[i].layer, &before, steps[i].sums, &whole);
        }
    }
}

/* The table rows of a group; they are fetched. */
INLINE void NAME(find_group_rows)(const Program *program, const int32_t *rows, const Group *group) {
    const int64_t number = group->last_sum + program->taps - group->first_sum;
    if (group->last_sum < group->first_sum) return;
    for (int r = 0; r < GROUP; r++) {
        int32_t *own = group->rows[r];
        memcpy(own + group->first_sum, rows + group->first_sum, number * sizeof *own);
        NAME(find_rows)(program, group->codes[r], group->first_window, group->last_window, own);
        for (int64_t w = group->first_window; w <= group->last_window; w++)
            NAME(fetch)(program, own[program->left + w]);
    }
}

/* How the looked up layers differ. */
INLINE void NAME(looked_up)(const Program *program, const Group *group, const Step *step, Map *change) {
    const int64_t pool = program->pool, width = step->width;
    change->first = group->first_sum / pool, change->last = (group->last_sum + 1) / pool - 1;
    for (int r = 0; r < GROUP; r++)
        for (int64_t p = change->first; p <= change->last; p++) {
            float *out = change->values + ((p - change->first) * GROUP + r) * width;
            NAME(gather_any)(program, group->rows[r] + p * pool, out);
            for (int64_t c = 0; c < change->channels; c += LANES) AT(out + c) -= READ(step->kept + p * width + c);
        }
}

/* How the one-hot bases differ; an N is zeros. */
INLINE void NAME(substituted)(const uint8_t *codes, const Group *group, Map *change) {
    change->first = group->first, change->last = group->last;
    for (int64_t p = change->first; p <= change->last; p++)
        for (int r = 0; r < GROUP; r++)
            for (int code = 0; code < 4; code++)
                change->values[((p - change->first) * GROUP + r) * change->width + code] =
                    (float)(code == group->codes[r][p]) - (float)(code == codes[p]);
}

/* How a layer's results differ, from the filter `column` on, from how its inputs do. Without ReLU and pooling the
   difference is a sum itself. */
INLINE void NAME(pass_columns_on)(const int vectors, int64_t column, const Map *in, const Step *step, int groups) {
    const Layer *layer = &step->layer;
    const int64_t width = step->width;
    for (int g = 0; g < groups; g++) {
        const Map *change = step->changes + g;
        for (int64_t p = change->first; p <= change->last; p++) {
            const float *sums = layer->relu ? step->sums + p * layer->pool * width : NULL;
            const float *kept = layer->relu ? step->kept + p * width : NULL;
            float *out = change->values + (p - change->first) * GROUP * width;
            NAME(results_at)(GROUP, vectors, layer, in + g, p, column, sums, width, NULL, kept, out);
        }
    }
}

INLINE void NAME(pass_on)(const Map *in, Step *step, int groups) {
    for (int g = 0; g < groups; g++) find_results(&step->layer, in + g, step->changes + g);
#define PASS_ON(vectors, column) NAME(pass_columns_on)(vectors, column, in, step, groups)
    OVER_CHANNELS(step->layer.filters, PASS_ON)
#undef PASS_ON
    for (int g = 0; g < groups; g++)
        for (int64_t p = step->changes[g].first; p <= step->changes[g].last; p++)
            NAME(list)(GROUP, step->changes + g, p);
}

/* The first changes of `number` groups from number `index` on. */
INLINE void NAME(begin)(const Program *program, const Wanted *wanted, int64_t index, int number, const int32_t *rows,
                        Group *groups, Step *step) {
    for (int g = 0, ahead = 0; g < number; g++) {
        for (; ahead < number && ahead <= g + NAME(GROUPS_AHEAD); ahead++) {
            Group *next = groups + ahead;
            if (wanted->edited) edited_group(program, wanted, (index + ahead) * GROUP, next);
            else mutated_group(wanted, (index + ahead) / halves(program), (index + ahead) % halves(program), next);
            if (!program->table) continue;
            find_windows(program, ahead ? next - 1 : groups + GROUPS - 1, next);
            NAME(find_group_rows)(program, rows, next);
        }
        Map *change = step->changes + g;
        if (program->table) NAME(looked_up)(program, groups + g, step, change);
        else NAME(substituted)(wanted->codes, groups + g, change);
        for (int64_t p = change->first; p <= change->last; p++) NAME(list)(GROUP, change, p);
    }
}

TARGET static void NAME(edits)(const Program *program, const uint8_t *codes, const uint8_t *edited, int64_t count,
                               float *room, float *out) {
    Group groups[GROUPS];
    int32_t *rows = (int32_t *)room;
    Step *steps = steps_at(program, groups_at(program, codes, room + rows_room(program), groups));
    const int64_t layers = layers_of(program), targets = steps[layers].layer.filters;
    const Wanted wanted = {codes, edited, count, targets, out};
    const int64_t number = groups_of(program, &wanted);
    NAME(keep)(program, codes, rows, steps);
    memset(out, 0, (edited ? count : program->length * 4) * targets * sizeof *out);
    for (int64_t index = 0; index < number; index += GROUPS) {
        const int together = number - index < GROUPS ? (int)(number - index) : GROUPS;
        NAME(begin)(program, &wanted, index, together, rows, groups, steps);
        for (int64_t i = 0; i < layers; i++) NAME(pass_on)(steps[i].changes, steps + i + 1, together);
        for (int g = 0; g < together; g++) {
            const Map *change = steps[layers].changes + g;
            if (change->last < change->first) continue; /* the bases reach nothing */
            for (int r = 0; r < GROUP; r++)
                memcpy(groups[g].out[r], change->values + r * change->width, targets * sizeof *out);
        }
    }
}

#endif
