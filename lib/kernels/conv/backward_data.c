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

typedef struct backward_data {
    gm_conv_form f; /* the frame is of y */
    float *x;
    const float *y, *w;
    int positions_in_lanes;
    int64_t taps, area;
    int64_t phases_h, phases_w;
    phase *phases;
    int64_t *source;
    float *packed, *bias;
} backward_data;

static void prepare_frame(backward_data *r)
{
    const gm_conv_map *m = r->f.m;
    r->f.frame.h = m->oh;
    r->f.frame.w = m->ow;
    r->f.frame.top = (m->kh - 1) * m->dh / m->sh;
    r->f.frame.left = (m->kw - 1) * m->dw / m->sw;
    /* The last row of y that is asked for, and those that are there. */
    int64_t last_h = (m->h - 1 + m->ph) / m->sh, last_w = (m->w - 1 + m->pw) / m->sw;
    r->f.frame.ph = r->f.frame.top + (last_h + 1 > m->oh ? last_h + 1 : m->oh);
    r->f.frame.pw = r->f.frame.left + (last_w + 1 > m->ow ? last_w + 1 : m->ow);
    r->f.framed = !gm_conv_frame_fits(&r->f.frame);
}

static size_t prepare(backward_data *r, int32_t threads, void *work)
{
    const gm_conv_map *m = r->f.m;
    gm_conv_carver c = { work, 0 };
    gm_conv_form_begin(&r->f);
    r->taps = m->kh * m->kw;
    r->area = m->h * m->w;
    r->f.lanes = gm_conv_lanes(r->f.cg);
    r->f.panels = gm_conv_ceil(r->f.cg, GM_CONV_PANEL);
    r->positions_in_lanes = r->f.cg < FEW_CHANNELS;
    double slot;
    if (r->positions_in_lanes) {
        double ld = (double)gm_conv_lanes(r->f.pixels);
        r->f.cut = gm_conv_cut_images(m->images, GM_CONV_LARGEST, 32);
        r->f.row = gm_conv_carve(&c, (double)r->f.cg * (double)r->taps, sizeof *r->f.row);
        r->f.step = gm_conv_carve(&c, (double)r->f.og, sizeof *r->f.step);
        slot = (double)r->f.cg * (double)r->taps * ld + (double)r->f.og * GM_GATHER_LANES;
    } else {
        r->phases_h = gm_conv_min(m->sh, m->h);
        r->phases_w = gm_conv_min(m->sw, m->w);
        double phases = (double)r->phases_h * (double)r->phases_w;
        double most = (double)gm_conv_ceil(m->h, m->sh) * (double)gm_conv_ceil(m->w, m->sw);
        r->f.cut = gm_conv_cut_images(m->images, (int64_t)most, 32);
        prepare_frame(r);
        double batch = (double)r->f.cut.batch, depth = (double)r->f.og * (double)r->taps;
        r->phases = gm_conv_carve(&c, phases, sizeof *r->phases);
        r->f.row = gm_conv_carve(&c, batch * (double)r->area, sizeof *r->f.row);
        r->f.step = gm_conv_carve(&c, depth, sizeof *r->f.step);
        r->source = gm_conv_carve(&c, depth, sizeof *r->source);
        r->packed =
            gm_conv_carve(&c, (double)m->groups * (double)r->f.lanes * depth, sizeof(float));
        r->bias = gm_conv_carve(&c, (double)m->groups * (double)r->f.lanes, sizeof(float));
        slot = (batch + 1) * most * GM_CONV_PANEL;
        if (r->f.framed)
            slot += batch * (double)m->o * (double)r->f.frame.ph * (double)r->f.frame.pw;
    }
    gm_conv_slots_carve(&r->f.slots, &c, slot, threads, r->f.cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_conv_backward_data_work(const gm_conv_map *m, int32_t threads)
{
    backward_data r = { .f = { .m = m } };
    return prepare(&r, threads, NULL);
}

/* Row i = first + t sh gets x[i] += w[a] y[(i + ph - a dh) / sh] where that is whole: a dh = r mod
 * sh with r = (i + ph) mod sh, and y's row is (first + ph) / sh + t - (a dh - r) / sh. */
static void fill_phase(backward_data *r, phase *p)
{
    const gm_conv_map *m = r->f.m;
    const gm_conv_frame *f = &r->f.frame;
    int64_t rest_h = (p->i + m->ph) % m->sh, rest_w = (p->j + m->pw) % m->sw;
    int64_t *row = r->f.row + p->row, *step = r->f.step + p->step, *source = r->source + p->step;
    for (int64_t n = 0; n < r->f.cut.batch; n++)
        for (int64_t i = 0; i < p->rows; i++)
            for (int64_t j = 0; j < p->cols; j++)
                *row++ = (n * m->o * f->ph + f->top + (p->i + m->ph) / m->sh + i) * f->pw +
                         f->left + (p->j + m->pw) / m->sw + j;
    p->depth = 0;
    for (int64_t o = 0; o < r->f.og; o++)
        for (int64_t a = 0; a < m->kh; a++) {
            if (a * m->dh % m->sh != rest_h) continue;
            for (int64_t b = 0; b < m->kw; b++) {
                if (b * m->dw % m->sw != rest_w) continue;
                step[p->depth] = (o * f->ph - (a * m->dh - rest_h) / m->sh) * f->pw -
                                 (b * m->dw - rest_w) / m->sw;
                source[p->depth++] = o * r->f.cg * r->taps + a * m->kw + b;
            }
        }
}

static void fill_phases(backward_data *r)
{
    const gm_conv_map *m = r->f.m;
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
            row += r->f.cut.batch * p->rows * p->cols;
            step += p->depth;
        }
}

/* A panel of channels, phase by phase: to[step][lane]. */
static void pack(void *arg, int64_t shard)
{
    const backward_data *r = arg;
    int64_t g = shard / r->f.panels, at = shard % r->f.panels * GM_CONV_PANEL;
    int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->f.lanes - at);
    int64_t valid = gm_conv_min(lanes, r->f.cg - at), taps = r->taps;
    float *to = r->packed + (g * r->f.lanes + at) * r->f.og * taps;
    const phase *last = &r->phases[r->phases_h * r->phases_w - 1];
    int64_t steps = last->step + last->depth;
    for (int64_t s = 0; s < steps; s++, to += lanes) {
        const float *w = r->w + (g * r->f.og * r->f.cg + at) * taps + r->source[s];
        for (int64_t l = 0; l < valid; l++) to[l] = w[l * taps];
        for (int64_t l = valid; l < lanes; l++) to[l] = 0;
    }
    if (r->f.last && r->f.last->bias)
        for (int64_t l = 0; l < lanes; l++)
            r->bias[g * r->f.lanes + at + l] =
                l < valid ? r->f.last->bias[g * r->f.cg + at + l] : 0;
}

/* sums [positions of the phase][lanes] into every sh-th row and sw-th column of `valid` planes. */
static void place(const backward_data *r, const phase *p, float *x, const float *sums,
                  int64_t lanes, int64_t valid, float *scratch)
{
    const gm_conv_map *m = r->f.m;
    int64_t positions = p->rows * p->cols, sw = m->sw;
    if (m->sh == 1 && sw == 1) {
        r->f.k->transpose(x, r->area, sums, lanes, positions, valid, r->f.add);
        return;
    }
    r->f.k->transpose(scratch, positions, sums, lanes, positions, valid, 0);
    for (int64_t c = 0; c < valid; c++, x += r->area)
        for (int64_t i = 0; i < p->rows; i++, scratch += p->cols) {
            float *to = x + (p->i + i * m->sh) * m->w + p->j;
            if (r->f.add)
                for (int64_t j = 0; j < p->cols; j++) to[j * sw] += scratch[j];
            else if (sw == 2)
                for (int64_t j = 0; j < p->cols; j++) to[2 * j] = scratch[j];
            else
                for (int64_t j = 0; j < p->cols; j++) to[j * sw] = scratch[j];
        }
}

static void block_by_channels(backward_data *r, const gm_conv_block *b)
{
    int64_t first = b->first, count = b->count;
    const gm_conv_map *m = r->f.m;
    int64_t most = gm_conv_ceil(m->h, m->sh) * gm_conv_ceil(m->w, m->sw) * GM_CONV_PANEL;
    int64_t plane = r->f.frame.ph * r->f.frame.pw, steps = r->f.og * r->taps;
    float *sums = b->work, *scratch = b->work + r->f.cut.batch * most;
    const float *y = gm_conv_framed(&r->f, b->slot, m->o, scratch + most,
                                    r->y + first * m->o * r->f.pixels, count);
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t at = 0; at < r->f.cg; at += GM_CONV_PANEL) {
            int64_t lanes = gm_conv_min(GM_CONV_PANEL, r->f.lanes - at);
            int64_t valid = gm_conv_min(lanes, r->f.cg - at);
            const float *start =
                r->f.last && r->f.last->bias ? r->bias + g * r->f.lanes + at : NULL;
            const float *packed = r->packed + (g * r->f.lanes + at) * steps;
            float *x = r->x + (first * m->c + g * r->f.cg + at) * r->area;
            for (int64_t i = 0; i < r->phases_h * r->phases_w; i++) {
                const phase *p = &r->phases[i];
                int64_t positions = p->rows * p->cols;
                r->f.k->gather_product(sums, lanes, y + g * r->f.og * plane, r->f.row + p->row,
                                       count * positions, r->f.step + p->step, p->depth,
                                       packed + p->step * lanes, lanes, lanes, start, 0, 0);
                for (int64_t n = 0; n < count; n++)
                    place(r, p, x + n * m->c * r->area, sums + n * positions * lanes, lanes, valid,
                          scratch);
            }
            for (int64_t n = 0; n < count; n++)
                gm_conv_activate(&r->f, x + n * m->c * r->area, valid * r->area);
        }
}

static void image_by_positions(const backward_data *r, int64_t n, float *slot)
{
    const gm_conv_map *m = r->f.m;
    int64_t ld = gm_conv_lanes(r->f.pixels),
            whole = r->f.pixels / GM_GATHER_LANES * GM_GATHER_LANES;
    int64_t rest = r->f.pixels - whole, rows = r->f.cg * r->taps;
    float *tail = slot + rows * ld;
    for (int64_t g = 0; g < m->groups; g++) {
        const float *w = r->w + g * r->f.og * rows;
        const float *y = r->y + (n * m->o + g * r->f.og) * r->f.pixels;
        float *x = r->x + (n * m->c + g * r->f.cg) * r->area;
        r->f.k->gather_product(slot, ld, w, r->f.row, rows, r->f.step, r->f.og, y, r->f.pixels,
                               whole, NULL, 0, 0);
        if (rest) {
            for (int64_t o = 0; o < r->f.og; o++)
                for (int64_t j = 0; j < GM_GATHER_LANES; j++)
                    tail[o * GM_GATHER_LANES + j] = j < rest ? y[o * r->f.pixels + whole + j] : 0;
            r->f.k->gather_product(slot + whole, ld, w, r->f.row, rows, r->f.step, r->f.og, tail,
                                   GM_GATHER_LANES, GM_GATHER_LANES, NULL, 0, 0);
        }
        for (int64_t c = 0; !r->f.add && c < r->f.cg; c++)
            r->f.k->fill(x + c * r->area,
                         r->f.last && r->f.last->bias ? r->f.last->bias[g * r->f.cg + c] : 0,
                         r->area);
        gm_conv_fold(m, r->f.cg, x, slot, ld);
        gm_conv_activate(&r->f, x, r->f.cg * r->area);
    }
}

static void block(void *form, const gm_conv_block *b)
{
    backward_data *r = form;
    if (r->positions_in_lanes)
        image_by_positions(r, b->first, b->work);
    else
        block_by_channels(r, b);
}

void gm_conv_backward_data(const gm_conv_place *p, const gm_conv_map *m, float *x, const float *y,
                           const float *w, const gm_conv_last *last, int add)
{
    backward_data r = {
        .f = { .m = m, .k = p->kernels, .last = last, .add = add }, .x = x, .y = y, .w = w
    };
    (void)prepare(&r, gm_team_threads(p->team), p->work);
    if (!m->images || !r.area || !m->c) return;
    if (r.positions_in_lanes) {
        gm_conv_count(r.f.row, r.f.cg * r.taps, 1);
        gm_conv_count(r.f.step, r.f.og, r.f.cg * r.taps);
    } else {
        fill_phases(&r);
        gm_team_run(p->team, m->groups * r.f.panels, pack, &r);
    }
    gm_conv_run(p->team, &r.f.cut, &r.f.slots, block, &r);
}
