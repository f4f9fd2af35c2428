/* backward_weight.c - the gradient with respect to the weights: the correlation of x and y.
 *
 * The same tables of offsets as the convolution's, with rows and depth exchanged: a row of the
 * product is a tap, the sum runs over positions, and the lanes are y's channels (y is transposed,
 * image by image). With few taps they are the lanes, and y is read where it lies. Each shard of
 * images has its own sums; they are added in order at the end.
 */
#include "kernels/conv/plan.h"

#define SUMS_BYTES ((double)(2 << 20)) /* of all shards together, as long as there are 4 */

typedef struct weight {
    const gm_conv_map *m;
    const gm_kernels *k;
    float *w;
    const float *x, *y;
    int add;

    int taps_in_lanes;
    int64_t cg, og, depth, pixels, lanes, panels;
    gm_conv_frame frame;
    int framed;
    gm_conv_cut cut;
    gm_conv_slots slots;
    int64_t *row, *step;
    float *sums;  /* [shards][each] */
    int64_t each; /* floats of one shard's */
} weight;

static size_t prepare(weight *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->m;
    gm_conv_carver c = { work, 0 };
    r->cg = m->c / m->groups;
    r->og = m->o / m->groups;
    r->depth = r->cg * m->kh * m->kw;
    r->pixels = m->oh * m->ow;
    r->taps_in_lanes = gm_conv_few_taps(r->depth, r->og);
    r->lanes = gm_conv_lanes(r->taps_in_lanes ? r->depth : r->og);
    r->panels = gm_conv_ceil(r->og, GM_CONV_PANEL);
    double each =
        (double)m->groups * (double)r->lanes * (double)(r->taps_in_lanes ? r->og : r->depth);
    double most = SUMS_BYTES / (sizeof(float) * (each + 1));
    r->cut = gm_conv_cut_images(m->images, r->pixels,
                                most < 4    ? 4
                                : most > 16 ? 16
                                            : (int64_t)most);
    double batch = (double)r->cut.batch, slot;
    r->step = gm_conv_carve(&c, batch * (double)r->pixels, sizeof *r->step);
    r->row = gm_conv_carve(&c, (double)(r->taps_in_lanes ? r->og : r->depth), sizeof *r->row);
    r->sums = gm_conv_carve(&c, each * (double)r->cut.shards, sizeof(float));
    r->each = r->sums ? (int64_t)each : 0;
    if (r->taps_in_lanes) {
        slot = (batch + 1) * (double)r->pixels * (double)r->lanes;
    } else {
        r->frame = gm_conv_image_frame(m);
        r->framed = !gm_conv_frame_fits(&r->frame);
        slot = batch * (double)r->pixels * GM_CONV_PANEL;
        if (r->framed) slot += batch * (double)m->c * (double)r->frame.ph * (double)r->frame.pw;
    }
    gm_conv_slots_carve(&r->slots, &c, slot, threads, r->cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_backward_weight_work(const gm_conv_map *m, int32_t threads)
{
    weight r = { .m = m };
    return prepare(&r, threads, NULL);
}

static void block_by_channels(weight *r, int64_t first, int64_t count, int32_t held, float *slot,
                              float *sums, int add)
{
    const gm_conv_map *m = r->m;
    const float *x = r->x + first * m->c * m->h * m->w;
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
            if (valid < lanes) memset(slot, 0, (size_t)(count * r->pixels * lanes) * sizeof(float));
            for (int64_t n = 0; n < count; n++)
                r->k->transpose(slot + n * r->pixels * lanes, lanes,
                                r->y + ((first + n) * m->o + g * r->og + at) * r->pixels, r->pixels,
                                valid, r->pixels, 0);
            r->k->gather_product(sums + (g * r->lanes + at) * r->depth, lanes,
                                 x + g * r->cg * plane, r->row, r->depth, r->step,
                                 count * r->pixels, slot, lanes, lanes, NULL, 0, add);
        }
}

static void block_by_taps(const weight *r, int64_t first, int64_t count, float *slot, float *sums,
                          int add)
{
    const gm_conv_map *m = r->m;
    float *columns = slot + r->cut.batch * r->pixels * r->lanes;
    memset(columns + r->depth * r->pixels, 0,
           (size_t)((r->lanes - r->depth) * r->pixels) * sizeof(float));
    for (int64_t g = 0; g < m->groups; g++) {
        for (int64_t n = 0; n < count; n++) {
            float *rows = slot + n * r->pixels * r->lanes;
            gm_conv_columns(m, r->cg, columns, r->pixels,
                            r->x + ((first + n) * m->c + g * r->cg) * m->h * m->w);
            r->k->transpose(rows, r->lanes, columns, r->pixels, r->lanes, r->pixels, 0);
        }
        r->k->gather_product(sums + g * r->og * r->lanes, r->lanes,
                             r->y + (first * m->o + g * r->og) * r->pixels, r->row, r->og, r->step,
                             count * r->pixels, slot, r->lanes, r->lanes, NULL, 0, add);
    }
}

static void shard(void *arg, int64_t i)
{
    weight *r = arg;
    int32_t held;
    float *slot = gm_conv_slot_take(&r->slots, &held), *sums = r->sums + i * r->each;
    int64_t begin = gm_conv_first_block(&r->cut, i), end = gm_conv_first_block(&r->cut, i + 1);
    for (int64_t b = begin; b < end; b++) {
        int64_t first = b * r->cut.batch;
        int64_t count = gm_conv_min(r->cut.batch, r->cut.images - first);
        if (r->taps_in_lanes)
            block_by_taps(r, first, count, slot, sums, b > begin);
        else
            block_by_channels(r, first, count, held, slot, sums, b > begin);
    }
    gm_conv_slot_put(&r->slots, held);
}

static void reduce(void *arg, int64_t begin, int64_t end)
{
    const weight *r = arg;
    for (int64_t s = 1; s < r->cut.shards; s++)
        r->k->accumulate(r->sums + begin, r->sums + s * r->each + begin, end - begin, 1);
}

static void store(void *arg, int64_t i)
{
    const weight *r = arg;
    int64_t g = i / r->panels, at = i % r->panels * GM_CONV_PANEL;
    int64_t valid = gm_conv_min(GM_CONV_PANEL, r->og - at);
    float *w = r->w + (g * r->og + at) * r->depth;
    if (r->taps_in_lanes) {
        for (int64_t o = 0; o < valid; o++)
            r->k->accumulate(w + o * r->depth, r->sums + (g * r->og + at + o) * r->lanes, r->depth,
                             r->add);
    } else {
        r->k->transpose(w, r->depth, r->sums + (g * r->lanes + at) * r->depth,
                        gm_conv_min(GM_CONV_PANEL, r->lanes - at), r->depth, valid, r->add);
    }
}

void gm_conv_backward_weight(const gm_conv_place *p, const gm_conv_map *m, float *w, const float *x,
                             const float *y, int add)
{
    weight r = { .m = m, .k = p->kernels, .w = w, .x = x, .y = y, .add = add };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->o || !r.depth) return;
    if (!m->images || !r.pixels) { /* a sum over nothing */
        if (!add) p->kernels->fill(w, 0, m->o * r.depth);
        return;
    }
    if (r.taps_in_lanes) {
        gm_conv_count(r.row, r.og, r.pixels);
        for (int64_t n = 0; n < r.cut.batch; n++)
            for (int64_t i = 0; i < r.pixels; i++)
                r.step[n * r.pixels + i] = n * m->o * r.pixels + i;
    } else {
        gm_conv_positions(m, &r.frame, r.cut.batch, m->c * r.frame.ph * r.frame.pw, r.step);
        gm_conv_taps(m, &r.frame, r.row);
    }
    gm_team_run(p->team, r.cut.shards, shard, &r);
    gm_team_range(p->team, r.each, 16384, reduce, &r);
    gm_team_run(p->team, m->groups * r.panels, store, &r);
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
