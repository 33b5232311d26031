/* The plan of a layer: the place of each array in the working memory, and the distance between its parts.

   Rows and columns are padded with zeros to whole tiles, so products need no special cases. */

#include "_trunk.h"

static void *take(Plan *plan, char *room, int64_t bytes) {
    void *at = room ? room + plan->bytes : NULL;
    plan->bytes += up(bytes, 64);
    return at;
}

Plan lay_out(const Layer *layer, char *room) {
    Plan p = {.is = *layer, .length = layer->before / POOL};
    const int64_t parts = layer->parts, window = layer->window, taps = layer->taps;
    p.rows = up(p.length, STEP);
    p.channels = up(layer->channels, STEP);
    p.filters = up(layer->filters, STEP);
    p.left = (taps - 1) / 2;
    p.shifted = up(taps - 1, 2);
    const int64_t padded = up(p.rows + taps - 1, STEP);
    p.wide = up(p.shifted + padded, STEP) + STEP;
    p.window_steps = up(window * BASES, STEP) / STEP;
    p.input_part = p.pairs_part = padded * p.channels;
    p.slopes_part = padded * p.filters;
    p.turned_part = p.filters * p.wide;
    p.routed_part = p.rows * p.channels;
    p.stem_part = p.window_steps * p.channels * POOL * STEP;
    p.weight_part = taps * p.channels * p.filters;
    if (window) {
        p.bases = take(&p, room, (POOL * p.rows + up(window, STEP)) * BASES * 2);
        p.windows = take(&p, room, p.window_steps * STEP * p.rows * 2);
        p.gates = take(&p, room, p.rows * p.channels / LANES * POOL * 2);
        for (int member = 0; member < POOL; member++) p.routed[member] = take(&p, room, parts * p.routed_part * 2);
        p.stem = take(&p, room, parts * p.stem_part * 2);
        p.stem_sums = take(&p, room, p.window_steps * STEP * p.channels * POOL * 4);
    }
    p.input = take(&p, room, parts * p.input_part * 2);
    p.pairs = take(&p, room, parts * p.pairs_part * 2);
    p.slopes = take(&p, room, parts * p.slopes_part * 2);
    p.turned = take(&p, room, parts * p.turned_part * 2);
    p.weight = take(&p, room, parts * p.weight_part * 2);
    p.reversed = take(&p, room, parts * p.weight_part * 2);
    p.weight_sums = take(&p, room, p.weight_part * 4);
    p.sums = take(&p, room, STEP * (p.channels > p.filters ? p.channels : p.filters) * 4);
    return p;
}
