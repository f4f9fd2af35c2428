/* taps.c - convolution over a list of taps, channels last. All of what a block of images needs is
 * done while they are in cache: the activation, the skip connection, and backwards all gradients
 * together. */
#include "kernels/conv/taps.h"

#include "kernels/conv/plan.h"

#define STRIP 96 /* positions whose results stay in the nearest cache until all is done to them */

typedef struct taps {
    const gm_taps_map *m;
    const gm_kernels *k;
    const float *x, *w, *bias, *skip;
    float *y;
    const gm_taps_gradients *to; /* of the way back */
    float *dy;

    int64_t pixels, depth, lanes; /* lanes: o, rounded up */
    gm_conv_frame frame;          /* of x */
    int framed;                   /* x is copied into it */
    gm_conv_cut cut;
    gm_conv_slots slots;
    int64_t *at, *tap; /* offsets in the frame of x: of positions, of taps and channels */
    float *packed,
        *start; /* weights and biases with `lanes` columns; used as they are when o has as many */
    int64_t frame_floats, sum_floats; /* of a slot */

    /* The way back only. */
    int64_t back_depth, back_lanes;
    gm_conv_frame back; /* of dy */
    int back_framed;
    int64_t *back_at, *back_tap;
    float *turned; /* weights [tap, o, back_lanes] */
    int64_t back_floats;
    float *sums, *biases; /* [shards][depth, lanes], [shards][o] */
} taps;

typedef struct reach {
    int64_t above, below, left, right;
} reach;

static reach reach_of(const gm_taps_map *m)
{
    reach r = { 0, 0, 0, 0 };
    for (int64_t t = 0; t < m->count; t++) {
        const int64_t i = m->taps[2 * t], j = m->taps[2 * t + 1];
        if (-i > r.above) r.above = -i;
        if (i > r.below) r.below = i;
        if (-j > r.left) r.left = -j;
        if (j > r.right) r.right = j;
    }
    return r;
}

static gm_conv_frame frame_of(const gm_taps_map *m, int64_t channels, int64_t above, int64_t below,
                              int64_t left, int64_t right)
{
    const gm_conv_frame f = { m->h,
                              m->w * channels,
                              above,
                              left * channels,
                              above + m->h + below,
                              (left + m->w + right) * channels };
    return f;
}

static double area(const gm_conv_frame *f)
{
    return (double)f->ph * (double)f->pw;
}

static void prepare_back(taps *r, gm_conv_carver *c, reach e, double *slot)
{
    const gm_taps_map *m = r->m;
    const double batch = (double)r->cut.batch, pixels = (double)r->pixels;
    r->back_depth = m->count * m->o;
    r->back_lanes = gm_conv_lanes(m->c);
    r->back = frame_of(m, m->o, e.below, e.above, e.right, e.left);
    r->back_framed = !gm_conv_frame_fits(&r->back);
    r->back_at = gm_conv_carve(c, batch * pixels, sizeof *r->back_at);
    r->back_tap = gm_conv_carve(c, (double)r->back_depth, sizeof *r->back_tap);
    r->turned = gm_conv_carve(c, (double)r->back_depth * (double)r->back_lanes, sizeof(float));
    r->sums = gm_conv_carve(c, (double)r->cut.shards * (double)r->depth * (double)r->lanes,
                            sizeof(float));
    r->biases = gm_conv_carve(c, (double)r->cut.shards * (double)m->o, sizeof(float));
    const double back = r->back_framed ? batch * area(&r->back) : 0;
    const double sums = STRIP * (double)r->back_lanes;
    *slot += back + sums;
    if (!c->base) return;
    r->back_floats = (int64_t)back;
}

static size_t prepare(taps *r, int32_t threads, int backward, void *work)
{
    const gm_taps_map *m = r->m;
    const reach e = reach_of(m);
    gm_conv_carver c = { work, 0 };
    r->pixels = m->h * m->w;
    r->depth = m->count * m->c;
    r->lanes = gm_conv_lanes(m->o);
    r->cut = gm_conv_cut_images(m->images, r->pixels, backward ? 16 : 32);
    r->frame = frame_of(m, m->c, e.above, e.below, e.left, e.right);
    r->framed = m->relu || !gm_conv_frame_fits(&r->frame);
    const double batch = (double)r->cut.batch, pixels = (double)r->pixels;
    r->at = gm_conv_carve(&c, batch * pixels, sizeof *r->at);
    r->tap = gm_conv_carve(&c, (double)r->depth, sizeof *r->tap);
    r->packed = gm_conv_carve(&c, (double)r->depth * (double)r->lanes, sizeof(float));
    r->start = gm_conv_carve(&c, (m->bias_stride ? (double)m->images : 1) * (double)r->lanes,
                             sizeof(float));
    const double frame = r->framed ? batch * area(&r->frame) : 0;
    const double sums = m->o != r->lanes ? batch * pixels * (double)r->lanes : 0;
    double slot = frame + sums;
    if (c.base) {
        r->frame_floats = (int64_t)frame;
        r->sum_floats = (int64_t)sums;
    }
    if (backward) prepare_back(r, &c, e, &slot);
    gm_conv_slots_carve(&r->slots, &c, slot, threads, r->cut.shards);
    return gm_conv_carved(&c);
}

size_t gm_taps_work(const gm_taps_map *m, int32_t threads, int backward)
{
    taps r = { .m = m };
    size_t forward = prepare(&r, threads, 0, NULL), back = 0;
    if (backward) back = prepare(&r, threads, 1, NULL);
    return forward > back ? forward : back;
}

/* Offsets in framed images: of the positions of `batch` images; and, with the sign of the taps, of
 * each tap's channels. */
static void fill_positions(const taps *r, const gm_conv_frame *f, int64_t channels, int64_t *to)
{
    for (int64_t n = 0; n < r->cut.batch; n++)
        for (int64_t i = 0; i < r->m->h; i++)
            for (int64_t j = 0; j < r->m->w; j++)
                *to++ = n * f->ph * f->pw + i * f->pw + j * channels;
}

static void fill_taps(const taps *r, const gm_conv_frame *f, int64_t channels, int64_t sign,
                      int64_t *to)
{
    for (int64_t t = 0; t < r->m->count; t++) {
        const int64_t i = f->top + sign * r->m->taps[2 * t];
        const int64_t j = f->left + sign * r->m->taps[2 * t + 1] * channels;
        for (int64_t c = 0; c < channels; c++) *to++ = i * f->pw + j + c;
    }
}

static void fill(taps *r, int backward)
{
    const gm_taps_map *m = r->m;
    fill_positions(r, &r->frame, m->c, r->at);
    fill_taps(r, &r->frame, m->c, 1, r->tap);
    if (!backward) return;
    fill_positions(r, &r->back, m->o, r->back_at);
    fill_taps(r, &r->back, m->o, -1, r->back_tap);
    if (m->c != r->back_lanes)
        memset(r->turned, 0, (size_t)(r->back_depth * r->back_lanes) * sizeof(float));
    for (int64_t t = 0; t < m->count; t++)
        r->k->transpose(r->turned + t * m->o * r->back_lanes, r->back_lanes, r->w + t * m->c * m->o,
                        m->o, m->c, m->o, 0);
}

/* Rows of `o` floats into rows of `lanes`, the rest zero. */
static const float *widen(const taps *r, float *to, const float *from, int64_t rows)
{
    const int64_t o = r->m->o;
    if (!from || o == r->lanes) return from;
    memset(to, 0, (size_t)(rows * r->lanes) * sizeof(float));
    r->k->copy_rows(to, r->lanes, from, o, rows, o);
    return to;
}

/* The borders of both frames are zero from a slot's first use on. */
static float *ready(taps *r, const gm_conv_block *b)
{
    if (!r->slots.framed[b->slot]) {
        memset(b->work, 0, (size_t)r->slots.floats * sizeof(float));
        r->slots.framed[b->slot] = 1;
    }
    return b->work;
}

/* f(x) of a block in its frame, or x itself. */
static const float *frame_block(taps *r, int64_t first, int64_t count, int32_t held, float *to)
{
    const gm_taps_map *m = r->m;
    const float *x = r->x + first * r->pixels * m->c;
    if (!r->framed) return x;
    gm_conv_pad(r->k, &r->frame, &r->slots, held, r->cut.batch, to, x, count);
    if (m->relu) r->k->unary(GM_UNARY_RELU, to, to, 0, 0, count * r->frame.ph * r->frame.pw);
    return to;
}

static void forward_block(void *arg, const gm_conv_block *b)
{
    taps *r = arg;
    const int64_t first = b->first, count = b->count;
    float *slot = ready(r, b);
    const gm_taps_map *m = r->m;
    const float *x = frame_block(r, first, count, b->slot, slot);
    const int64_t rows = count * r->pixels, plane = r->frame.ph * r->frame.pw;
    const int direct = m->o == r->lanes;
    float *y = r->y + first * r->pixels * m->o, *sums = direct ? y : slot + r->frame_floats;
    const float *skip = r->skip ? r->skip + first * r->pixels * m->o : NULL;
    const int64_t pieces = m->bias_stride ? count : 1, each = rows / pieces;
    for (int64_t n = 0; n < pieces; n++) {
        const float *start =
            r->bias ? r->bias + (m->bias_stride ? (first + n) * r->lanes : 0) : NULL;
        for (int64_t p = 0; p < each; p += STRIP) {
            const int64_t strip = gm_conv_min(STRIP, each - p), at = (n * each + p) * r->lanes;
            if (direct && skip) memcpy(y + at, skip + at, (size_t)(strip * m->o) * sizeof(float));
            r->k->gather_product(sums + at, r->lanes, x + n * plane, r->at + p, strip, r->tap,
                                 r->depth, r->w, r->lanes, r->lanes, start, 0, direct && skip);
            if (direct && m->act != GM_UNARY_IDENTITY)
                r->k->unary(m->act, y + at, y + at, m->a, 0, strip * m->o);
        }
    }
    if (direct) return;
    r->k->copy_rows(y, m->o, sums, r->lanes, rows, m->o);
    if (skip) r->k->accumulate(y, skip, rows * m->o, 1);
    if (m->act != GM_UNARY_IDENTITY) r->k->unary(m->act, y, y, m->a, 0, rows * m->o);
}

void gm_taps_forward(const gm_conv_place *p, const gm_taps_map *m, float *y, const float *x,
                     const float *w, const float *bias, const float *skip)
{
    taps r = { .m = m, .k = p->kernels, .x = x, .w = w, .skip = skip, .y = y };
    (void)prepare(&r, gm_team_threads(p->team), 0, p->work);
    if (!m->images || !r.pixels || !m->o) return;
    fill(&r, 0);
    r.w = widen(&r, r.packed, w, r.depth);
    r.bias = widen(&r, r.start, bias, m->bias_stride ? m->images : 1);
    gm_conv_run(p->team, &r.cut, &r.slots, forward_block, &r);
}

/* Rows of `back_lanes` sums into dx, through f. */
static void store_image(const taps *r, float *dx, float *sums, const float *x, int64_t rows)
{
    const gm_taps_map *m = r->m;
    if (m->c != r->back_lanes) /* forwards over itself: rows only get shorter */
        for (int64_t i = 0; i < rows; i++)
            memmove(sums + i * m->c, sums + i * r->back_lanes, (size_t)m->c * sizeof(float));
    if (m->relu)
        r->k->unary_grad(GM_UNARY_RELU, dx, sums, x, x, 0, 0, rows * m->c, r->to->add_x);
    else
        r->k->accumulate(dx, sums, rows * m->c, r->to->add_x);
}

/* The gradient by x of a block: sums over the taps turned around, of dy in its frame. */
static void back_image(taps *r, int64_t first, int64_t count, int32_t held, float *frame)
{
    const gm_taps_map *m = r->m;
    const float *dy = r->dy + first * r->pixels * m->o, *x = r->x + first * r->pixels * m->c;
    const int64_t rows = count * r->pixels;
    const int direct = m->c == r->back_lanes && !m->relu;
    float *dx = r->to->x + first * r->pixels * m->c, *sums = frame + r->back_floats;
    if (r->back_framed) {
        gm_conv_pad(r->k, &r->back, &r->slots, held, r->cut.batch, frame, dy, count);
        dy = frame;
    }
    for (int64_t p = 0; p < rows; p += STRIP) {
        const int64_t strip = gm_conv_min(STRIP, rows - p);
        r->k->gather_product(direct ? dx + p * m->c : sums, r->back_lanes, dy, r->back_at + p,
                             strip, r->back_tap, r->back_depth, r->turned, r->back_lanes,
                             r->back_lanes, NULL, 0, direct && r->to->add_x);
        if (!direct) store_image(r, dx + p * m->c, sums, x + p * m->c, strip);
    }
}

static void back_weight(taps *r, int64_t first, int64_t count, int32_t held, float *slot,
                        float *sums, int add)
{
    const gm_taps_map *m = r->m;
    const int64_t rows = count * r->pixels;
    const float *x = frame_block(r, first, count, held, slot);
    const float *dy = widen(r, slot + r->frame_floats, r->dy + first * r->pixels * m->o, rows);
    r->k->gather_product(sums, r->lanes, x, r->tap, r->depth, r->at, rows, dy, r->lanes, r->lanes,
                         NULL, 0, add);
}

static void back_bias(taps *r, int64_t first, int64_t count, float *sums, int add)
{
    const gm_taps_map *m = r->m;
    const float *dy = r->dy + first * r->pixels * m->o;
    if (!m->bias_stride) {
        r->k->column_sums(sums, dy, count * r->pixels, m->o, m->o, add);
        return;
    }
    for (int64_t n = 0; n < count; n++)
        r->k->column_sums(r->to->bias + (first + n) * m->o, dy + n * r->pixels * m->o, r->pixels,
                          m->o, m->o, r->to->add_bias);
}

static void back_block(void *arg, const gm_conv_block *b)
{
    taps *r = arg;
    const gm_taps_map *m = r->m;
    const int64_t first = b->first, count = b->count;
    const int64_t at = first * r->pixels * m->o, n = count * r->pixels * m->o;
    float *slot = ready(r, b), *back = slot + r->frame_floats + r->sum_floats;
    float *sums = r->sums + b->shard * r->depth * r->lanes, *bias = r->biases + b->shard * m->o;
    if (m->act != GM_UNARY_IDENTITY)
        r->k->unary_grad(m->act, r->dy + at, r->dy + at, r->y + at, r->y + at, m->a, 0, n, 0);
    if (r->to->bias) back_bias(r, first, count, bias, b->later);
    if (r->to->w) back_weight(r, first, count, b->slot, slot, sums, b->later);
    if (r->to->x) back_image(r, first, count, b->slot, back);
    if (r->to->skip) r->k->accumulate(r->to->skip + at, r->dy + at, n, r->to->add_skip);
}

static void reduce(void *arg, int64_t begin, int64_t end)
{
    const taps *r = arg;
    for (int64_t s = 1; s < r->cut.shards; s++)
        r->k->accumulate(r->sums + begin, r->sums + s * r->depth * r->lanes + begin, end - begin,
                         1);
}

/* Sums over nothing. */
static void back_nothing(const taps *r)
{
    const gm_taps_map *m = r->m;
    const gm_taps_gradients *to = r->to;
    if (to->w && !to->add_w) r->k->fill(to->w, 0, r->depth * m->o);
    if (to->bias && !to->add_bias)
        r->k->fill(to->bias, 0, m->bias_stride ? m->images * m->o : m->o);
    if (to->x && !to->add_x) r->k->fill(to->x, 0, m->images * r->pixels * m->c);
}

void gm_taps_backward(const gm_conv_place *p, const gm_taps_map *m, const gm_taps_gradients *to,
                      float *dy, const float *y, const float *x, const float *w)
{
    taps r = {
        .m = m, .k = p->kernels, .x = x, .w = w, .y = (float *)(uintptr_t)y, .to = to, .dy = dy
    };
    (void)prepare(&r, gm_team_threads(p->team), 1, p->work);
    if (!m->images || !r.pixels || !m->o || !m->c) {
        back_nothing(&r);
        return;
    }
    fill(&r, 1);
    gm_conv_run(p->team, &r.cut, &r.slots, back_block, &r);
    if (to->w) {
        gm_team_range(p->team, r.depth * r.lanes, 16384, reduce, &r);
        for (int64_t d = 0; d < r.depth; d++)
            r.k->accumulate(to->w + d * m->o, r.sums + d * r.lanes, m->o, to->add_w);
    }
    if (to->bias && !m->bias_stride)
        for (int64_t s = 0; s < r.cut.shards; s++)
            r.k->accumulate(to->bias, r.biases + s * m->o, m->o, s > 0 || to->add_bias);
}
