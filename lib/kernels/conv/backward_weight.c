/* backward_weight.c - the gradient with respect to the weights: the correlation of x and y.
 *
 * The same tables of offsets as the convolution's, with rows and depth exchanged: a row of the
 * product is a tap, the sum runs over positions, and the lanes are y's channels (y is transposed,
 * image by image). With few taps they are the lanes, and y is read where it lies. Each shard of
 * images has its own sums; they are added in order at the end.
 */
#include "kernels/conv/plan.h"

#define SUMS_BYTES ((double)(2 << 20)) /* of all shards together, as long as there are 4 */

typedef struct backward_weight {
    gm_conv_form f;
    float *w;
    const float *x, *y;
    int taps_in_lanes;
    int64_t depth;
    float *sums;  /* [shards][each] */
    int64_t each; /* floats of one shard's */
} backward_weight;

static size_t prepare(backward_weight *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->f.m;
    gm_conv_carver c = { work, 0 };
    gm_conv_form_begin(&r->f);
    r->depth = r->f.cg * m->kh * m->kw;
    r->taps_in_lanes = gm_conv_few_taps(r->depth, r->f.og);
    r->f.lanes = gm_conv_lanes(r->taps_in_lanes ? r->depth : r->f.og);
    r->f.panels = gm_conv_ceil(r->f.og, GM_CONV_PANEL);
    double each =
        (double)m->groups * (double)r->f.lanes * (double)(r->taps_in_lanes ? r->f.og : r->depth);
    double most = SUMS_BYTES / (sizeof(float) * (each + 1));
    r->f.cut = gm_conv_cut_images(m->images, r->f.pixels,
                                  most < 4    ? 4
                                  : most > 16 ? 16
                                              : (int64_t)most);
    double batch = (double)r->f.cut.batch, slot;
    r->f.step = gm_conv_carve(&c, batch * (double)r->f.pixels, sizeof *r->f.step);
    r->f.row = gm_conv_carve(&c, (double)(r->taps_in_lanes ? r->f.og : r->depth), sizeof *r->f.row);
    r->sums = gm_conv_carve(&c, each * (double)r->f.cut.shards, sizeof(float));
    r->each = r->sums ? (int64_t)each : 0;
    if (r->taps_in_lanes) {
        slot = (batch + 1) * (double)r->f.pixels * (double)r->f.lanes;
    } else {
        r->f.frame = gm_conv_image_frame(m);
        r->f.framed = !gm_conv_frame_fits(&r->f.frame);
        slot = batch * (double)r->f.pixels * GM_CONV_PANEL;
        if (r->f.framed)
            slot += batch * (double)m->c * (double)r->f.frame.ph * (double)r->f.frame.pw;
    }
    gm_conv_slots_carve(&r->f.slots, &c, slot, threads, r->f.cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_backward_weight_work(const gm_conv_map *m, int32_t threads)
{
    backward_weight r = { .f = { .m = m } };
    return prepare(&r, threads, NULL);
}

static void block_by_channels(backward_weight *r, const gm_conv_block *b, float *sums)
{
    const gm_conv_map *m = r->f.m;
    int64_t first = b->first, count = b->count, plane = r->f.frame.ph * r->f.frame.pw;
    float *slot = b->work, *frame = b->work + r->f.cut.batch * r->f.pixels * GM_CONV_PANEL;
    const float *x =
        gm_conv_framed(&r->f, b->slot, m->c, frame, r->x + first * m->c * m->h * m->w, count);
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t at = 0; at < r->f.og; at += GM_CONV_PANEL) {
            int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->f.lanes - at);
            int64_t valid = gm_conv_min(lanes, r->f.og - at);
            if (valid < lanes)
                memset(slot, 0, (size_t)(count * r->f.pixels * lanes) * sizeof(float));
            for (int64_t n = 0; n < count; n++)
                r->f.k->transpose(slot + n * r->f.pixels * lanes, lanes,
                                  r->y + ((first + n) * m->o + g * r->f.og + at) * r->f.pixels,
                                  r->f.pixels, valid, r->f.pixels, 0);
            r->f.k->gather_product(sums + (g * r->f.lanes + at) * r->depth, lanes,
                                   x + g * r->f.cg * plane, r->f.row, r->depth, r->f.step,
                                   count * r->f.pixels, slot, lanes, lanes, NULL, 0, b->later);
        }
}

static void block_by_taps(const backward_weight *r, const gm_conv_block *b, float *sums)
{
    const gm_conv_map *m = r->f.m;
    int64_t first = b->first, count = b->count;
    float *slot = b->work;
    float *columns = slot + r->f.cut.batch * r->f.pixels * r->f.lanes;
    memset(columns + r->depth * r->f.pixels, 0,
           (size_t)((r->f.lanes - r->depth) * r->f.pixels) * sizeof(float));
    for (int64_t g = 0; g < m->groups; g++) {
        for (int64_t n = 0; n < count; n++) {
            float *rows = slot + n * r->f.pixels * r->f.lanes;
            gm_conv_columns(m, r->f.cg, columns, r->f.pixels,
                            r->x + ((first + n) * m->c + g * r->f.cg) * m->h * m->w);
            r->f.k->transpose(rows, r->f.lanes, columns, r->f.pixels, r->f.lanes, r->f.pixels, 0);
        }
        r->f.k->gather_product(sums + g * r->f.og * r->f.lanes, r->f.lanes,
                               r->y + (first * m->o + g * r->f.og) * r->f.pixels, r->f.row, r->f.og,
                               r->f.step, count * r->f.pixels, slot, r->f.lanes, r->f.lanes, NULL,
                               0, b->later);
    }
}

static void block(void *form, const gm_conv_block *b)
{
    backward_weight *r = form;
    float *sums = r->sums + b->shard * r->each;
    if (r->taps_in_lanes)
        block_by_taps(r, b, sums);
    else
        block_by_channels(r, b, sums);
}

static void reduce(void *arg, int64_t begin, int64_t end)
{
    const backward_weight *r = arg;
    for (int64_t s = 1; s < r->f.cut.shards; s++)
        r->f.k->accumulate(r->sums + begin, r->sums + s * r->each + begin, end - begin, 1);
}

static void store(void *arg, int64_t i)
{
    const backward_weight *r = arg;
    int64_t g = i / r->f.panels, at = i % r->f.panels * GM_CONV_PANEL;
    int64_t valid = gm_conv_min(GM_CONV_PANEL, r->f.og - at);
    float *w = r->w + (g * r->f.og + at) * r->depth;
    if (r->taps_in_lanes) {
        for (int64_t o = 0; o < valid; o++)
            r->f.k->accumulate(w + o * r->depth, r->sums + (g * r->f.og + at + o) * r->f.lanes,
                               r->depth, r->f.add);
    } else {
        r->f.k->transpose(w, r->depth, r->sums + (g * r->f.lanes + at) * r->depth,
                          gm_conv_min(GM_CONV_PANEL, r->f.lanes - at), r->depth, valid, r->f.add);
    }
}

void gm_conv_backward_weight(const gm_conv_place *p, const gm_conv_map *m, float *w, const float *x,
                             const float *y, int add)
{
    backward_weight r = { .f = { .m = m, .k = p->kernels, .add = add }, .w = w, .x = x, .y = y };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->o || !r.depth) return;
    if (!m->images || !r.f.pixels) { /* a sum over nothing */
        if (!add) p->kernels->fill(w, 0, m->o * r.depth);
        return;
    }
    if (r.taps_in_lanes) {
        gm_conv_count(r.f.row, r.f.og, r.f.pixels);
        for (int64_t n = 0; n < r.f.cut.batch; n++)
            for (int64_t i = 0; i < r.f.pixels; i++)
                r.f.step[n * r.f.pixels + i] = n * m->o * r.f.pixels + i;
    } else {
        gm_conv_positions(m, &r.f.frame, r.f.cut.batch, m->c * r.f.frame.ph * r.f.frame.pw,
                          r.f.step);
        gm_conv_taps(m, &r.f.frame, r.f.row);
    }
    gm_conv_run(p->team, &r.f.cut, &r.f.slots, block, &r);
    gm_team_range(p->team, r.each, 16384, reduce, &r);
    gm_team_run(p->team, m->groups * r.f.panels, store, &r);
}

typedef struct bias_job {
    const gm_kernels *k;
    int64_t images, channels, pixels;
    float *db;
    const float *y;
    int add;
} bias_job;

static void bias_range(void *arg, int64_t begin, int64_t end)
{
    const bias_job *b = arg;
    for (int64_t o = begin; o < end; o++) {
        double sum = 0;
        for (int64_t n = 0; n < b->images; n++)
            sum += b->k->sum(b->y + (n * b->channels + o) * b->pixels, b->pixels);
        b->db[o] = (float)sum + (b->add ? b->db[o] : 0);
    }
}

void gm_conv_backward_bias(const gm_conv_place *p, int64_t images, int64_t channels, int64_t pixels,
                           float *db, const float *y, int add)
{
    bias_job job = { p->kernels, images, channels, pixels, db, y, add };
    int64_t each = images * pixels, grain = each > 0 && each < 16384 ? 16384 / each : 1;
    gm_team_range(p->team, channels, grain, bias_range, &job);
}
