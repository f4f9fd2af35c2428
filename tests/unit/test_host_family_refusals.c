/* test_host_family_refusals.c - what a host's family may do wrong: its table, its callbacks, its
 * files, the registry.
 */
#include "flow.h"
#include "nets.h"

/* A family of one weight, whose callbacks do what the test tells them. */
typedef struct tiny {
    gm_context *ctx;
    gm_model *model; /* for calls from inside */
    gm_params *params, *state;
    int destroyed;
    /* What the next callback does. */
    gm_status status;
    const char *line;
    int32_t metric_count;
    const char *metric;
    gm_status inner[8]; /* what the verbs said that were called from inside */
    int32_t what;
    gm_likelihood likelihood;
    int64_t samples;
} tiny;

#define TINY_FINE 0
#define TINY_FAIL 1
#define TINY_VECTOR 2 /* a loss of two elements */
#define TINY_STALE 3
#define TINY_TAPE 4 /* an operation that fails */
#define TINY_INSIDE 5
#define TINY_STATE 6 /* changes the state, then fails */
#define TINY_NAN 7

static gm_status failed(const tiny *t)
{
    return t->line ? gm_context_fail(t->ctx, t->status, t->line) : t->status;
}

/* Verbs of the callback's own model. */
static void from_inside(tiny *t)
{
    static const float rows[2] = { 1, 2 };
    const int64_t label = 0;
    gm_dataset *data = nets_bits(t->ctx, 5, 1); /* so that fit would try its last row */
    float row;
    double log_prob;
    gm_likelihood likelihood = GM_LIKELIHOOD_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.batch = 4;
    /* A getter, whose callback is inside of this one. */
    support_ok(t->ctx, gm_model_likelihood(&likelihood, t->model));
    t->inner[0] = gm_model_step(t->model, rows, 2, NULL, 0, NULL);
    t->inner[1] = gm_model_sample_into(t->model, 1, NULL, &row);
    t->inner[2] = gm_model_log_prob(t->model, rows, 1, &log_prob);
    t->inner[3] = gm_model_evaluate(t->model, data, support_batches(4, 0), NULL, 0, NULL);
    t->inner[4] = gm_model_save(t->model, "/nowhere/at/all");
    t->inner[5] = gm_model_fit(t->model, data, &fit);
    t->inner[6] = gm_model_set_labels(t->model, &label, 1);
    gm_dataset_release(data);
}

static gm_status tiny_do(tiny *t, gm_tape *tape)
{
    static const int64_t bad[2] = { 2, 3 };
    if (t->what == TINY_FAIL) return failed(t);
    if (t->what == TINY_TAPE)
        gm_add(tape, gm_constant(tape, 1, bad, 0), gm_constant(tape, 1, bad + 1, 0));
    if (t->what == TINY_INSIDE) from_inside(t);
    return GM_OK;
}

static gm_status tiny_loss(void *user, gm_tape *tape, const gm_host_batch *batch, gm_var *loss,
                           gm_metric *metrics, int32_t *metric_count)
{
    tiny *t = user;
    gm_var w = gm_parameter(tape, gm_params_get(t->params, 0));
    gm_var x = gm_input_array(tape, 1, &batch->count, batch->rows);
    gm_var error = gm_square(tape, gm_sub(tape, x, w));
    *loss = gm_mean(tape, error);
    if (t->what == TINY_VECTOR) *loss = error;
    if (t->what == TINY_NAN) *loss = gm_log(tape, gm_shift(tape, gm_neg(tape, *loss), -1));
    if (t->what == TINY_STALE) gm_tape_reset(tape);
    if (t->what == TINY_STATE) gm_param_value(gm_params_get(t->state, 0))[0] = 7;
    if (t->what == TINY_STATE) return GM_E_NUMERIC;
    for (int i = 0; i < t->metric_count && i < GM_MAX_METRICS - 1; i++)
        metrics[i] = (gm_metric){ t->metric, i };
    *metric_count = t->metric_count;
    return tiny_do(t, tape);
}

static gm_status tiny_sample(void *user, gm_tape *tape, const float *labels, int64_t count,
                             float *rows)
{
    (void)labels;
    ck_assert_int_eq(gm_tape_mode(tape), GM_TAPE_CONSTANT);
    ck_assert_int_le(count, 512);
    gm_var noise = gm_randn(tape, 1, &count);
    const gm_status status = tiny_do(user, tape);
    return status ? status : gm_read(tape, noise, count, rows);
}

static gm_status tiny_log_prob(void *user, gm_tape *tape, const gm_host_batch *batch,
                               int64_t samples, double *log_prob, double *standard_error)
{
    tiny *t = user;
    ck_assert_int_le(batch->count, 512);
    t->samples = samples;
    for (int64_t i = 0; i < batch->count; i++) {
        log_prob[i] = -(double)batch->rows[i];
        if (samples && standard_error) standard_error[i] = 0.5;
    }
    return tiny_do(t, tape);
}

static gm_status tiny_likelihood(void *user, int64_t samples, gm_likelihood *likelihood)
{
    const tiny *t = user;
    ck_assert_uint_eq(likelihood->size, sizeof *likelihood);
    if (t->what == TINY_FAIL) return failed(t);
    *likelihood = t->likelihood;
    if (samples) likelihood->samples = samples;
    return GM_OK;
}

static gm_status tiny_save(void *user, gm_archive *archive, int32_t checkpoint)
{
    const tiny *t = user;
    (void)checkpoint;
    gm_status status = gm_archive_set_text(archive, "gm.family", "vae"); /* to no avail */
    if (!status) status = gm_archive_put_params(archive, "tiny.", t->params);
    return t->what == TINY_FAIL ? failed(t) : status;
}

static void tiny_destroy(void *user)
{
    tiny *t = user;
    t->destroyed++;
}

static gm_status tiny_load(void *shared, gm_context *ctx, gm_archive *archive,
                           gm_optimizer *optimizer, gm_model **out);

static gm_host_family tiny_family(tiny *t)
{
    gm_host_family family = GM_HOST_FAMILY_INIT;
    family.name = "tiny";
    family.loss = tiny_loss;
    family.sample = tiny_sample;
    family.log_prob = tiny_log_prob;
    family.save = tiny_save;
    family.load = tiny_load;
    family.destroy = tiny_destroy;
    family.shared = t;
    return family;
}

/* What load gives back is `what` of the struct that is shared; its model is a new one. */
#define LOAD_NOTHING 20
#define LOAD_ANOTHER_FAMILY 21
#define LOAD_WITHOUT_OPTIMIZER 22
#define LOAD_ANOTHER_CONTEXT 23

static gm_status tiny_load(void *shared, gm_context *ctx, gm_archive *archive,
                           gm_optimizer *optimizer, gm_model **out)
{
    tiny *t = shared;
    gm_host_family family = tiny_family(t);
    gm_model_options options = GM_MODEL_OPTIONS_INIT;
    ck_assert_ptr_null(*out);
    if (t->what == TINY_FAIL) return failed(t);
    if (t->what == LOAD_NOTHING) return GM_OK;
    if (t->what == LOAD_ANOTHER_FAMILY) family.name = "small";
    if (t->what == LOAD_ANOTHER_CONTEXT)
        return gm_model_create(out, t->ctx, &family, t, 1, t->params, NULL);
    if (t->what != LOAD_WITHOUT_OPTIMIZER) options.optimizer = optimizer;
    gm_status status = gm_archive_get_params(archive, "tiny.", t->params);
    gm_archive_set_text(archive, "gm.family", "changed");
    return status ? status : gm_model_create(out, ctx, &family, t, 1, t->params, &options);
}

static gm_context *ctx;
static tiny one;
static char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];

static void setup(void)
{
    gm_param *param = NULL;
    ctx = support_context(4, 1);
    memset(&one, 0, sizeof one);
    one.ctx = ctx;
    one.likelihood = (gm_likelihood)GM_LIKELIHOOD_INIT;
    support_ok(ctx, gm_params_create(&one.params, ctx));
    support_ok(ctx, gm_params_create(&one.state, ctx));
    support_ok(ctx, gm_param_create(&param, ctx, "w", 0, NULL));
    support_ok(ctx, gm_params_add(one.params, NULL, param));
    gm_param_release(param);
    support_ok(ctx, gm_param_create(&param, ctx, "count", 0, NULL));
    support_ok(ctx, gm_params_add(one.state, NULL, param));
    gm_param_release(param);
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
}

static void teardown(void)
{
    support_folder_remove(folder);
    gm_params_release(one.state);
    gm_params_release(one.params);
    gm_context_release(ctx);
}

static gm_model *tiny_model(const gm_host_family *family, int64_t classes)
{
    gm_model *model = NULL;
    gm_model_options options = GM_MODEL_OPTIONS_INIT;
    options.classes = classes;
    options.state = one.state;
    support_ok(ctx, gm_model_create(&model, ctx, family, &one, 1, one.params, &options));
    one.model = model;
    return model;
}

/* --- Tables. */

static void create_fails(const gm_host_family *family, const char *text)
{
    gm_model *model = one.model;
    const gm_host_family whole = tiny_family(&one);
    support_fails(ctx, gm_model_create(&model, ctx, family, &one, 1, one.params, NULL),
                  GM_E_INVALID, text);
    ck_assert_ptr_null(model);
    ck_assert_int_eq(one.destroyed, 0);
    if (family->size == whole.size)
        support_fails(ctx, gm_context_register_family(ctx, family), GM_E_INVALID, text);
}

START_TEST(tables_that_lack_something)
{
    static const char *const names[] = { "", "a b", "vae", "nade",
                                         "abcdefghijklmnopqrstuvwxyz012345" };
    gm_host_family f = tiny_family(&one);
    f.name = NULL;
    create_fails(&f, "name is NULL");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        f.name = names[i];
        create_fails(&f, names[i]);
    }
    f = tiny_family(&one);
    f.loss = NULL;
    f.sample = NULL;
    f.log_prob = NULL;
    create_fails(&f, "tiny: loss is NULL");
    f = tiny_family(&one);
    f.load = NULL;
    create_fails(&f, "tiny: load is NULL");
    f = tiny_family(&one);
    f.save = NULL;
    create_fails(&f, "tiny: save is NULL");
    f = tiny_family(&one);
    f.log_prob = NULL;
    f.likelihood = tiny_likelihood;
    create_fails(&f, "tiny: log_prob is NULL");
    f = tiny_family(&one);
    f.size = 3;
    create_fails(&f, "size");
    /* One that is fine, but cannot be loaded. */
    f = tiny_family(&one);
    f.save = NULL;
    f.load = NULL;
    support_fails(ctx, gm_context_register_family(ctx, &f), GM_E_INVALID, "tiny: load is NULL");
    support_fails(ctx, gm_context_register_family(ctx, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_context_register_family(NULL, &f), GM_E_INVALID);
}
END_TEST

START_TEST(models_that_cannot_be)
{
    const gm_host_family f = tiny_family(&one);
    gm_host_family still = tiny_family(&one);
    gm_model_options o = GM_MODEL_OPTIONS_INIT;
    gm_model *model = NULL;
    gm_context *other = support_context(1, 1);
    gm_params *far = NULL;
    gm_optimizer *adam = NULL, *bound = NULL;
    support_ok(other, gm_params_create(&far, other));
    support_ok(ctx, gm_adam_create(&adam, ctx, NULL));
    support_ok(ctx, gm_adam_create(&bound, ctx, NULL));
    support_ok(ctx, gm_optimizer_add(bound, one.params));
    support_fails(ctx, gm_model_create(&model, ctx, NULL, &one, 1, one.params, &o), GM_E_INVALID,
                  "NULL");
    support_fails(ctx, gm_model_create(NULL, ctx, &f, &one, 1, one.params, &o), GM_E_INVALID,
                  "NULL");
    ck_assert_int_eq(gm_model_create(&model, NULL, &f, &one, 1, one.params, &o), GM_E_INVALID);
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 0, one.params, &o), GM_E_INVALID,
                  "tiny: row_size is 0");
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, NULL, &o), GM_E_INVALID,
                  "tiny: params");
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, one.state, &o), GM_OK, "");
    gm_model_release(model);
    o.classes = -1;
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, one.params, &o), GM_E_INVALID,
                  "tiny: classes is -1");
    o.classes = 0;
    o.size = 5;
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, one.params, &o), GM_E_INVALID,
                  "tiny: options size is 5");
    o.size = sizeof o;
    o.state = far;
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, one.params, &o), GM_E_INVALID,
                  "context");
    o.state = NULL;
    o.optimizer = bound;
    support_fails(ctx, gm_model_create(&model, ctx, &f, &one, 1, one.params, &o), GM_E_STATE,
                  "tiny: the optimizer is bound");
    still.loss = NULL;
    o.optimizer = adam;
    support_fails(ctx, gm_model_create(&model, ctx, &still, &one, 1, one.params, &o), GM_E_INVALID,
                  "tiny: optimizer");
    ck_assert_int_eq(one.destroyed, 1); /* of the one model that came to be */
    gm_optimizer_release(bound);
    gm_optimizer_release(adam);
    gm_params_release(far);
    gm_context_release(other);
}
END_TEST

START_TEST(verbs_that_a_family_lacks)
{
    gm_host_family f = GM_HOST_FAMILY_INIT;
    gm_metric metric;
    int32_t count;
    float row = 0;
    double log_prob;
    f.name = "bare";
    f.sample = tiny_sample;
    gm_model *model = tiny_model(&f, 0);
    ck_assert_str_eq(gm_model_family(model), "bare");
    ck_assert(!gm_model_supports(model, GM_VERB_FIT) && !gm_model_supports(model, GM_VERB_SAVE));
    ck_assert(!gm_model_supports(model, GM_VERB_LOG_PROB) &&
              gm_model_supports(model, GM_VERB_SAMPLE));
    support_fails(ctx, gm_model_step(model, &row, 1, &metric, 1, &count), GM_E_UNSUPPORTED, "bare");
    support_fails(ctx, gm_model_log_prob(model, &row, 1, &log_prob), GM_E_UNSUPPORTED, "bare");
    support_fails(ctx, gm_model_save(model, path), GM_E_UNSUPPORTED, "bare");
    support_ok(ctx, gm_model_sample_into(model, 1, NULL, &row));
    ck_assert_ptr_null(gm_model_optimizer(model));
    gm_model_release(model); /* without a destroy */
    ck_assert_int_eq(one.destroyed, 0);
}
END_TEST

/* --- Callbacks. */

START_TEST(failing_callbacks)
{
    gm_host_family f = tiny_family(&one);
    f.likelihood = tiny_likelihood;
    const float rows[2] = { 1, 3 };
    float row;
    double log_prob[2];
    gm_likelihood what = GM_LIKELIHOOD_INIT;
    gm_model *model = tiny_model(&f, 0);
    support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
    for (int said = 0; said < 2; said++) {
        one.what = TINY_FAIL;
        one.status = GM_E_CANCELLED;
        one.line = said ? "tiny: no more of this" : NULL;
        const char *text = said ? one.line : "GM_E_CANCELLED";
        support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_CANCELLED, text);
        support_fails(ctx, gm_model_sample_into(model, 1, NULL, &row), GM_E_CANCELLED, text);
        support_fails(ctx, gm_model_likelihood(&what, model), GM_E_CANCELLED, text);
        support_fails(ctx, gm_model_save(model, path), GM_E_CANCELLED, text);
        ck_assert(access(path, F_OK) != 0);
        one.line = NULL;
        one.status = 17; /* no status of the library's */
        support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_INVALID,
                      "tiny: the host's loss callback returned 17");
    }
    ck_assert_int_eq(gm_model_steps(model), 1);
    one.what = TINY_TAPE;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_SHAPE, "add");
    support_fails(ctx, gm_model_sample_into(model, 1, NULL, &row), GM_E_SHAPE, "add");
    support_fails(ctx, gm_model_log_prob(model, rows, 2, log_prob), GM_E_SHAPE, "add");
    one.what = TINY_VECTOR;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_SHAPE,
                  "tiny: loss has 2 elements");
    one.what = TINY_STALE;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_STALE,
                  "tiny: loss has 0");
    one.what = TINY_NAN;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_NUMERIC,
                  "tiny: the loss is nan");
    one.what = TINY_FINE;
    one.metric_count = GM_MAX_METRICS;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_INVALID,
                  "metric_count is 16");
    one.metric_count = 1;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_INVALID, "metric 0");
    /* The line of an earlier failure outlives a callback that succeeds. */
    one.metric = "more";
    gm_metric metrics[2];
    int32_t count;
    support_fails(ctx, gm_model_step(model, rows, 2, metrics, 2, &count), GM_OK, "metric 0");
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(metrics[0].name, "loss");
    ck_assert_str_eq(metrics[1].name, "more");
    ck_assert_int_eq(gm_model_steps(model), 2);
    gm_model_release(model);
    ck_assert_int_eq(one.destroyed, 1);
}
END_TEST

START_TEST(verbs_from_inside_a_callback)
{
    gm_host_family f = tiny_family(&one);
    const float rows[2] = { 1, 3 };
    const int64_t label = 1;
    float row;
    double log_prob[2];
    f.likelihood = tiny_likelihood;
    gm_model *model = tiny_model(&f, 2);
    support_ok(ctx, gm_model_set_labels(model, &label, 1));
    one.what = TINY_INSIDE;
    for (int verb = 0; verb < 3; verb++) {
        memset(one.inner, 0, sizeof one.inner);
        if (verb == 0) support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
        if (verb == 1) support_ok(ctx, gm_model_sample_into(model, 1, NULL, &row));
        if (verb == 2) support_ok(ctx, gm_model_log_prob(model, rows, 2, log_prob));
        for (int i = 0; i < 7; i++)
            ck_assert_msg(one.inner[i] == GM_E_STATE, "verb %d of 7 is %s", i,
                          gm_status_name(one.inner[i]));
    }
    ck_assert_int_eq(gm_model_steps(model), 1);
    gm_model_release(model);
}
END_TEST

/* What the state was before a step that fails, it is afterwards. */
START_TEST(state_comes_back)
{
    const gm_host_family f = tiny_family(&one);
    const float rows[2] = { 1, 3 };
    gm_model *model = tiny_model(&f, 0);
    gm_param_value(gm_params_get(one.state, 0))[0] = 5;
    one.what = TINY_STATE;
    support_fails(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL), GM_E_NUMERIC, "tiny");
    ck_assert(gm_param_value(gm_params_get(one.state, 0))[0] == 5);
    gm_model_release(model);
}
END_TEST

static int32_t stop_after_one(void *user, int64_t done, int64_t total)
{
    int64_t *seen = user;
    ck_assert_int_eq(total, 1100);
    *seen = done;
    return done > 600;
}

/* Estimates: the protocol is the family's, and samples go to it. */
START_TEST(likelihoods)
{
    gm_host_family f = tiny_family(&one);
    gm_likelihood what = GM_LIKELIHOOD_INIT;
    gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
    static float rows[1100];
    static double log_prob[1100], error[1100];
    int64_t seen = 0;
    gm_model *model = tiny_model(&f, 0);
    support_ok(ctx, gm_model_likelihood(&what, model));
    ck_assert_int_eq(what.kind, GM_LIKELIHOOD_EXACT);
    how.samples = 3;
    support_fails(ctx, gm_model_log_prob_estimate(NULL, model, rows, 2, &how, log_prob, NULL),
                  GM_E_UNSUPPORTED, "tiny: log_prob: samples is 3");
    gm_model_release(model);
    f.likelihood = tiny_likelihood;
    model = tiny_model(&f, 0);
    one.likelihood.kind = GM_LIKELIHOOD_IMPORTANCE;
    one.likelihood.samples = 10;
    support_ok(ctx, gm_model_log_prob_estimate(&what, model, rows, 1100, NULL, log_prob, error));
    ck_assert_int_eq(what.kind, GM_LIKELIHOOD_IMPORTANCE);
    ck_assert_int_eq(what.samples, 10);
    ck_assert(error[1099] == 0.5);
    how.on_progress = stop_after_one;
    how.user = &seen;
    support_fails(ctx, gm_model_log_prob_estimate(&what, model, rows, 1100, &how, log_prob, error),
                  GM_E_CANCELLED, "tiny: stopped by the host after 1024 of 1100");
    ck_assert_int_eq(one.samples, 3);
    ck_assert_int_eq(seen, 1024);
    one.likelihood.kind = 9;
    support_fails(ctx, gm_model_likelihood(&what, model), GM_E_INVALID,
                  "tiny: likelihood: kind is 9");
    one.likelihood.kind = GM_LIKELIHOOD_BOUND;
    one.likelihood.samples = -2;
    support_fails(ctx, gm_model_likelihood(&what, model), GM_E_INVALID, "samples is -2");
    gm_model_release(model);
}
END_TEST

/* --- The registry and files. */

START_TEST(the_registry)
{
    char name[8] = "tiny";
    gm_host_family f = tiny_family(&one);
    gm_model *model = tiny_model(&f, 0), *loaded = one.model;
    const float row = 2;
    support_ok(ctx, gm_model_step(model, &row, 1, NULL, 0, NULL));
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_fails(ctx, gm_model_load(&loaded, ctx, path), GM_E_UNSUPPORTED, "\"tiny\"");
    ck_assert_ptr_null(loaded);
    f.name = name;
    support_ok(ctx, gm_context_register_family(ctx, &f));
    support_fails(ctx, gm_context_register_family(ctx, &f), GM_E_INVALID, "name is \"tiny\"");
    memset(name, 'x', 4); /* it was copied */
    memset(&f, 0, sizeof f);
    support_ok(ctx, gm_model_load(&loaded, ctx, path));
    ck_assert_str_eq(gm_model_family(loaded), "tiny");
    ck_assert_int_eq(gm_model_steps(loaded), 1);
    ck_assert_ptr_eq(gm_model_user(loaded, "tiny"), &one);
    gm_model_release(loaded);
    static const struct {
        int32_t what;
        const char *text;
    } wrong[] = {
        { LOAD_NOTHING, "tiny: load gave no model" },
        { LOAD_ANOTHER_FAMILY, "tiny: load gave a model of the family \"small\"" },
        { LOAD_WITHOUT_OPTIMIZER, "tiny: load gave a model with another optimizer" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        one.what = wrong[i].what;
        support_fails(ctx, gm_model_load(&loaded, ctx, path), GM_E_INVALID, wrong[i].text);
        ck_assert_ptr_null(loaded);
    }
    one.what = TINY_FAIL;
    one.status = GM_E_NUMERIC;
    support_fails(ctx, gm_model_load(&loaded, ctx, path), GM_E_NUMERIC,
                  "tiny: the host's load callback returned");
    /* Another context has another registry. */
    gm_context *other = support_context(1, 1);
    const gm_host_family again = tiny_family(&one);
    support_fails(other, gm_model_load(&loaded, other, path), GM_E_UNSUPPORTED, "\"tiny\"");
    support_ok(other, gm_context_register_family(other, &again));
    one.what = LOAD_ANOTHER_CONTEXT;
    support_fails(other, gm_model_load(&loaded, other, path), GM_E_INVALID, "another context");
    gm_context_release(other);
    gm_model_release(model);
}
END_TEST

/* Tables of other kinds, and what is refused of all of them. */
START_TEST(tables_by_name)
{
    struct {
        size_t size;
        int64_t value;
    } table = { sizeof table, 7 };
    support_ok(ctx, gm_context_register(ctx, "mine", "a", &table));
    support_ok(ctx, gm_context_register(ctx, "mine", "b", &table));
    support_ok(ctx, gm_context_register(ctx, "other", "a", &table));
    support_fails(ctx, gm_context_register(ctx, "mine", "a", &table), GM_E_INVALID,
                  "name is \"a\"");
    support_fails(ctx, gm_context_register(ctx, "a b", "a", &table), GM_E_INVALID,
                  "kind is \"a b\"");
    support_fails(ctx, gm_context_register(ctx, "mine", "", &table), GM_E_INVALID, "name is \"\"");
    support_fails(ctx, gm_context_register(ctx, "mine", "c", NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_context_register(ctx, "mine", NULL, &table), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_context_register(ctx, NULL, "c", &table), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_context_register(NULL, "mine", "c", &table), GM_E_INVALID);
    table.size = 4097;
    support_fails(ctx, gm_context_register(ctx, "mine", "c", &table), GM_E_INVALID,
                  "size of \"c\" is 4097");
    table.size = 3;
    support_fails(ctx, gm_context_register(ctx, "mine", "c", &table), GM_E_INVALID,
                  "size of \"c\" is 3");
    table.value = 8;
    int64_t value;
    memcpy(&value, (const char *)gm_context_registered(ctx, "mine", "a") + sizeof table.size,
           sizeof value);
    ck_assert_int_eq(value, 7);
    ck_assert_ptr_null(gm_context_registered(ctx, "mine", "c"));
    ck_assert_ptr_null(gm_context_registered(ctx, "mine", NULL));
    ck_assert_ptr_null(gm_context_registered(NULL, "mine", "a"));
    /* A family that came this way is checked when it is loaded. */
    support_ok(ctx, gm_context_register(ctx, "family", "tiny",
                                        &(gm_host_family){ .size = sizeof(gm_host_family) }));
    const gm_host_family f = tiny_family(&one);
    gm_model *model = tiny_model(&f, 0), *loaded = NULL;
    support_ok(ctx, gm_model_save(model, path));
    support_fails(ctx, gm_model_load(&loaded, ctx, path), GM_E_INVALID, "tiny: loss is NULL");
    gm_model_release(model);
}
END_TEST

/* A flow's file with one text changed: refused with a line, or a model all the same. */
START_TEST(hostile_files)
{
    static const char *const texts[] = {
        "", "-1", "0", "9", "99999999999999", "nan", "nade", "[]"
    };
    const gm_host_family family = flow_family();
    gm_model *model = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    int refused = 0;
    support_ok(ctx, gm_context_register_family(ctx, &family));
    support_ok(ctx, flow_create(&model, ctx, 2, 3, 2, NULL));
    support_ok(ctx, gm_model_save_checkpoint(model, path));
    support_ok(ctx, gm_archive_open(&archive, ctx, path));
    const int64_t count = gm_archive_text_count(archive);
    gm_archive_release(archive);
    for (int64_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            support_ok(ctx, gm_model_save_checkpoint(model, path));
            support_ok(ctx, gm_archive_open(&archive, ctx, path));
            support_ok(ctx,
                       gm_archive_set_text(archive, gm_archive_text_key(archive, i), texts[k]));
            support_ok(ctx, gm_archive_write(archive, path));
            gm_archive_release(archive);
            (void)gm_context_fail(ctx, GM_OK, "");
            const gm_status status = gm_model_load(&loaded, ctx, path);
            ck_assert(!status == (loaded != NULL));
            ck_assert(!status || gm_context_error(ctx)[0]);
            refused += status != GM_OK;
            gm_model_release(loaded);
        }
    }
    ck_assert_int_gt(refused, count);
    gm_model_release(model);
}
END_TEST

/* The model's last owner may be anyone, and its context goes with it. */
START_TEST(release_orders)
{
    gm_memory_counters before, after;
    gm_context *own = support_context(1, 1);
    gm_model *model = NULL;
    gm_params *params = NULL;
    gm_context_memory(&before, own);
    support_ok(own, flow_create(&model, own, 2, 3, 0, NULL));
    params = gm_model_params(model);
    gm_params_retain(params);
    gm_model_retain(model);
    gm_model_release(model);
    gm_model_release(model);
    ck_assert_int_eq(gm_params_count(params), 8);
    gm_params_release(params);
    gm_context_memory(&after, own);
    ck_assert_uint_eq(before.bytes, after.bytes);
    support_ok(own, flow_create(&model, own, 2, 3, 0, NULL));
    gm_context_release(own);
    gm_model_release(model);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("host_family_refusals");
    TCase *t = tcase_create("host_family_refusals");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, tables_that_lack_something);
    tcase_add_test(t, models_that_cannot_be);
    tcase_add_test(t, verbs_that_a_family_lacks);
    tcase_add_test(t, failing_callbacks);
    tcase_add_test(t, verbs_from_inside_a_callback);
    tcase_add_test(t, state_comes_back);
    tcase_add_test(t, likelihoods);
    tcase_add_test(t, the_registry);
    tcase_add_test(t, tables_by_name);
    tcase_add_test(t, hostile_files);
    tcase_add_test(t, release_orders);
    suite_add_tcase(s, t);
    return s;
}
