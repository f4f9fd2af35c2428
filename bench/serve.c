/* serve.c - readers of frozen models: the time of one call, and the rate of two threads against
 * one. */
#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 2000 /* timed one by one, in a round */
#define WIDEST 784

/* RNADE with its defaults but for the units: a row of a small table. */
static gm_status make_reals(gm_model **out, gm_context *context)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_nade *nade = NULL;
    o.kind = GM_CONDITIONAL_GAUSSIAN_MIXTURE;
    o.hidden = 50;
    const gm_status s = gm_nade_create(&nade, context, 6, &o);
    *out = gm_nade_model(nade);
    return s;
}

/* MADE with its defaults. */
static gm_status make_bits(gm_model **out, gm_context *context)
{
    gm_made *made = NULL;
    const gm_status s = gm_made_create(&made, context, BENCH_PIXELS, NULL);
    *out = gm_made_model(made);
    return s;
}

static const struct served {
    const char *name;
    gm_status (*make)(gm_model **out, gm_context *context);
} all[] = { { "NADE, 6 reals", make_reals }, { "MADE, 784 bits", make_bits } };

/* What a thread does: calls for so many seconds, one row each. */
struct caller {
    gm_frozen *frozen;
    double seconds;
    double calls; /* per second */
    double *took; /* NULL, or of CALLS calls */
    gm_status status;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    gm_context *context = NULL;
    gm_reader *reader = NULL;
    float row[WIDEST];
    double log_p, begin = 0;
    long long calls = 0;
    for (int i = 0; i < WIDEST; i++) row[i] = (float)(i % 2);
    gm_status s = gm_context_create(&context, GM_HEADER_VERSION, NULL);
    if (!s) s = gm_reader_create(&reader, context, c->frozen, 1);
    gm_model *model = gm_reader_model(reader);
    for (int i = 0; i < CALLS && !s; i++) { /* also warms up */
        begin = bench_clock();
        s = gm_model_log_prob(model, row, 1, &log_p);
        if (c->took != NULL) c->took[i] = bench_clock() - begin;
    }
    begin = bench_clock();
    for (double now = begin; !s && now < begin + c->seconds; now = bench_clock())
        for (int i = 0; i < 50 && !s; i++, calls++) s = gm_model_log_prob(model, row, 1, &log_p);
    c->calls = (double)calls / (bench_clock() - begin);
    c->status = s;
    if (s) fprintf(stderr, "bench: %s: %s\n", gm_status_name(s), gm_context_error(context));
    gm_reader_release(reader);
    gm_context_release(context);
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static gm_status freeze(gm_frozen **out, const struct served *served)
{
    gm_context *context = NULL;
    gm_model *model = NULL;
    gm_status s;
    *out = NULL;
    if ((s = gm_context_create(&context, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = served->make(&model, context))) goto out;
    s = gm_model_freeze(out, model);
out:
    if (s) fprintf(stderr, "bench: %s: %s\n", served->name, gm_context_error(context));
    gm_model_release(model);
    gm_context_release(context);
    return s;
}

/* Calls per second of both threads together over those of one alone. */
static int two_against_one(struct caller *c, double *ratio)
{
    struct caller both[2] = { *c, *c };
    pthread_t other;
    both[1].took = NULL;
    (void)call(c);
    if (pthread_create(&other, NULL, call, &both[1]) != 0) return 1;
    (void)call(&both[0]);
    (void)pthread_join(other, NULL);
    *ratio = (both[0].calls + both[1].calls) / c->calls;
    return c->status || both[0].status || both[1].status;
}

int bench_serve(double seconds, int rounds)
{
    double took[CALLS], ratios[100];
    printf("one row a call; medians of %d rounds\n", rounds);
    printf("%-16s %12s %12s %12s %12s\n", "reader", "median (us)", "99 % (us)", "calls/s",
           "2 threads");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct caller c = { .seconds = seconds, .took = took };
        int failed = freeze(&c.frozen, &all[i]) != GM_OK;
        for (int r = 0; r < rounds && !failed; r++) failed = two_against_one(&c, &ratios[r]);
        gm_frozen_release(c.frozen);
        if (failed) return 1;
        qsort(took, CALLS, sizeof took[0], ascending);
        qsort(ratios, (size_t)rounds, sizeof ratios[0], ascending);
        printf("%-16s %12.2f %12.2f %12.0f %11.2fx\n", all[i].name, 1e6 * took[CALLS / 2],
               1e6 * took[CALLS * 99 / 100], c.calls, ratios[rounds / 2]);
    }
    return 0;
}
