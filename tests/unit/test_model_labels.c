/* test_model_labels.c - conditional models of every family: whatever takes a dataset takes its
 * labels, and those that the host set neither stand in for them nor are lost. */
#include "gans.h"
#include "gm/anomaly.h"
#include "gm/evaluate.h"
#include "gm/pixelcnn.h"

#define N 40
#define SIZE 12
#define CLASSES 3

static gm_model *make_pixelcnn(gm_context *ctx, int gated)
{
    gm_pixelcnn *net = NULL;
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    o.gated = gated;
    o.hidden = 4;
    o.blocks = 1;
    o.head = 4;
    o.labels = CLASSES;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 3, 4, &o));
    return gm_pixelcnn_model(net);
}

static gm_model *make_plain_pixelcnn(gm_context *ctx)
{
    return make_pixelcnn(ctx, 0);
}

static gm_model *make_gated_pixelcnn(gm_context *ctx)
{
    return make_pixelcnn(ctx, 1);
}

static gm_model *make_vae(gm_context *ctx)
{
    gm_generator_options head = GM_GENERATOR_OPTIONS_INIT;
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    head.labels = CLASSES;
    o.log_prob_samples = 7;
    return gm_vae_model(nets_vae(ctx, SIZE, 6, 2, head, &o));
}

static gm_model *make_gan(gm_context *ctx)
{
    const gans_sizes size = {
        .latent = 2, .g_hidden = 6, .row = SIZE, .d_hidden = 6, .labels = CLASSES
    };
    return gm_gan_model(gans_make(ctx, size, NULL));
}

static gm_model *(*const makers[])(gm_context *ctx) = { make_plain_pixelcnn, make_gated_pixelcnn,
                                                        make_vae, make_gan };

static int64_t right_label(int64_t row)
{
    return row * row % CLASSES;
}

static gm_dataset *bits(gm_context *ctx, float rows[N * SIZE])
{
    float labels[N];
    const int64_t shape[2] = { N, SIZE }, one[2] = { N, 1 };
    gm_dataset *data = NULL, *of = NULL;
    for (int64_t i = 0; i < N * SIZE; i++) rows[i] = (float)(i * 7 % 5 < 2);
    for (int64_t i = 0; i < N; i++) labels[i] = (float)right_label(i);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_dataset_from_memory(&of, ctx, 2, one, labels));
    support_ok(ctx, gm_dataset_attach_labels(data, of));
    gm_dataset_release(of);
    return data;
}

/* What every verb that takes a dataset says. */
typedef struct found {
    double loss[2], log_prob[N], mean, sorted[N];
} found;

static void look(gm_context *ctx, gm_model *model, gm_dataset *data, found *out)
{
    gm_metric metrics[GM_MAX_METRICS];
    int32_t count;
    memset(out, 0, sizeof *out);
    support_ok(ctx, gm_model_evaluate(model, data, support_batches(16, 0), metrics, GM_MAX_METRICS,
                                      &count));
    out->loss[0] = metrics[0].value;
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        gm_result r = GM_RESULT_INIT;
        gm_nll_options nll = GM_NLL_OPTIONS_INIT;
        gm_anomaly *score = NULL;
        nll.batch = 16;
        nll.log_prob = out->log_prob;
        support_ok(ctx, gm_evaluate_nll(&r, model, data, &nll));
        out->mean = r.value;
        gm_model_seed(model, 5);
        support_ok(ctx, gm_anomaly_create(&score, model, data, NULL));
        memcpy(out->sorted, gm_anomaly_sorted(score), sizeof out->sorted);
        gm_anomaly_release(score);
    }
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_model_seed(model, 6);
    fit.epochs = 1;
    fit.batch = 16;
    fit.validation = data;
    support_ok(ctx, gm_model_fit(model, data, &fit));
    support_ok(ctx, gm_model_evaluate(model, data, support_batches(N, 0), metrics, GM_MAX_METRICS,
                                      &count));
    out->loss[1] = metrics[0].value;
}

START_TEST(a_datasets_labels_are_the_ones_taken)
{
    found none, host;
    float rows[N * SIZE];
    for (int set = 0; set < 3; set++) { /* none, one for all, another for each */
        gm_context *ctx = support_context(33, 1);
        gm_dataset *data = bits(ctx, rows);
        gm_model *model = makers[_i](ctx);
        int64_t labels[N];
        for (int64_t i = 0; i < N; i++) labels[i] = (right_label(i) + 1) % CLASSES;
        if (set) support_ok(ctx, gm_model_set_labels(model, labels, set == 1 ? 1 : N));
        look(ctx, model, data, set ? &host : &none);
        if (set) ck_assert_mem_eq(&host, &none, sizeof none);
        gm_model_release(model);
        gm_dataset_release(data);
        gm_context_release(ctx);
    }
}
END_TEST

/* The log-likelihoods are those of the right labels; and those that the host set are there
 * afterwards. */
START_TEST(likelihoods_are_given_the_rows_labels)
{
    float rows[N * SIZE];
    double right[N], wrong[N], again[N], nll[N];
    int64_t labels[N];
    gm_context *ctx = support_context(34, 2);
    gm_dataset *data = bits(ctx, rows);
    gm_model *model = makers[_i](ctx);
    gm_result r = GM_RESULT_INIT;
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_anomaly *score = NULL;
    if (!gm_model_supports(model, GM_VERB_LOG_PROB)) goto done;
    for (int64_t i = 0; i < N; i++) labels[i] = right_label(i);
    support_ok(ctx, gm_model_set_labels(model, labels, N));
    for (int i = 0; i < 3; i++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_model_log_prob(model, rows, N, right));
    for (int64_t i = 0; i < N; i++) labels[i] = (labels[i] + 1) % CLASSES;
    support_ok(ctx, gm_model_set_labels(model, labels, N));
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_model_log_prob(model, rows, N, wrong));
    for (int64_t i = 0; i < N; i++) ck_assert(right[i] < wrong[i] || right[i] > wrong[i]);
    o.log_prob = nll;
    support_ok(ctx, gm_evaluate_nll(&r, model, data, &o));
    ck_assert_mem_eq(nll, right, sizeof right);
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_anomaly_create(&score, model, data, NULL));
    for (int64_t i = 0; i < N && !r.k; i++) { /* an estimate's scores have a stream of their own */
        int64_t place = 0;
        while (place < N && gm_anomaly_sorted(score)[place] < right[i]) place++;
        ck_assert(place < N && gm_anomaly_sorted(score)[place] <= right[i]);
    }
    gm_model_seed(model, o.seed);
    support_ok(ctx, gm_model_log_prob(model, rows, N, again));
    ck_assert_mem_eq(again, wrong, sizeof wrong);
done:
    gm_anomaly_release(score);
    gm_model_release(model);
    gm_dataset_release(data);
    gm_context_release(ctx);
}
END_TEST

START_TEST(datasets_without_labels_are_refused)
{
    float rows[N * SIZE];
    const int64_t shape[2] = { N, SIZE }, label = 0;
    gm_context *ctx = support_context(35, 1);
    gm_dataset *labelled = bits(ctx, rows), *data = NULL;
    gm_model *model = makers[_i](ctx);
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_anomaly *score = NULL;
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    support_ok(ctx, gm_model_set_labels(model, &label, 1));
    fit.batch = N;
    support_fails(ctx, gm_model_fit(model, data, &fit), GM_E_STATE, "3 classes");
    fit.validation = data;
    support_fails(ctx, gm_model_fit(model, labelled, &fit), GM_E_STATE, "3 classes");
    support_fails(ctx, gm_model_evaluate(model, data, support_batches(N, 0), NULL, 0, NULL),
                  GM_E_STATE, "3 classes");
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        support_fails(ctx, gm_evaluate_nll(&r, model, data, NULL), GM_E_STATE, "3 classes");
        support_fails(ctx, gm_anomaly_create(&score, model, data, NULL), GM_E_STATE, "3 classes");
    }
    gm_model_release(model);
    gm_dataset_release(data);
    gm_dataset_release(labelled);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("model_labels");
    TCase *c = tcase_create("model_labels");
    const int count = (int)(sizeof makers / sizeof *makers);
    tcase_add_loop_test(c, a_datasets_labels_are_the_ones_taken, 0, count);
    tcase_add_loop_test(c, likelihoods_are_given_the_rows_labels, 0, count);
    tcase_add_loop_test(c, datasets_without_labels_are_refused, 0, count);
    tcase_set_timeout(c, 120);
    suite_add_tcase(s, c);
    return s;
}
