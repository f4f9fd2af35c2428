/* forward.c - the convolution: sums over taps, for every position.
 *
 * Two ways to lay the product out. With many taps the lanes are output channels: weights are packed
 * into panels once, patches are read where they lie, and each panel's result is transposed into
 * place. With few taps (an image of one channel) that transposition would cost as much as the sums;
 * then the lanes are positions, the few taps are copied into columns, and the weights are read
 * where they lie.
 */
#include "kernels/conv/plan.h"

typedef struct forward {
    gm_conv_form f;
    const float *x, *w;
    float *y;
    int positions_in_lanes;
    int64_t depth;
    float *packed, *bias;
} forward;

static size_t prepare(forward *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->f.m;
    gm_conv_carver c = { work, 0 };
    gm_conv_form_begin(&r->f);
    r->depth = r->f.cg * m->kh * m->kw;
    r->f.lanes = gm_conv_lanes(r->f.og);
    r->f.panels = gm_conv_ceil(r->f.og, GM_CONV_PANEL);
    r->positions_in_lanes = gm_conv_few_taps(r->depth, r->f.og);
    r->f.step = gm_conv_carve(&c, (double)r->depth, sizeof *r->f.step);
    double slot;
    if (r->positions_in_lanes) {
        r->f.cut = gm_conv_cut_images(m->images, GM_CONV_LARGEST, 32);
        r->f.row = gm_conv_carve(&c, (double)r->f.og, sizeof *r->f.row);
        slot = (double)r->depth * (double)gm_conv_lanes(r->f.pixels) +
               (double)r->f.og * GM_GATHER_LANES;
    } else {
        r->f.cut = gm_conv_cut_images(m->images, r->f.pixels, 32);
        r->f.frame = gm_conv_image_frame(m);
        r->f.framed = !gm_conv_frame_fits(&r->f.frame);
        double batch = (double)r->f.cut.batch;
        r->f.row = gm_conv_carve(&c, batch * (double)r->f.pixels, sizeof *r->f.row);
        r->packed = gm_conv_carve(&c, (double)m->groups * (double)r->f.lanes * (double)r->depth,
                                  sizeof(float));
        r->bias = gm_conv_carve(&c, (double)m->groups * (double)r->f.lanes, sizeof(float));
        slot = batch * (double)r->f.pixels * GM_CONV_PANEL;
        if (r->f.framed)
            slot += batch * (double)m->c * (double)r->f.frame.ph * (double)r->f.frame.pw;
    }
    gm_conv_slots_carve(&r->f.slots, &c, slot, threads, r->f.cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_forward_work(const gm_conv_map *m, int32_t threads)
{
    forward r = { .f = { .m = m } };
    return prepare(&r, threads, NULL);
}

static void pack(void *arg, int64_t shard)
{
    const forward *r = arg;
    int64_t g = shard / r->f.panels, at = shard % r->f.panels * GM_CONV_PANEL;
    int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->f.lanes - at);
    int64_t valid = gm_conv_min(lanes, r->f.og - at);
    float *to = r->packed + (g * r->f.lanes + at) * r->depth;
    if (valid < lanes) memset(to, 0, (size_t)(lanes * r->depth) * sizeof(float));
    r->f.k->transpose(to, lanes, r->w + (g * r->f.og + at) * r->depth, r->depth, valid, r->depth,
                      0);
    if (r->f.last && r->f.last->bias)
        for (int64_t l = 0; l < lanes; l++)
            r->bias[g * r->f.lanes + at + l] =
                l < valid ? r->f.last->bias[g * r->f.og + at + l] : 0;
}

/* Channels in lanes. */
static void block_by_channels(forward *r, const gm_conv_block *b)
{
    int64_t first = b->first, count = b->count;
    const gm_conv_map *m = r->f.m;
    float *sums = b->work, *frame = b->work + r->f.cut.batch * r->f.pixels * GM_CONV_PANEL;
    int64_t plane = r->f.frame.ph * r->f.frame.pw;
    const float *x =
        gm_conv_framed(&r->f, b->slot, m->c, frame, r->x + first * m->c * m->h * m->w, count);
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t at = 0; at < r->f.og; at += GM_CONV_PANEL) {
            int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->f.lanes - at);
            int64_t valid = gm_conv_min(lanes, r->f.og - at);
            const float *start =
                r->f.last && r->f.last->bias ? r->bias + g * r->f.lanes + at : NULL;
            r->f.k->gather_product(
                sums, lanes, x + g * r->f.cg * plane, r->f.row, count * r->f.pixels, r->f.step,
                r->depth, r->packed + (g * r->f.lanes + at) * r->depth, lanes, lanes, start, 0, 0);
            for (int64_t n = 0; n < count; n++) {
                float *y = r->y + ((first + n) * m->o + g * r->f.og + at) * r->f.pixels;
                r->f.k->transpose(y, r->f.pixels, sums + n * r->f.pixels * lanes, lanes,
                                  r->f.pixels, valid, r->f.add);
                gm_conv_activate(&r->f, y, valid * r->f.pixels);
            }
        }
}

/* One image, positions in lanes. */
static void image_by_positions(const forward *r, int64_t n, float *slot)
{
    const gm_conv_map *m = r->f.m;
    int64_t ld = gm_conv_lanes(r->f.pixels),
            whole = r->f.pixels / GM_GATHER_LANES * GM_GATHER_LANES;
    int64_t rest = r->f.pixels - whole;
    float *tail = slot + r->depth * ld;
    for (int64_t g = 0; g < m->groups; g++) {
        float *y = r->y + (n * m->o + g * r->f.og) * r->f.pixels;
        const float *w = r->w + g * r->f.og * r->depth;
        const float *start = r->f.last && r->f.last->bias ? r->f.last->bias + g * r->f.og : NULL;
        gm_conv_columns(m, r->f.cg, slot, ld, r->x + (n * m->c + g * r->f.cg) * m->h * m->w);
        r->f.k->gather_product(y, r->f.pixels, w, r->f.row, r->f.og, r->f.step, r->depth, slot, ld,
                               whole, start, 1, r->f.add);
        if (rest)
            r->f.k->gather_product(tail, GM_GATHER_LANES, w, r->f.row, r->f.og, r->f.step, r->depth,
                                   slot + whole, ld, GM_GATHER_LANES, start, 1, 0);
        for (int64_t o = 0; rest && o < r->f.og; o++) {
            float *to = y + o * r->f.pixels + whole;
            for (int64_t j = 0; j < rest; j++)
                to[j] = tail[o * GM_GATHER_LANES + j] + (r->f.add ? to[j] : 0);
        }
        gm_conv_activate(&r->f, y, r->f.og * r->f.pixels);
    }
}

static void block(void *form, const gm_conv_block *b)
{
    forward *r = form;
    if (r->positions_in_lanes)
        image_by_positions(r, b->first, b->work);
    else
        block_by_channels(r, b);
}

void gm_conv_forward(const gm_conv_place *p, const gm_conv_map *m, float *y, const float *x,
                     const float *w, const gm_conv_last *last, int add)
{
    forward r = {
        .f = { .m = m, .k = p->kernels, .last = last, .add = add }, .x = x, .w = w, .y = y
    };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->images || !r.f.pixels || !m->o) return;
    if (r.positions_in_lanes) {
        gm_conv_count(r.f.row, r.f.og, r.depth);
        gm_conv_count(r.f.step, r.depth, 1);
    } else {
        gm_conv_positions(m, &r.f.frame, r.f.cut.batch, m->c * r.f.frame.ph * r.f.frame.pw,
                          r.f.row);
        gm_conv_taps(m, &r.f.frame, r.f.step);
        gm_team_run(p->team, m->groups * r.f.panels, pack, &r);
    }
    gm_conv_run(p->team, &r.f.cut, &r.f.slots, block, &r);
}
