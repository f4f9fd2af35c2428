/* mmd_kernel.c - positive definite kernels: weighted sums of parts. */
#include "autodiff/mmd_kernel.h"

#include <math.h>
#include <string.h>

#define MOST_PARTS 1024
#define MOST_DEGREE 16
#define SMALLEST 1e-18 /* 1 / bandwidth^2 must be a float */
#define LARGEST 1e18

gm_status gm_mmd_kernel_create(gm_mmd_kernel **out, gm_context *ctx)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "kernel: context or out is NULL");
    gm_mmd_kernel *kernel = gm_memory_get_zero(&ctx->memory, sizeof *kernel);
    if (!kernel) return gm_fail_memory(ctx, "kernel");
    gm_context_retain(ctx);
    kernel->ctx = ctx;
    kernel->owners = 1;
    *out = kernel;
    return GM_OK;
}

void gm_mmd_kernel_retain(gm_mmd_kernel *kernel)
{
    if (kernel) kernel->owners++;
}

void gm_mmd_kernel_release(gm_mmd_kernel *kernel)
{
    if (!kernel || --kernel->owners > 0) return;
    gm_context *ctx = kernel->ctx;
    gm_memory_put(&ctx->memory, kernel->parts, (size_t)kernel->room * sizeof *kernel->parts);
    gm_memory_put(&ctx->memory, kernel->exact, (size_t)kernel->room * sizeof *kernel->exact);
    gm_memory_put(&ctx->memory, kernel, sizeof *kernel);
    gm_context_release(ctx);
}

gm_context *gm_mmd_kernel_context(const gm_mmd_kernel *kernel)
{
    return kernel ? kernel->ctx : NULL;
}

int32_t gm_mmd_kernel_count(const gm_mmd_kernel *kernel)
{
    return kernel ? kernel->distances + kernel->products : 0;
}

/* Both arrays grow, or neither. */
static gm_status make_room(gm_mmd_kernel *kernel, int32_t more)
{
    gm_memory *memory = &kernel->ctx->memory;
    int32_t count = gm_mmd_kernel_count(kernel), room = kernel->room ? kernel->room : 8;
    if (more > MOST_PARTS - count)
        return gm_fail(kernel->ctx, GM_E_INVALID,
                       "kernel: %d parts and %d more, expected at most %d", (int)count, (int)more,
                       MOST_PARTS);
    while (room < count + more) room *= 2;
    if (room == kernel->room) return GM_OK;
    gm_part *parts = gm_memory_get(memory, (size_t)room * sizeof *parts);
    double *exact = gm_memory_get(memory, (size_t)room * sizeof *exact);
    if (!parts || !exact) {
        gm_memory_put(memory, parts, (size_t)room * sizeof *parts);
        gm_memory_put(memory, exact, (size_t)room * sizeof *exact);
        return gm_fail_memory(kernel->ctx, "kernel");
    }
    if (count) memcpy(parts, kernel->parts, (size_t)count * sizeof *parts);
    if (count) memcpy(exact, kernel->exact, (size_t)count * sizeof *exact);
    gm_memory_put(memory, kernel->parts, (size_t)kernel->room * sizeof *parts);
    gm_memory_put(memory, kernel->exact, (size_t)kernel->room * sizeof *exact);
    kernel->parts = parts;
    kernel->exact = exact;
    kernel->room = room;
    return GM_OK;
}

/* In its order; there is room. */
static void insert(gm_mmd_kernel *kernel, const gm_part *part, double exact)
{
    int32_t count = gm_mmd_kernel_count(kernel), at = count;
    gm_part *p = kernel->parts;
    if (part->kind != GM_PART_POLYNOMIAL) at = kernel->distances;
    if (part->kind == GM_PART_GAUSSIAN)
        for (at = 0; at < count && p[at].kind == GM_PART_GAUSSIAN && kernel->exact[at] <= exact;)
            at++;
    memmove(p + at + 1, p + at, (size_t)(count - at) * sizeof *p);
    memmove(kernel->exact + at + 1, kernel->exact + at, (size_t)(count - at) * sizeof(double));
    p[at] = *part;
    kernel->exact[at] = exact;
    *(part->kind == GM_PART_POLYNOMIAL ? &kernel->products : &kernel->distances) += 1;
    for (int32_t i = 1; i < kernel->distances && p[i].kind == GM_PART_GAUSSIAN; i++) {
        double twice = 2 * kernel->exact[i - 1];
        p[i].square = fabs(kernel->exact[i] - twice) <= 1e-14 * twice;
    }
}

static gm_status check(gm_mmd_kernel *kernel, const char *what, double value, double least)
{
    if (value >= least && value <= LARGEST) return GM_OK;
    return gm_fail(kernel->ctx, GM_E_INVALID, "kernel: %s is %g, expected %g to %g", what, value,
                   least, LARGEST);
}

static gm_status add(gm_mmd_kernel *kernel, double weight, gm_part part, double exact)
{
    gm_status status;
    GM_TRY(check(kernel, "weight", weight, SMALLEST));
    GM_TRY(make_room(kernel, 1));
    part.weight = (float)weight;
    part.a = (float)exact;
    insert(kernel, &part, exact);
out:
    return status;
}

gm_status gm_mmd_kernel_add_gaussian(gm_mmd_kernel *kernel, double weight, double bandwidth)
{
    gm_part part = { .kind = GM_PART_GAUSSIAN };
    if (!kernel) return GM_E_INVALID;
    gm_status status = check(kernel, "bandwidth", bandwidth, SMALLEST);
    return status ? status : add(kernel, weight, part, 1 / (2 * bandwidth * bandwidth));
}

gm_status gm_mmd_kernel_add_gaussians(gm_mmd_kernel *kernel, double weight, double smallest,
                                      double ratio, int32_t count)
{
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    if (count < 1 || count > MOST_PARTS)
        GM_TRY(gm_fail(kernel->ctx, GM_E_INVALID, "mmd_kernel: count is %d, expected 1 to %d",
                       (int)count, MOST_PARTS));
    GM_TRY(check(kernel, "bandwidth", smallest, SMALLEST));
    GM_TRY(check(kernel, "ratio", ratio, SMALLEST));
    GM_TRY(check(kernel, "bandwidth at the end of the series", smallest * pow(ratio, count - 1),
                 SMALLEST));
    GM_TRY(check(kernel, "weight", weight, SMALLEST));
    GM_TRY(make_room(kernel, count));
    for (int32_t i = 0; i < count; i++)
        GM_TRY(gm_mmd_kernel_add_gaussian(kernel, weight, smallest * pow(ratio, i)));
out:
    return status;
}

gm_status gm_mmd_kernel_add_laplacian(gm_mmd_kernel *kernel, double weight, double bandwidth)
{
    gm_part part = { .kind = GM_PART_LAPLACIAN };
    if (!kernel) return GM_E_INVALID;
    gm_status status = check(kernel, "bandwidth", bandwidth, SMALLEST);
    return status ? status : add(kernel, weight, part, 1 / bandwidth);
}

gm_status gm_mmd_kernel_add_rational_quadratic(gm_mmd_kernel *kernel, double weight, double alpha,
                                               double length)
{
    gm_part part = { .kind = GM_PART_QUADRATIC, .b = (float)alpha };
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    GM_TRY(check(kernel, "alpha", alpha, SMALLEST));
    GM_TRY(check(kernel, "length", length, SMALLEST));
    double a = 1 / (2 * alpha * length * length);
    GM_TRY(check(kernel, "1 / (2 alpha length^2)", a, 1e-36));
    GM_TRY(add(kernel, weight, part, a));
out:
    return status;
}

gm_status gm_mmd_kernel_add_polynomial(gm_mmd_kernel *kernel, double weight, double gamma,
                                       double constant, int32_t degree)
{
    gm_part part = { .kind = GM_PART_POLYNOMIAL, .degree = degree, .b = (float)constant };
    gm_status status;
    if (!kernel) return GM_E_INVALID;
    if (degree < 1 || degree > MOST_DEGREE)
        GM_TRY(gm_fail(kernel->ctx, GM_E_INVALID, "kernel: degree is %d, expected 1 to %d",
                       (int)degree, MOST_DEGREE));
    GM_TRY(check(kernel, "gamma", gamma, SMALLEST));
    GM_TRY(check(kernel, "constant", constant, 0));
    GM_TRY(add(kernel, weight, part, gamma));
out:
    return status;
}

gm_status gm_mmd_kernel_add_linear(gm_mmd_kernel *kernel, double weight)
{
    return gm_mmd_kernel_add_polynomial(kernel, weight, 1, 0, 1);
}

gm_status gm_mmd_kernel_add_part(gm_mmd_kernel *kernel, int64_t kind, double weight, double a,
                                 double b, int64_t degree)
{
    gm_part part = { .kind = (int32_t)kind, .degree = (int32_t)degree, .b = (float)b };
    gm_status status;
    if (kind < GM_PART_GAUSSIAN || kind > GM_PART_POLYNOMIAL || degree < 0 ||
        degree > MOST_DEGREE || (kind == GM_PART_POLYNOMIAL && degree < 1))
        GM_TRY(gm_fail(
            kernel->ctx, GM_E_INVALID,
            "kernel: stored kind is %lld, degree is %lld, expected a part that gm/mmd.h has",
            (long long)kind, (long long)degree));
    GM_TRY(check(kernel, "constant", b, 0));
    if (!(a >= 1e-37 && a <= 1e37)) /* 1 / (2 bandwidth^2) of what is allowed */
        GM_TRY(gm_fail(kernel->ctx, GM_E_INVALID,
                       "kernel: stored factor is %g, expected 1e-37 to 1e37", a));
    GM_TRY(add(kernel, weight, part, a));
out:
    return status;
}

gm_mmd gm_mmd_kernel_job(const gm_mmd_kernel *kernel, int64_t d)
{
    gm_mmd e = { .team = kernel->ctx->team,
                 .k = kernel->ctx->kernels,
                 .parts = kernel->parts,
                 .exact = kernel->exact,
                 .distances = kernel->distances,
                 .products = kernel->products,
                 .d = d };
    return e;
}
