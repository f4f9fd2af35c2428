/* plan.c - sharing out images, workspace, tables of offsets. */
#include "kernels/conv/plan.h"

#define MOST_BYTES 1e15
#define WORTHWHILE 192 /* rows of a product that use up a panel of weights once it is in cache */

void *gm_conv_carve(gm_conv_carver *c, double count, size_t size)
{
    double bytes = count * (double)size;
    if (!c->base || c->used + bytes > MOST_BYTES) {
        c->used += bytes + 64;
        return NULL;
    }
    size_t at = ((size_t)c->used + 63) / 64 * 64;
    c->used = (double)(at + (size_t)bytes);
    return c->base + at;
}

size_t gm_conv_carved(const gm_conv_carver *c)
{
    return c->used < MOST_BYTES ? (size_t)c->used + 64 : SIZE_MAX;
}

gm_conv_cut gm_conv_cut_images(int64_t images, int64_t pixels, int64_t most)
{
    gm_conv_cut cut = { images, 1, images, 1 };
    if (pixels < WORTHWHILE) cut.batch = gm_conv_ceil(WORTHWHILE, pixels > 0 ? pixels : 1);
    /* Several blocks, for several threads. */
    cut.batch = gm_conv_min(cut.batch, gm_conv_ceil(images, 8));
    if (cut.batch < 1) cut.batch = 1;
    cut.blocks = gm_conv_ceil(images, cut.batch);
    cut.shards = gm_conv_min(cut.blocks, most);
    if (cut.shards < 1) cut.shards = 1;
    return cut;
}

void gm_conv_slots_carve(gm_conv_slots *s, gm_conv_carver *c, double floats, int32_t threads,
                         int64_t shards)
{
    int64_t count = gm_conv_min(threads, gm_conv_min(shards, GM_CONV_SLOTS));
    double rounded = floats / 16 + 1; /* whole lines, and one more */
    if (rounded > MOST_BYTES) rounded = MOST_BYTES;
    s->count = (int32_t)count;
    s->floats = (int64_t)rounded * 16;
    s->base = gm_conv_carve(c, (double)s->floats * (double)count, sizeof(float));
    atomic_init(&s->taken, 0);
    memset(s->framed, 0, sizeof s->framed);
}

/* No more shards run at once than there are threads, so one is always free. */
float *gm_conv_slot_take(gm_conv_slots *s, int32_t *slot)
{
    uint32_t seen = atomic_load(&s->taken);
    for (;;) {
        int32_t i = 0;
        while (i < s->count - 1 && (seen >> i & 1u)) i++;
        if (seen >> i & 1u) {
            seen = atomic_load(&s->taken);
            continue;
        }
        if (atomic_compare_exchange_weak(&s->taken, &seen, seen | (uint32_t)1 << i)) {
            *slot = i;
            return s->base + i * s->floats;
        }
    }
}

void gm_conv_slot_put(gm_conv_slots *s, int32_t slot)
{
    atomic_fetch_and(&s->taken, ~((uint32_t)1 << slot));
}

int gm_conv_frame_fits(const gm_conv_frame *f)
{
    /* Rows below the last one that is read may be there all the same. */
    return !f->top && !f->left && f->pw <= f->w && f->ph <= f->h;
}

gm_conv_frame gm_conv_image_frame(const gm_conv_map *m)
{
    gm_conv_frame f = { m->h, m->w, m->ph, m->pw, 0, 0 };
    f.ph = (m->oh - 1) * m->sh + (m->kh - 1) * m->dh + 1;
    f.pw = (m->ow - 1) * m->sw + (m->kw - 1) * m->dw + 1;
    if (gm_conv_frame_fits(&f)) {
        f.ph = m->h;
        f.pw = m->w;
    }
    return f;
}

void gm_conv_positions(const gm_conv_map *m, const gm_conv_frame *f, int64_t batch, int64_t stride,
                       int64_t *to)
{
    for (int64_t n = 0; n < batch; n++)
        for (int64_t i = 0; i < m->oh; i++)
            for (int64_t j = 0; j < m->ow; j++) *to++ = n * stride + i * m->sh * f->pw + j * m->sw;
}

void gm_conv_taps(const gm_conv_map *m, const gm_conv_frame *f, int64_t *to)
{
    for (int64_t c = 0; c < m->c / m->groups; c++)
        for (int64_t a = 0; a < m->kh; a++)
            for (int64_t b = 0; b < m->kw; b++) *to++ = (c * f->ph + a * m->dh) * f->pw + b * m->dw;
}

void gm_conv_count(int64_t *to, int64_t n, int64_t step)
{
    for (int64_t i = 0; i < n; i++) to[i] = i * step;
}

void gm_conv_form_begin(gm_conv_form *f)
{
    const gm_conv_map *m = f->m;
    f->cg = m->c / m->groups;
    f->og = m->o / m->groups;
    f->pixels = m->oh * m->ow;
}

const float *gm_conv_framed(gm_conv_form *f, int32_t slot, int64_t channels, float *frame,
                            const float *images, int64_t count)
{
    if (!f->framed) return images;
    gm_conv_pad(f->k, &f->frame, &f->slots, slot, f->cut.batch * channels, frame, images,
                count * channels);
    return frame;
}

void gm_conv_activate(const gm_conv_form *f, float *y, int64_t n)
{
    if (f->last && f->last->act != GM_UNARY_IDENTITY)
        f->k->unary(f->last->act, y, y, f->last->a, 0, n);
}

typedef struct run_job {
    const gm_conv_cut *cut;
    gm_conv_slots *slots;
    gm_conv_block_fn fn;
    void *arg;
} run_job;

static void run_shard(void *arg, int64_t i)
{
    const run_job *job = arg;
    const gm_conv_cut *cut = job->cut;
    gm_conv_block block = { .shard = i };
    int64_t begin = gm_conv_first_block(cut, i), end = gm_conv_first_block(cut, i + 1);
    block.work = gm_conv_slot_take(job->slots, &block.slot);
    for (int64_t b = begin; b < end; b++) {
        block.first = b * cut->batch;
        block.count = gm_conv_min(cut->batch, cut->images - block.first);
        block.later = b > begin;
        job->fn(job->arg, &block);
    }
    gm_conv_slot_put(job->slots, block.slot);
}

void gm_conv_run(gm_team *team, const gm_conv_cut *cut, gm_conv_slots *slots, gm_conv_block_fn fn,
                 void *arg)
{
    run_job job = { cut, slots, fn, arg };
    gm_team_run(team, cut->shards, run_shard, &job);
}
