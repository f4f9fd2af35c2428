/* test_threads.c - the number of threads changes no bit of what is learned, and contexts do not
 * disturb each other. */
#include <pthread.h>

#include "allocator.h"
#include "gm/layer.h"
#include "gm/loss.h"
#include "gm/optimizer.h"
#include "support.h"

/* Under a sanitizer fewer steps do: it looks at what happens in a step, and is slow. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STEPS 20
#else
#define STEPS 200
#endif

/* A training run whose weights are compared: fresh noise in, dropout, a Gaussian sample, and two
 * losses. */
typedef struct run {
    int64_t batch, in, hidden, latent;
    int32_t threads, blas_threads, steps;
    uint64_t seed;
    gm_status status;
    char error[512];
    float *weights; /* after the last step; the host's to free */
    int64_t count;
    double loss;
    uint64_t late_allocations; /* after the first step */
} run;

static gm_var record(gm_tape *tape, const run *r, gm_layer *one, gm_layer *two)
{
    int64_t shape[2] = { r->batch, r->in };
    gm_var x = gm_rand(tape, 2, shape);
    gm_var h = gm_dropout(tape, gm_relu(tape, gm_apply(tape, one, x)), 0.1);
    gm_var y = gm_apply(tape, two, h);
    gm_var mean = gm_slice(tape, y, 1, 0, r->latent);
    gm_var spread = gm_clamp(tape, gm_slice(tape, y, 1, r->latent, 2 * r->latent), -4, 4);
    gm_var z = gm_gaussian_draw(tape, mean, spread);
    gm_var target = gm_slice(tape, x, 1, 0, r->latent);
    gm_var cost = gm_add(tape, gm_squared_error(tape, gm_sigmoid(tape, z), target),
                         gm_scale(tape, gm_gaussian_kl(tape, mean, spread), 0.01));
    return gm_mean(tape, cost);
}

static void *train(void *arg)
{
    run *r = arg;
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    gm_layer *one = NULL, *two = NULL;
    gm_params *params = NULL;
    gm_optimizer *adam = NULL;
    gm_tape *tape = NULL;
    gm_memory_counters first, last;
    gm_status s;
    memset(&first, 0, sizeof first);
    o.allocator = &a;
    o.seed = r->seed;
    o.threads = r->threads;
    o.blas_threads = r->blas_threads;
    r->weights = NULL;
    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, &o))) goto out;
    if ((s = gm_linear_create(&one, ctx, r->in, r->hidden, NULL))) goto out;
    if ((s = gm_linear_create(&two, ctx, r->hidden, 2 * r->latent, NULL))) goto out;
    if ((s = gm_params_create(&params, ctx))) goto out;
    if ((s = gm_params_add_all(params, "one.", gm_layer_params(one)))) goto out;
    if ((s = gm_params_add_all(params, "two.", gm_layer_params(two)))) goto out;
    if ((s = gm_adam_create(&adam, ctx, NULL))) goto out;
    if ((s = gm_optimizer_add(adam, params))) goto out;
    if ((s = gm_optimizer_set_clip_norm(adam, 1))) goto out;
    if ((s = gm_tape_create(&tape, ctx, NULL))) goto out;
    for (int32_t i = 0; i < r->steps; i++) {
        gm_tape_reset(tape);
        gm_var loss = record(tape, r, one, two);
        if ((s = gm_backward(tape, loss, params))) goto out;
        if ((s = gm_optimizer_step(adam))) goto out;
        r->loss = gm_scalar(tape, loss);
        if (i == 0) gm_context_memory(&first, ctx);
    }
    gm_context_memory(&last, ctx);
    r->late_allocations = last.allocations - first.allocations;
    r->count = gm_params_elements(params);
    r->weights = malloc((size_t)r->count * sizeof *r->weights);
    s = gm_params_read(params, r->count, r->weights);
out:
    r->status = s;
    snprintf(r->error, sizeof r->error, "%s", gm_context_error(ctx));
    gm_context_release(ctx);
    gm_layer_release(one);
    gm_layer_release(two);
    gm_params_release(params);
    gm_optimizer_release(adam);
    gm_tape_release(tape);
    if (!s && !watched_clean(&w)) {
        r->status = GM_E_INTERNAL;
        snprintf(r->error, sizeof r->error, "memory was lost, or touched from a worker");
    }
    return NULL;
}

static void check_run(const run *r)
{
    ck_assert_msg(r->status == GM_OK, "%s: %s", gm_status_name(r->status), r->error);
    ck_assert(isfinite(r->loss));
    ck_assert_ptr_nonnull(r->weights);
    ck_assert_uint_eq(r->late_allocations, 0);
}

static void check_same(const run *a, const run *b, const char *what)
{
    ck_assert_int_eq(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++)
        if (memcmp(&a->weights[i], &b->weights[i], sizeof *a->weights))
            ck_abort_msg("%s: weight %lld of %lld is %.9g and %.9g", what, (long long)i,
                         (long long)a->count, (double)a->weights[i], (double)b->weights[i]);
    ck_assert(a->loss == b->loss);
}

/* Big enough that products are cut into tiles and elementwise work into shards. */
START_TEST(threads_do_not_change_the_weights)
{
    static run runs[3];
    for (int32_t i = 0; i < 3; i++) {
        runs[i] = (run){ .batch = 128,
                         .in = 784,
                         .hidden = 400,
                         .latent = 20,
                         .threads = i + 1,
                         .blas_threads = 1,
                         .steps = STEPS,
                         .seed = 3 };
        train(&runs[i]);
        check_run(&runs[i]);
    }
    check_same(&runs[0], &runs[1], "1 and 2 threads");
    check_same(&runs[0], &runs[2], "1 and 3 threads");
    for (int32_t i = 0; i < 3; i++) free(runs[i].weights);
}
END_TEST

/* Sizes that no tile divides. */
START_TEST(odd_sizes_do_not_change_the_weights)
{
    static run runs[4];
    for (int32_t i = 0; i < 4; i++) {
        runs[i] = (run){ .batch = 131,
                         .in = 257,
                         .hidden = 301,
                         .latent = 7,
                         .threads = i + 1,
                         .blas_threads = 1,
                         .steps = 20,
                         .seed = 4 };
        train(&runs[i]);
        check_run(&runs[i]);
        if (i) check_same(&runs[0], &runs[i], "1 and more threads");
    }
    for (int32_t i = 0; i < 4; i++) free(runs[i].weights);
}
END_TEST

START_TEST(two_contexts_are_as_if_alone)
{
    for (int32_t threads = 1; threads <= 2; threads++) {
        run alone[2], together[2];
        for (int i = 0; i < 2; i++) {
            alone[i] = (run){ .batch = 64,
                              .in = 50,
                              .hidden = 70,
                              .latent = 5,
                              .threads = threads,
                              .steps = 150,
                              .seed = 10 + (uint64_t)i };
            together[i] = alone[i];
            train(&alone[i]);
            check_run(&alone[i]);
        }
        pthread_t other;
        ck_assert_int_eq(pthread_create(&other, NULL, train, &together[1]), 0);
        train(&together[0]);
        ck_assert_int_eq(pthread_join(other, NULL), 0);
        for (int i = 0; i < 2; i++) {
            check_run(&together[i]);
            check_same(&alone[i], &together[i], "alone and together");
        }
        ck_assert(memcmp(alone[0].weights, alone[1].weights, sizeof(float) * 100)); /* two seeds */
        for (int i = 0; i < 2; i++) {
            free(alone[i].weights);
            free(together[i].weights);
        }
    }
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("threads");
    TCase *t = tcase_create("threads");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, threads_do_not_change_the_weights);
    tcase_add_test(t, odd_sizes_do_not_change_the_weights);
    tcase_add_test(t, two_contexts_are_as_if_alone);
    suite_add_tcase(s, t);
    return s;
}
