/* forward.c - the convolution: sums over taps, for every position.
 *
 * Two ways to lay the product out. With many taps the lanes are output channels: weights are packed
 * into panels once, patches are read where they lie, and each panel's result is transposed into
 * place. With few taps (an image of one channel) that transposition would cost as much as the sums;
 * then the lanes are positions, the few taps are copied into columns, and the weights are read
 * where they lie.
 */
#include "kernels/conv/plan.h"

typedef struct response {
    const gm_conv_map *m;
    const gm_kernels *k;
    const float *x, *w;
    float *y;
    const gm_conv_last *last;
    int add;

    int positions_in_lanes;
    int64_t cg, og, depth, pixels, lanes; /* lanes: og, rounded up */
    gm_conv_frame frame;
    int framed;
    gm_conv_cut cut;
    gm_conv_slots slots;
    int64_t *row, *step;
    float *packed, *bias;
    int64_t panels;
} response;

static size_t prepare(response *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->m;
    gm_conv_carver c = { work, 0 };
    r->cg = m->c / m->groups;
    r->og = m->o / m->groups;
    r->depth = r->cg * m->kh * m->kw;
    r->pixels = m->oh * m->ow;
    r->lanes = gm_conv_lanes(r->og);
    r->panels = gm_conv_ceil(r->og, GM_CONV_PANEL);
    r->positions_in_lanes = gm_conv_few_taps(r->depth, r->og);
    r->step = gm_conv_carve(&c, (double)r->depth, sizeof *r->step);
    double slot;
    if (r->positions_in_lanes) {
        r->cut = gm_conv_cut_images(m->images, GM_CONV_LARGEST, 32);
        r->row = gm_conv_carve(&c, (double)r->og, sizeof *r->row);
        slot =
            (double)r->depth * (double)gm_conv_lanes(r->pixels) + (double)r->og * GM_GATHER_LANES;
    } else {
        r->cut = gm_conv_cut_images(m->images, r->pixels, 32);
        r->frame = gm_conv_image_frame(m);
        r->framed = !gm_conv_frame_fits(&r->frame);
        double batch = (double)r->cut.batch;
        r->row = gm_conv_carve(&c, batch * (double)r->pixels, sizeof *r->row);
        r->packed = gm_conv_carve(&c, (double)m->groups * (double)r->lanes * (double)r->depth,
                                  sizeof(float));
        r->bias = gm_conv_carve(&c, (double)m->groups * (double)r->lanes, sizeof(float));
        slot = batch * (double)r->pixels * GM_CONV_PANEL;
        if (r->framed) slot += batch * (double)m->c * (double)r->frame.ph * (double)r->frame.pw;
    }
    gm_conv_slots_carve(&r->slots, &c, slot, threads, r->cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_forward_work(const gm_conv_map *m, int32_t threads)
{
    response r = { .m = m };
    return prepare(&r, threads, NULL);
}

static void activate(const response *r, float *y, int64_t n)
{
    if (r->last && r->last->act != GM_UNARY_IDENTITY)
        r->k->unary(r->last->act, y, y, r->last->a, 0, n);
}

static void pack(void *arg, int64_t shard)
{
    const response *r = arg;
    int64_t g = shard / r->panels, at = shard % r->panels * GM_CONV_PANEL;
    int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->lanes - at);
    int64_t valid = gm_conv_min(lanes, r->og - at);
    float *to = r->packed + (g * r->lanes + at) * r->depth;
    if (valid < lanes) memset(to, 0, (size_t)(lanes * r->depth) * sizeof(float));
    r->k->transpose(to, lanes, r->w + (g * r->og + at) * r->depth, r->depth, valid, r->depth, 0);
    if (r->last && r->last->bias)
        for (int64_t l = 0; l < lanes; l++)
            r->bias[g * r->lanes + at + l] = l < valid ? r->last->bias[g * r->og + at + l] : 0;
}

/* A block of images, channels in lanes. */
static void block_by_channels(response *r, int64_t first, int64_t count, int32_t held, float *slot)
{
    const gm_conv_map *m = r->m;
    const float *x = r->x + first * m->c * m->h * m->w;
    float *sums = slot;
    int64_t plane = r->frame.ph * r->frame.pw;
    if (r->framed) {
        float *frame = slot + r->cut.batch * r->pixels * GM_CONV_PANEL;
        gm_conv_pad(r->k, &r->frame, &r->slots, held, r->cut.batch * m->c, frame, x, count * m->c);
        x = frame;
    }
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t at = 0; at < r->og; at += GM_CONV_PANEL) {
            int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->lanes - at);
            int64_t valid = gm_conv_min(lanes, r->og - at);
            const float *start = r->last && r->last->bias ? r->bias + g * r->lanes + at : NULL;
            r->k->gather_product(sums, lanes, x + g * r->cg * plane, r->row, count * r->pixels,
                                 r->step, r->depth, r->packed + (g * r->lanes + at) * r->depth,
                                 lanes, lanes, start, 0, 0);
            for (int64_t n = 0; n < count; n++) {
                float *y = r->y + ((first + n) * m->o + g * r->og + at) * r->pixels;
                r->k->transpose(y, r->pixels, sums + n * r->pixels * lanes, lanes, r->pixels, valid,
                                r->add);
                activate(r, y, valid * r->pixels);
            }
        }
}

/* One image, positions in lanes. */
static void image_by_positions(const response *r, int64_t n, float *slot)
{
    const gm_conv_map *m = r->m;
    int64_t ld = gm_conv_lanes(r->pixels), whole = r->pixels / GM_GATHER_LANES * GM_GATHER_LANES;
    int64_t rest = r->pixels - whole;
    float *tail = slot + r->depth * ld;
    for (int64_t g = 0; g < m->groups; g++) {
        float *y = r->y + (n * m->o + g * r->og) * r->pixels;
        const float *w = r->w + g * r->og * r->depth;
        const float *start = r->last && r->last->bias ? r->last->bias + g * r->og : NULL;
        gm_conv_columns(m, r->cg, slot, ld, r->x + (n * m->c + g * r->cg) * m->h * m->w);
        r->k->gather_product(y, r->pixels, w, r->row, r->og, r->step, r->depth, slot, ld, whole,
                             start, 1, r->add);
        if (rest)
            r->k->gather_product(tail, GM_GATHER_LANES, w, r->row, r->og, r->step, r->depth,
                                 slot + whole, ld, GM_GATHER_LANES, start, 1, 0);
        for (int64_t o = 0; rest && o < r->og; o++) {
            float *to = y + o * r->pixels + whole;
            for (int64_t j = 0; j < rest; j++)
                to[j] = tail[o * GM_GATHER_LANES + j] + (r->add ? to[j] : 0);
        }
        activate(r, y, r->og * r->pixels);
    }
}

static void shard(void *arg, int64_t i)
{
    response *r = arg;
    int32_t held;
    float *slot = gm_conv_slot_take(&r->slots, &held);
    int64_t end = gm_conv_first_block(&r->cut, i + 1);
    for (int64_t b = gm_conv_first_block(&r->cut, i); b < end; b++) {
        int64_t first = b * r->cut.batch;
        if (r->positions_in_lanes)
            image_by_positions(r, first, slot);
        else
            block_by_channels(r, first, gm_conv_min(r->cut.batch, r->cut.images - first), held,
                              slot);
    }
    gm_conv_slot_put(&r->slots, held);
}

void gm_conv_forward(const gm_conv_place *p, const gm_conv_map *m, float *y, const float *x,
                     const float *w, const gm_conv_last *last, int add)
{
    response r = { .m = m, .k = p->kernels, .x = x, .w = w, .y = y, .last = last, .add = add };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->images || !r.pixels || !m->o) return;
    if (r.positions_in_lanes) {
        gm_conv_count(r.row, r.og, r.depth);
        gm_conv_count(r.step, r.depth, 1);
    } else {
        gm_conv_positions(m, &r.frame, r.cut.batch, m->c * r.frame.ph * r.frame.pw, r.row);
        gm_conv_taps(m, &r.frame, r.step);
        gm_team_run(p->team, m->groups * r.panels, pack, &r);
    }
    gm_team_run(p->team, r.cut.shards, shard, &r);
}
