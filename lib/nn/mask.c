/* mask.c - masks from orders and degrees, between groups, and over the taps of a kernel. */
#include "gm/mask.h"

#include "base/context.h"
#include "base/error.h"
#include "base/rng.h"

/* Every size is at least 1, and an array of their product, `size` bytes each, can be addressed. */
static gm_status check_sizes(gm_context *ctx, const void *array, size_t size, int count,
                             const int64_t *sizes)
{
    if (!ctx) return GM_E_INVALID;
    if (!array) return gm_fail(ctx, GM_E_INVALID, "mask: an array is NULL");
    int64_t most = (int64_t)(INT64_MAX / (int64_t)size);
    for (int i = 0; i < count; i++) {
        if (sizes[i] < 1)
            return gm_fail(ctx, GM_E_INVALID, "mask: a size is %lld, expected at least 1",
                           (long long)sizes[i]);
        most /= sizes[i];
    }
    if (!most) return gm_fail(ctx, GM_E_INVALID, "mask: its sizes are too large");
    return GM_OK;
}

gm_status gm_mask_check_order(gm_context *ctx, const int64_t *order, int64_t columns)
{
    gm_status status = check_sizes(ctx, order, sizeof *order, 1, &columns);
    if (status) return status;
    uint8_t *seen = gm_memory_get_zero(&ctx->memory, (size_t)columns);
    if (!seen) return gm_fail_memory(ctx, "mask");
    for (int64_t k = 0; k < columns; k++) {
        const int64_t column = order[k];
        if (column < 0 || column >= columns || seen[column])
            GM_TRY(
                gm_fail(ctx, GM_E_INVALID,
                        "mask: order is not a permutation of 0 to %lld: %lld at place %lld %s",
                        (long long)columns - 1, (long long)column, (long long)k,
                        column < 0 || column >= columns ? "is out of range" : "is there already"));
        seen[column] = 1;
    }
out:
    gm_memory_put(&ctx->memory, seen, (size_t)columns);
    return status;
}

gm_status gm_mask_input_degrees(gm_context *ctx, const int64_t *order, int64_t columns,
                                int64_t *degrees)
{
    gm_status status = check_sizes(ctx, degrees, sizeof *degrees, 1, &columns);
    if (!status && order) status = gm_mask_check_order(ctx, order, columns);
    for (int64_t k = 0; !status && k < columns; k++) degrees[order ? order[k] : k] = k + 1;
    return status;
}

gm_status gm_mask_hidden_degrees(gm_context *ctx, int64_t units, int64_t columns, int32_t kind,
                                 int64_t least, gm_rng *rng, int64_t *degrees)
{
    const int64_t sizes[2] = { units, columns }, most = columns > 1 ? columns - 1 : 1;
    gm_rng own = { .ctx = ctx, .owners = 1 };
    gm_status status = check_sizes(ctx, degrees, sizeof *degrees, 2, sizes);
    if (status) return status;
    if (kind < GM_DEGREES_SPREAD || kind > GM_DEGREES_RANDOM || least < 0 || least > most)
        return gm_fail(ctx, GM_E_INVALID,
                       "mask: kind of degrees is %d, expected 0 to 2; the least degree is %lld, "
                       "expected 0 to %lld",
                       (int)kind, (long long)least, (long long)most);
    if (kind == GM_DEGREES_RANDOM && !rng) {
        gm_rng_seed(&own, gm_mix(ctx->seed) + ctx->next_stream++);
        rng = &own;
    }
    const int64_t values = most - least + 1;
    for (int64_t i = 0; i < units; i++) {
        if (kind == GM_DEGREES_RANDOM)
            degrees[i] = least + gm_rng_below(rng, values);
        else if (kind == GM_DEGREES_CYCLIC)
            degrees[i] = least + i % values;
        else
            degrees[i] =
                least + i * values / units; /* units columns can be addressed: no overflow */
    }
    return GM_OK;
}

gm_status gm_mask_repeat_degrees(gm_context *ctx, const int64_t *degrees, int64_t count,
                                 int64_t times, int64_t *repeated)
{
    const int64_t sizes[2] = { count, times };
    gm_status status = check_sizes(ctx, degrees ? repeated : NULL, sizeof *repeated, 2, sizes);
    for (int64_t i = 0; !status && i < count * times; i++) repeated[i] = degrees[i / times];
    return status;
}

gm_status gm_mask_from_degrees(gm_context *ctx, const int64_t *out_degrees, int64_t out_count,
                               const int64_t *in_degrees, int64_t in_count, int32_t strict,
                               float *mask)
{
    const int64_t sizes[2] = { out_count, in_count };
    gm_status status =
        check_sizes(ctx, out_degrees && in_degrees ? mask : NULL, sizeof *mask, 2, sizes);
    if (status) return status;
    int64_t cut = 0, first = 0;
    for (int64_t o = 0; o < out_count; o++) {
        /* In whole numbers, strictly above d is at least d + 1. */
        const int64_t reach = strict ? out_degrees[o] - 1 : out_degrees[o];
        int64_t kept = 0;
        for (int64_t i = 0; i < in_count; i++) {
            const int keep = in_degrees[i] <= reach;
            mask[o * in_count + i] = keep ? 1 : 0;
            kept += keep;
        }
        if (!kept && reach >= 1 && !cut++) first = o;
    }
    if (cut)
        gm_log_line(ctx, GM_LOG_WARNING,
                    "mask: %lld of %lld units are cut off from all they may see, the first is %lld",
                    (long long)cut, (long long)out_count, (long long)first);
    return status;
}

gm_status gm_mask_groups(gm_context *ctx, int64_t columns, int64_t out_units, int64_t in_units,
                         int32_t own, float *mask)
{
    const int64_t sizes[4] = { columns, out_units, columns, in_units };
    gm_status status = check_sizes(ctx, mask, sizeof *mask, 4, sizes);
    const int64_t in = columns * (status ? 0 : in_units);
    for (int64_t o = 0; !status && o < columns * out_units; o++)
        for (int64_t i = 0; i < in; i++)
            mask[o * in + i] = i / in_units < o / out_units + (own ? 1 : 0) ? 1 : 0;
    return status;
}

/* May the tap at (a, b) from the centre be kept, for channel groups `to` and `from`? */
static int sees(int32_t type, int64_t a, int64_t b, int64_t to, int64_t from)
{
    if (type == GM_MASK_VERTICAL_A) return a < 0;
    if (type == GM_MASK_VERTICAL_B) return a <= 0;
    if (a || b) return a < 0 || (!a && b < 0);
    return from < to || (from == to && type == GM_MASK_B);
}

gm_status gm_mask_conv(gm_context *ctx, int32_t type, const int64_t shape[4], int64_t groups,
                       float *mask)
{
    gm_status status = shape ? check_sizes(ctx, mask, sizeof *mask, 4, shape)
                             : gm_fail(ctx, GM_E_INVALID, "mask: shape is NULL");
    if (status) return status;
    const int64_t out = shape[0], in = shape[1], kernel_h = shape[2], kernel_w = shape[3];
    if (type < GM_MASK_A || type > GM_MASK_VERTICAL_B)
        return gm_fail(ctx, GM_E_INVALID, "mask: type is %d, expected 0 to 3", (int)type);
    if (kernel_h % 2 == 0 || kernel_w % 2 == 0)
        return gm_fail(ctx, GM_E_INVALID, "mask: the kernel is [%lld, %lld], expected odd sizes",
                       (long long)kernel_h, (long long)kernel_w);
    if (groups < 1 || groups > in || groups > out)
        return gm_fail(ctx, GM_E_INVALID, "mask: groups is %lld, with %lld channels to %lld",
                       (long long)groups, (long long)in, (long long)out);
    for (int64_t o = 0; o < out; o++)
        for (int64_t c = 0; c < in; c++)
            for (int64_t t = 0; t < kernel_h * kernel_w; t++)
                *mask++ = sees(type, t / kernel_w - kernel_h / 2, t % kernel_w - kernel_w / 2,
                               o * groups / out, c * groups / in)
                              ? 1
                              : 0;
    return GM_OK;
}
