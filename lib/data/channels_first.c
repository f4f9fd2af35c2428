/* channels_first.c - a view of images [h, w, c] as [c, h, w], each transposed in place. */
#include <string.h>

#include "data/dataset.h"

/* Values that are transposed through the stack at a time. */
#define PIECE 2048

static void reverse(float *p, int64_t n)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--) {
        const float v = p[i];
        p[i] = p[j];
        p[j] = v;
    }
}

/* a b -> b a */
static void exchange(float *p, int64_t a, int64_t b)
{
    reverse(p, a);
    reverse(p + a, b);
    reverse(p, a + b);
}

/* Planes of `a` pixels of each channel, then planes of `b`: to planes of a + b, by halves of the
 * channels. */
static void join_planes(float *p, int64_t channels, int64_t a, int64_t b)
{
    if (channels < 2) return;
    const int64_t half = channels / 2;
    exchange(p + half * a, (channels - half) * a, half * b);
    join_planes(p, half, a, b);
    join_planes(p + half * (a + b), channels - half, a, b);
}

/* [pixels, channels] -> [channels, pixels], by halves of the pixels until they fit the stack. */
static void transpose(float *p, int64_t pixels, int64_t channels)
{
    if (pixels < 2 || channels < 2) return;
    if (pixels <= PIECE / channels) {
        float piece[PIECE];
        memcpy(piece, p, (size_t)(pixels * channels) * sizeof *p);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < pixels; i++) p[c * pixels + i] = piece[i * channels + c];
        return;
    }
    const int64_t half = pixels / 2;
    transpose(p, half, channels);
    transpose(p + half * channels, pixels - half, channels);
    join_planes(p, channels, half, pixels - half);
}

static gm_status apply_channels_first(const gm_dataset *ds, gm_block *b)
{
    const int64_t channels = ds->row_shape[0], pixels = ds->row_size / channels;
    for (int64_t i = 0; i < b->count; i++) transpose(b->out + i * ds->row_size, pixels, channels);
    return GM_OK;
}

static const gm_dataset_kind channels_first_kind = { "dataset_channels_first", NULL,
                                                     apply_channels_first, NULL };

gm_status gm_dataset_channels_first(gm_dataset **out, gm_dataset *parent)
{
    static const char what[] = "dataset_channels_first";
    if (out) *out = NULL;
    if (!out || !parent)
        return gm_fail(parent ? parent->ctx : NULL, GM_E_INVALID, "%s: out or dataset is NULL",
                       what);
    if (parent->row_rank != 3) {
        char have[GM_SHAPE_TEXT];
        return gm_fail(parent->ctx, GM_E_SHAPE, "%s: rows are %s, expected [h, w, channels]", what,
                       gm_shape_text(have, parent->row_rank, parent->row_shape));
    }
    gm_dataset *ds;
    const gm_status status = gm_dataset_make_view(&ds, parent, what, &channels_first_kind);
    if (status) return status;
    for (int32_t i = 0; i < 3; i++) ds->row_shape[i] = parent->row_shape[(i + 2) % 3];
    *out = ds;
    return GM_OK;
}
