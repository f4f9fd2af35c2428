/* backward_data.c - the transposed convolution, which is also the gradient with respect to an
 * image.
 *
 * Image rows i with the same (i + ph) mod sh meet the same taps, and likewise columns: with strides
 * sh and sw the image falls into sh sw phases, each an ordinary convolution of y with the taps of
 * its phase. Nothing is multiplied by an inserted zero, nothing is added to memory twice.
 * For images of few channels, whose lanes would be mostly empty, the positions of y are the lanes
 * and the product, one row a tap, is added into the image.
 */
#include "kernels/conv/plan.h"

#define FEW_CHANNELS 8

typedef struct phase {
    int64_t i, j;       /* first row and column */
    int64_t rows, cols; /* positions */
    int64_t row, step;  /* where its offsets begin */
    int64_t depth;
} phase;

typedef struct image {
    const gm_conv_map *m;
    const gm_kernels *k;
    float *x;
    const float *y, *w;
    const gm_conv_last *last;
    int add;

    int positions_in_lanes;
    int64_t cg, og, taps, pixels, area, lanes, panels;
    int64_t phases_h, phases_w;
    gm_conv_frame frame; /* of y */
    int framed;
    gm_conv_cut cut;
    gm_conv_slots slots;
    phase *phases;
    int64_t *row, *step, *source;
    float *packed, *bias;
} image;

static void prepare_frame(image *r)
{
    const gm_conv_map *m = r->m;
    r->frame.h = m->oh;
    r->frame.w = m->ow;
    r->frame.top = (m->kh - 1) * m->dh / m->sh;
    r->frame.left = (m->kw - 1) * m->dw / m->sw;
    /* The last row of y that is asked for, and those that are there. */
    int64_t last_h = (m->h - 1 + m->ph) / m->sh, last_w = (m->w - 1 + m->pw) / m->sw;
    r->frame.ph = r->frame.top + (last_h + 1 > m->oh ? last_h + 1 : m->oh);
    r->frame.pw = r->frame.left + (last_w + 1 > m->ow ? last_w + 1 : m->ow);
    r->framed = !gm_conv_frame_fits(&r->frame);
}

static size_t prepare(image *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->m;
    gm_conv_carver c = { work, 0 };
    r->cg = m->c / m->groups;
    r->og = m->o / m->groups;
    r->taps = m->kh * m->kw;
    r->pixels = m->oh * m->ow;
    r->area = m->h * m->w;
    r->lanes = gm_conv_lanes(r->cg);
    r->panels = gm_conv_ceil(r->cg, GM_CONV_PANEL);
    r->positions_in_lanes = r->cg < FEW_CHANNELS;
    double slot;
    if (r->positions_in_lanes) {
        double ld = (double)gm_conv_lanes(r->pixels);
        r->cut = gm_conv_cut_images(m->images, GM_CONV_LARGEST, 32);
        r->row = gm_conv_carve(&c, (double)r->cg * (double)r->taps, sizeof *r->row);
        r->step = gm_conv_carve(&c, (double)r->og, sizeof *r->step);
        slot = (double)r->cg * (double)r->taps * ld + (double)r->og * GM_GATHER_LANES;
    } else {
        r->phases_h = gm_conv_min(m->sh, m->h);
        r->phases_w = gm_conv_min(m->sw, m->w);
        double phases = (double)r->phases_h * (double)r->phases_w;
        double most = (double)gm_conv_ceil(m->h, m->sh) * (double)gm_conv_ceil(m->w, m->sw);
        r->cut = gm_conv_cut_images(m->images, (int64_t)most, 32);
        prepare_frame(r);
        double batch = (double)r->cut.batch, depth = (double)r->og * (double)r->taps;
        r->phases = gm_conv_carve(&c, phases, sizeof *r->phases);
        r->row = gm_conv_carve(&c, batch * (double)r->area, sizeof *r->row);
        r->step = gm_conv_carve(&c, depth, sizeof *r->step);
        r->source = gm_conv_carve(&c, depth, sizeof *r->source);
        r->packed = gm_conv_carve(&c, (double)m->groups * (double)r->lanes * depth, sizeof(float));
        r->bias = gm_conv_carve(&c, (double)m->groups * (double)r->lanes, sizeof(float));
        slot = (batch + 1) * most * GM_CONV_PANEL;
        if (r->framed) slot += batch * (double)m->o * (double)r->frame.ph * (double)r->frame.pw;
    }
    gm_conv_slots_carve(&r->slots, &c, slot, threads, r->cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_backward_data_work(const gm_conv_map *m, int32_t threads)
{
    image r = { .m = m };
    return prepare(&r, threads, NULL);
}

/* Row i = first + t sh gets x[i] += w[a] y[(i + ph - a dh) / sh] where that is whole: a dh = r mod
 * sh with r = (i + ph) mod sh, and y's row is (first + ph) / sh + t - (a dh - r) / sh. */
static void fill_phase(image *r, phase *p)
{
    const gm_conv_map *m = r->m;
    const gm_conv_frame *f = &r->frame;
    int64_t rest_h = (p->i + m->ph) % m->sh, rest_w = (p->j + m->pw) % m->sw;
    int64_t *row = r->row + p->row, *step = r->step + p->step, *source = r->source + p->step;
    for (int64_t n = 0; n < r->cut.batch; n++)
        for (int64_t i = 0; i < p->rows; i++)
            for (int64_t j = 0; j < p->cols; j++)
                *row++ = (n * m->o * f->ph + f->top + (p->i + m->ph) / m->sh + i) * f->pw +
                         f->left + (p->j + m->pw) / m->sw + j;
    p->depth = 0;
    for (int64_t o = 0; o < r->og; o++)
        for (int64_t a = 0; a < m->kh; a++) {
            if (a * m->dh % m->sh != rest_h) continue;
            for (int64_t b = 0; b < m->kw; b++) {
                if (b * m->dw % m->sw != rest_w) continue;
                step[p->depth] = (o * f->ph - (a * m->dh - rest_h) / m->sh) * f->pw -
                                 (b * m->dw - rest_w) / m->sw;
                source[p->depth++] = o * r->cg * r->taps + a * m->kw + b;
            }
        }
}

static void fill_phases(image *r)
{
    const gm_conv_map *m = r->m;
    int64_t row = 0, step = 0;
    for (int64_t i = 0; i < r->phases_h; i++)
        for (int64_t j = 0; j < r->phases_w; j++) {
            phase *p = &r->phases[i * r->phases_w + j];
            p->i = i;
            p->j = j;
            p->rows = gm_conv_ceil(m->h - i, m->sh);
            p->cols = gm_conv_ceil(m->w - j, m->sw);
            p->row = row;
            p->step = step;
            fill_phase(r, p);
            row += r->cut.batch * p->rows * p->cols;
            step += p->depth;
        }
}

/* A panel of channels, phase by phase: to[step][lane]. */
static void pack(void *arg, int64_t shard)
{
    const image *r = arg;
    int64_t g = shard / r->panels, at = shard % r->panels * GM_CONV_PANEL;
    int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->lanes - at);
    int64_t valid = gm_conv_min(lanes, r->cg - at), taps = r->taps;
    float *to = r->packed + (g * r->lanes + at) * r->og * taps;
    const phase *last = &r->phases[r->phases_h * r->phases_w - 1];
    int64_t steps = last->step + last->depth;
    for (int64_t s = 0; s < steps; s++, to += lanes) {
        const float *w = r->w + (g * r->og * r->cg + at) * taps + r->source[s];
        for (int64_t l = 0; l < valid; l++) to[l] = w[l * taps];
        for (int64_t l = valid; l < lanes; l++) to[l] = 0;
    }
    if (r->last && r->last->bias)
        for (int64_t l = 0; l < lanes; l++)
            r->bias[g * r->lanes + at + l] = l < valid ? r->last->bias[g * r->cg + at + l] : 0;
}

/* sums [positions of the phase][lanes] into every sh-th row and sw-th column of `valid` planes. */
static void place(const image *r, const phase *p, float *x, const float *sums, int64_t lanes,
                  int64_t valid, float *scratch)
{
    const gm_conv_map *m = r->m;
    int64_t positions = p->rows * p->cols, sw = m->sw;
    if (m->sh == 1 && sw == 1) {
        r->k->transpose(x, r->area, sums, lanes, positions, valid, r->add);
        return;
    }
    r->k->transpose(scratch, positions, sums, lanes, positions, valid, 0);
    for (int64_t c = 0; c < valid; c++, x += r->area)
        for (int64_t i = 0; i < p->rows; i++, scratch += p->cols) {
            float *to = x + (p->i + i * m->sh) * m->w + p->j;
            if (r->add)
                for (int64_t j = 0; j < p->cols; j++) to[j * sw] += scratch[j];
            else if (sw == 2)
                for (int64_t j = 0; j < p->cols; j++) to[2 * j] = scratch[j];
            else
                for (int64_t j = 0; j < p->cols; j++) to[j * sw] = scratch[j];
        }
}

static void activate(const image *r, float *x, int64_t n)
{
    if (r->last && r->last->act != GM_UNARY_IDENTITY)
        r->k->unary(r->last->act, x, x, r->last->a, 0, n);
}

static void block_by_channels(image *r, int64_t first, int64_t count, int32_t held, float *slot)
{
    const gm_conv_map *m = r->m;
    const float *y = r->y + first * m->o * r->pixels;
    int64_t most = gm_conv_ceil(m->h, m->sh) * gm_conv_ceil(m->w, m->sw) * GM_CONV_PANEL;
    int64_t plane = r->frame.ph * r->frame.pw, steps = r->og * r->taps;
    float *sums = slot, *scratch = slot + r->cut.batch * most;
    if (r->framed) {
        gm_conv_pad(r->k, &r->frame, &r->slots, held, r->cut.batch * m->o, scratch + most, y,
                    count * m->o);
        y = scratch + most;
    }
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t at = 0; at < r->cg; at += GM_CONV_PANEL) {
            int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->lanes - at);
            int64_t valid = gm_conv_min(lanes, r->cg - at);
            const float *start = r->last && r->last->bias ? r->bias + g * r->lanes + at : NULL;
            const float *packed = r->packed + (g * r->lanes + at) * steps;
            float *x = r->x + (first * m->c + g * r->cg + at) * r->area;
            for (int64_t i = 0; i < r->phases_h * r->phases_w; i++) {
                const phase *p = &r->phases[i];
                int64_t positions = p->rows * p->cols;
                r->k->gather_product(sums, lanes, y + g * r->og * plane, r->row + p->row,
                                     count * positions, r->step + p->step, p->depth,
                                     packed + p->step * lanes, lanes, lanes, start, 0, 0);
                for (int64_t n = 0; n < count; n++)
                    place(r, p, x + n * m->c * r->area, sums + n * positions * lanes, lanes, valid,
                          scratch);
            }
            for (int64_t n = 0; n < count; n++)
                activate(r, x + n * m->c * r->area, valid * r->area);
        }
}

static void image_by_positions(const image *r, int64_t n, float *slot)
{
    const gm_conv_map *m = r->m;
    int64_t ld = gm_conv_lanes(r->pixels), whole = r->pixels / GM_GATHER_LANES * GM_GATHER_LANES;
    int64_t rest = r->pixels - whole, rows = r->cg * r->taps;
    float *tail = slot + rows * ld;
    for (int64_t g = 0; g < m->groups; g++) {
        const float *w = r->w + g * r->og * rows;
        const float *y = r->y + (n * m->o + g * r->og) * r->pixels;
        float *x = r->x + (n * m->c + g * r->cg) * r->area;
        r->k->gather_product(slot, ld, w, r->row, rows, r->step, r->og, y, r->pixels, whole, NULL,
                             0, 0);
        if (rest) {
            for (int64_t o = 0; o < r->og; o++)
                for (int64_t j = 0; j < GM_GATHER_LANES; j++)
                    tail[o * GM_GATHER_LANES + j] = j < rest ? y[o * r->pixels + whole + j] : 0;
            r->k->gather_product(slot + whole, ld, w, r->row, rows, r->step, r->og, tail,
                                 GM_GATHER_LANES, GM_GATHER_LANES, NULL, 0, 0);
        }
        for (int64_t c = 0; !r->add && c < r->cg; c++)
            r->k->fill(x + c * r->area, r->last && r->last->bias ? r->last->bias[g * r->cg + c] : 0,
                       r->area);
        gm_conv_fold(m, r->cg, x, slot, ld);
        activate(r, x, r->cg * r->area);
    }
}

static void shard(void *arg, int64_t i)
{
    image *r = arg;
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

void gm_conv_backward_data(const gm_conv_place *p, const gm_conv_map *m, float *x, const float *y,
                           const float *w, const gm_conv_last *last, int add)
{
    image r = { .m = m, .k = p->kernels, .x = x, .y = y, .w = w, .last = last, .add = add };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->images || !r.area || !m->c) return;
    if (r.positions_in_lanes) {
        gm_conv_count(r.row, r.cg * r.taps, 1);
        gm_conv_count(r.step, r.og, r.cg * r.taps);
    } else {
        fill_phases(&r);
        gm_team_run(p->team, m->groups * r.panels, pack, &r);
    }
    gm_team_run(p->team, r.cut.shards, shard, &r);
}
