/* plan.h - what the three forms of the convolution share: sharing out images, workspace,
 * moves. */
#ifndef GM_KERNELS_CONV_PARTS_H
#define GM_KERNELS_CONV_PARTS_H

#include <stdatomic.h>
#include <string.h>

#include "kernels/conv/conv.h"

#define GM_CONV_PANEL 32 /* lanes of one product: two vectors of the widest instruction set */

static inline int64_t gm_conv_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t gm_conv_ceil(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t gm_conv_lanes(int64_t n)
{
    return (n + GM_GATHER_LANES - 1) / GM_GATHER_LANES * GM_GATHER_LANES;
}

/* The sums of a group run over so few taps that turning the result (or, for weights, y) around
 * would cost as much as the sums. */
#define GM_CONV_FEW_TAPS 64
static inline int gm_conv_few_taps(int64_t taps, int64_t channels)
{
    return taps <= channels && taps <= GM_CONV_FEW_TAPS;
}

/* Hands out pieces of the workspace, 64-byte aligned. base NULL: only counts. */
typedef struct gm_conv_carver {
    char *base;
    double used;
} gm_conv_carver;
void *gm_conv_carve(gm_conv_carver *c, double count, size_t size);
size_t gm_conv_carved(const gm_conv_carver *c); /* SIZE_MAX: too many */

/* Images go through in blocks (several, when they are small), blocks in shards. */
typedef struct gm_conv_cut {
    int64_t images, batch, blocks, shards;
} gm_conv_cut;
/* pixels: rows of the product that one image gives; most: the largest number of shards. */
gm_conv_cut gm_conv_cut_images(int64_t images, int64_t pixels, int64_t most);
static inline int64_t gm_conv_first_block(const gm_conv_cut *cut, int64_t shard)
{
    return cut->blocks / cut->shards * shard + cut->blocks % cut->shards * shard / cut->shards;
}

/* A buffer for each shard that runs at the moment. The same few are used again and again, so they
 * stay in cache. What a shard computes does not depend on which it gets. */
#define GM_CONV_SLOTS 16
typedef struct gm_conv_slots {
    float *base;
    int64_t floats; /* of each; a multiple of 16 */
    int32_t count;
    _Atomic uint32_t taken;
    uint8_t framed[GM_CONV_SLOTS]; /* its frame's border is zero; whoever holds the slot looks */
} gm_conv_slots;
void gm_conv_slots_carve(gm_conv_slots *s, gm_conv_carver *c, double floats, int32_t threads,
                         int64_t shards);
float *gm_conv_slot_take(gm_conv_slots *s, int32_t *slot);
void gm_conv_slot_put(gm_conv_slots *s, int32_t slot);

/* An image in zeros: row r of a plane [h, w] is row top + r of a plane [ph, pw]; what does not fit
 * is left out. */
typedef struct gm_conv_frame {
    int64_t h, w, top, left, ph, pw;
} gm_conv_frame;
/* 1 when nothing moves: the planes can be used as they are. */
int gm_conv_frame_fits(const gm_conv_frame *f);
/* Puts `planes` planes into the frames at `to`, which lie in `slot` and have space for `most`. The
 * border is zeroed at the slot's first use only. */
void gm_conv_pad(const gm_kernels *k, const gm_conv_frame *f, gm_conv_slots *s, int32_t slot,
                 int64_t most, float *to, const float *from, int64_t planes);

/* The frame of x that the map reads. */
gm_conv_frame gm_conv_image_frame(const gm_conv_map *m);
/* Offsets in a framed image: of each position i, j for `batch` images, `stride` floats apart; of
 * each tap c, a, b. */
void gm_conv_positions(const gm_conv_map *m, const gm_conv_frame *f, int64_t batch, int64_t stride,
                       int64_t *to);
void gm_conv_taps(const gm_conv_map *m, const gm_conv_frame *f, int64_t *to);

/* Of `channels` planes of an image: patches as columns, to[tap ld + pixel]; columns added back into
 * the planes. */
void gm_conv_columns(const gm_conv_map *m, int64_t channels, float *to, int64_t ld, const float *x);
void gm_conv_fold(const gm_conv_map *m, int64_t channels, float *x, const float *from, int64_t ld);

/* What all three forms keep: sizes, how the images are cut, workspace. */
typedef struct gm_conv_form {
    const gm_conv_map *m;
    const gm_kernels *k;
    const gm_conv_last *last;
    int add;
    int64_t cg, og, pixels; /* channels of a group of x and of y; positions of y */
    int64_t lanes, panels;  /* of a group: channels rounded up; panels of them */
    gm_conv_frame frame;
    int framed; /* the images are moved into frames; else they are read where they lie */
    gm_conv_cut cut;
    gm_conv_slots slots;
    int64_t *row, *step; /* offsets of the product's rows and of its terms */
} gm_conv_form;
/* The sizes that follow from the map alone. */
void gm_conv_form_begin(gm_conv_form *f);
/* `count` images' `channels` planes each, framed at `frame` (of the slot) or where they lie. */
const float *gm_conv_framed(gm_conv_form *f, int32_t slot, int64_t channels, float *frame,
                            const float *images, int64_t count);
/* The activation of `last`, on n values in place. */
void gm_conv_activate(const gm_conv_form *f, float *y, int64_t n);

/* Some images of a shard, and the workspace to compute them in. */
typedef struct gm_conv_block {
    int64_t shard, first, count;
    int later; /* not the shard's first block */
    int32_t slot;
    float *work;
} gm_conv_block;
typedef void (*gm_conv_block_fn)(void *arg, const gm_conv_block *block);
/* Runs fn on all blocks: shards over the team, the blocks of a shard in order. */
void gm_conv_run(gm_team *team, const gm_conv_cut *cut, gm_conv_slots *slots, gm_conv_block_fn fn,
                 void *arg);

/* n identical offsets `step` apart. */
void gm_conv_count(int64_t *to, int64_t n, int64_t step);

#endif
