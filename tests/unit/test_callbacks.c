/* test_callbacks.c - what a host may do inside a callback of a call: release the last owners of
 * model, data and context, which stay until the call is over; and what it may not: step or fit the
 * model that is at work. */
#include "families.h"
#include "gm/anomaly.h"
#include "gm/autoregressive.h"
#include "gm/evaluate.h"

#define ROWS 12
#define WIDEST 64
static const family_size size = { 6, 4, 2 };
static const float rows[ROWS * WIDEST];
static float out[ROWS * WIDEST];
static double real[ROWS * WIDEST], real_too[ROWS * WIDEST];
static uint8_t known[ROWS * WIDEST];

typedef struct host {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data;
    int release; /* else it steps and fits */
    int calls;
} host;

static void release_all(host *h)
{
    gm_model_release(h->model);
    gm_dataset_release(h->data);
    gm_context_release(h->ctx);
    h->model = NULL;
    h->data = NULL;
    h->ctx = NULL;
}

static void try_to_train(host *h)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 1;
    fit.batch = 4;
    if (!gm_model_supports(h->model, GM_VERB_FIT)) return;
    const int64_t steps = gm_model_steps(h->model);
    support_fails(h->ctx, gm_model_step(h->model, rows, 4, NULL, 0, NULL), GM_E_STATE, "step");
    support_fails(h->ctx, gm_model_fit(h->model, h->data, &fit), GM_E_STATE, "fit");
    ck_assert_int_eq(gm_model_steps(h->model), steps);
}

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    host *h = user;
    (void)done;
    (void)total;
    if (h->calls++) return 0;
    if (h->release)
        release_all(h);
    else
        try_to_train(h);
    return 0;
}

static int32_t on_report(void *user, const gm_fit_report *report)
{
    return on_progress(user, report->row, report->rows);
}

/* --- Calls that tell progress. */

typedef gm_status call_fn(host *h);

static gm_status fit_progress(host *h)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = 2;
    o.batch = 4;
    o.on_progress = on_progress;
    o.user = h;
    return gm_model_fit(h->model, h->data, &o);
}

static gm_status fit_report(host *h)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = 2;
    o.batch = 4;
    o.on_report = on_report;
    o.user = h;
    return gm_model_fit(h->model, h->data, &o);
}

/* The validation set is the data; what is best is kept and put back. */
static gm_status fit_patience(host *h)
{
    gm_fit_options o = GM_FIT_OPTIONS_INIT;
    o.epochs = 2;
    o.batch = 4;
    o.patience = 1;
    o.validation = h->data;
    o.on_report = on_report;
    o.user = h;
    return gm_model_fit(h->model, h->data, &o);
}

static gm_status evaluate(host *h)
{
    gm_model_evaluate_options o = GM_MODEL_EVALUATE_OPTIONS_INIT;
    o.batch = 4;
    o.on_progress = on_progress;
    o.user = h;
    return gm_model_evaluate(h->model, h->data, &o, NULL, 0, NULL);
}

static gm_status sample(host *h)
{
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_model_sample_into(h->model, ROWS, &o, out);
}

static gm_status log_prob(host *h)
{
    gm_log_prob_options o = GM_LOG_PROB_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_model_log_prob_estimate(NULL, h->model, rows, ROWS, &o, real, real_too);
}

static gm_status nll(host *h)
{
    gm_nll_options o = GM_NLL_OPTIONS_INIT;
    gm_result result = GM_RESULT_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_evaluate_nll(&result, h->model, h->data, &o);
}

static gm_status sample_given(host *h)
{
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_autoregressive_sample_given(h->model, known, ROWS, &o, out, real);
}

static gm_status log_marginal(host *h)
{
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_autoregressive_log_marginal(h->model, rows, known, ROWS, &o, real);
}

static gm_status impute(host *h)
{
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    o.draws = 4;
    o.on_progress = on_progress;
    o.user = h;
    return gm_autoregressive_impute(h->model, known, ROWS, &o, out);
}

static gm_status sbn_gibbs(host *h)
{
    gm_sbn_gibbs_options o = GM_SBN_GIBBS_OPTIONS_INIT;
    gm_sbn_gibbs_result result = GM_SBN_GIBBS_RESULT_INIT;
    o.burn_in = 2;
    o.samples = 4;
    o.on_progress = on_progress;
    o.user = h;
    return gm_sbn_gibbs(&result, gm_sbn_from_model(h->model), rows, 2, &o, real, NULL);
}

static gm_status sbn_mean_field(host *h)
{
    gm_sbn_mean_field_options o = GM_SBN_MEAN_FIELD_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_sbn_mean_field(gm_sbn_from_model(h->model), rows, 2, &o, real, real_too, NULL);
}

static gm_status sbn_enumerate(host *h)
{
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_sbn_enumerate(gm_sbn_from_model(h->model), rows, 2, &o, real, NULL);
}

static gm_status rbm_gibbs(host *h)
{
    gm_progress_options o = GM_PROGRESS_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_rbm_gibbs(gm_rbm_from_model(h->model), ROWS, 3, &o, out, NULL);
}

static gm_status rbm_ais(host *h)
{
    static const double betas[3] = { 0, 0.5, 1 };
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    gm_rbm_ais_result result = GM_RBM_AIS_RESULT_INIT;
    o.runs = 5;
    o.betas = betas;
    o.beta_count = 3;
    o.on_progress = on_progress;
    o.user = h;
    return gm_rbm_ais(&result, gm_rbm_from_model(h->model), &o);
}

static gm_status dbn_bound(host *h)
{
    gm_log_prob_options o = GM_LOG_PROB_OPTIONS_INIT;
    o.on_progress = on_progress;
    o.user = h;
    return gm_dbn_bound(gm_dbn_from_model(h->model), rows, ROWS, &o, real, real_too);
}

#define AUTOREGRESSIVE "autoregressive"
static const struct {
    const char *name, *family; /* family NULL: those with the verb */
    int32_t verb;
    call_fn *call;
} calls[] = {
    { "fit, progress", NULL, GM_VERB_FIT, fit_progress },
    { "fit, report", NULL, GM_VERB_FIT, fit_report },
    { "fit, patience", NULL, GM_VERB_FIT, fit_patience },
    { "evaluate", NULL, GM_VERB_FIT, evaluate },
    { "sample", NULL, GM_VERB_SAMPLE, sample },
    { "log_prob", NULL, GM_VERB_LOG_PROB, log_prob },
    { "evaluate_nll", NULL, GM_VERB_LOG_PROB, nll },
    { "sample_given", AUTOREGRESSIVE, 0, sample_given },
    { "log_marginal", AUTOREGRESSIVE, 0, log_marginal },
    { "impute", AUTOREGRESSIVE, 0, impute },
    { "gibbs", "sbn", 0, sbn_gibbs },
    { "mean_field", "sbn", 0, sbn_mean_field },
    { "enumerate", "sbn", 0, sbn_enumerate },
    { "gibbs", "rbm", 0, rbm_gibbs },
    { "ais", "rbm", 0, rbm_ais },
    { "bound", "dbn", 0, dbn_bound },
};

static int has(const gm_model *model, size_t call)
{
    if (!calls[call].family) return gm_model_supports(model, calls[call].verb);
    if (!strcmp(calls[call].family, AUTOREGRESSIVE)) return gm_autoregressive_kind(model) >= 0;
    return !strcmp(calls[call].family, gm_model_family(model));
}

/* _i: the family */
static void run(int family, int release)
{
    int called = 0;
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        host h = { .ctx = support_context(5, 1), .release = release };
        h.model = family_make(h.ctx, family, &size);
        const int64_t shape[2] = { ROWS, gm_model_row_size(h.model) };
        ck_assert_int_le(shape[1], WIDEST);
        memset(out, 0, sizeof out);
        memset(known, 0, sizeof known);
        if (gm_autoregressive_kind(h.model) >= 0) { /* the first column of the order is known */
            int64_t order[WIDEST];
            support_ok(h.ctx, gm_autoregressive_order(h.model, order));
            for (int64_t r = 0; r < ROWS; r++) known[r * shape[1] + order[0]] = 1;
        }
        support_ok(h.ctx, gm_dataset_from_memory(&h.data, h.ctx, 2, shape, rows));
        if (has(h.model, c)) {
            const gm_status status = calls[c].call(&h);
            ck_assert_msg(status == GM_OK, "%s: %s: %s: %s", families[family].name, calls[c].name,
                          gm_status_name(status), h.ctx ? gm_context_error(h.ctx) : "released");
            ck_assert_msg(h.calls > 0, "%s: %s tells no progress", families[family].name,
                          calls[c].name);
            called++;
        }
        release_all(&h);
    }
    ck_assert_int_gt(called, 0);
}

START_TEST(all_is_released_within)
{
    run(_i, 1);
}
END_TEST

START_TEST(training_within_is_refused)
{
    run(_i, 0);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("callbacks");
    TCase *t = tcase_create("callbacks");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, all_is_released_within, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, training_within_is_refused, 0, FAMILY_COUNT);
    suite_add_tcase(suite, t);
    return suite;
}
