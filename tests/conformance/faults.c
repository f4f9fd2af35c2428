/* faults.c - does the suite catch anything? Faults are put into each family's table in memory, or
 * before the verbs, one at a time; the check that is for it must fail. Every family has two or more
 * of each kind that its verbs allow. */
#include <sys/mman.h>

#include "conformance.h"
#include "models/family.h"

static const gm_family *true_family; /* the table of the maker in hand as the library has it */

/* A family is known by the place of its table, which cannot be written to: its pages are opened for
 * this. */
static void replace(const gm_family *family, const gm_family *with)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
                    begin = (uintptr_t)family / page * page;
    const size_t size = (size_t)((uintptr_t)(family + 1) - begin);
    ck_assert_int_eq(mprotect((void *)begin, size, PROT_READ | PROT_WRITE), 0);
    memcpy((void *)(uintptr_t)family, with, sizeof *with);
    ck_assert_int_eq(mprotect((void *)begin, size, PROT_READ), 0);
}

static gm_status true_step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    return true_family->step ? true_family->step(model, batch, metrics)
                             : gm_model_descend(model, batch, metrics);
}

static void nudge(gm_model *model)
{
    gm_param *p = gm_params_get(model->params, 0);
    gm_param_value(p)[0] += 0.01f;
}

/* --- Labels: those of the host's in the place of the dataset's, or one class for all. */

static int one_class; /* 1: class 0 for all; 0: the host's labels */

static gm_batch mislabelled(gm_model *model, const gm_batch *batch)
{
    static const float zeros[1024];
    gm_batch b = *batch;
    ck_assert_int_le(batch->count, 1024);
    if (one_class)
        b.labels = zeros;
    else if (model->label_count >= b.count)
        b.labels = model->labels;
    return b;
}

static gm_status mislabelled_loss(gm_model *model, const gm_batch *batch, gm_var *loss,
                                  gm_metrics *metrics)
{
    const gm_batch b = mislabelled(model, batch);
    return true_family->loss(model, &b, loss, metrics);
}

static gm_status mislabelled_step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const gm_batch b = mislabelled(model, batch);
    return true_step(model, &b, metrics);
}

static gm_status mislabelled_log_prob(gm_model *model, const gm_batch *batch,
                                      const gm_log_prob_options *how, double *out, double *error)
{
    const gm_batch b = mislabelled(model, batch);
    return true_family->log_prob(model, &b, how, out, error);
}

static gm_status mislabelled_sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    const gm_batch all = { .labels = labels, .count = count };
    const gm_batch b = mislabelled(model, &all);
    return true_family->sample(model, out, b.labels, count);
}

static void mislabel(gm_family *family)
{
    if (family->loss) family->loss = mislabelled_loss;
    if (family->step) family->step = mislabelled_step;
    if (family->log_prob) family->log_prob = mislabelled_log_prob;
    if (family->sample) family->sample = mislabelled_sample;
}

static void hosts_labels(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    one_class = 0;
    mislabel(family);
}

static void one_label(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    one_class = 1;
    mislabel(family);
}

static gm_status forgetful_sample(gm_model *model, float *out, const float *labels, int64_t count)
{
    const gm_status status = true_family->sample(model, out, labels, count);
    model->label_count = 0;
    return status;
}

static void forgotten_labels(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->sample = forgetful_sample;
}

/* --- What log p is. */

static gm_status wrong_kind(gm_model *model, int64_t samples, gm_likelihood *out)
{
    const gm_status status = true_family->likelihood(model, samples, out);
    out->kind = out->kind == GM_LIKELIHOOD_EXACT ? GM_LIKELIHOOD_BOUND : GM_LIKELIHOOD_EXACT;
    return status;
}

static gm_status wrong_samples(gm_model *model, int64_t samples, gm_likelihood *out)
{
    const gm_status status = true_family->likelihood(model, samples, out);
    out->samples++;
    return status;
}

static gm_status wrong_error(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                             double *out, double *error)
{
    const gm_status status = true_family->log_prob(model, batch, how, out, error);
    for (int64_t i = 0; error && i < batch->count; i++) error[i] = error[i] > 0 ? 0 : 0.01;
    return status;
}

static gm_status wrong_value(gm_model *model, const gm_batch *batch, const gm_log_prob_options *how,
                             double *out, double *error)
{
    const gm_status status = true_family->log_prob(model, batch, how, out, error);
    for (int64_t i = 0; i < batch->count; i++) out[i] += 0.25;
    return status;
}

static void kind(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->likelihood = wrong_kind;
}

static void samples(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->likelihood = wrong_samples;
}

static void errors(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->log_prob = wrong_error;
}

static void values(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->log_prob = wrong_value;
}

/* --- Cancelling. */

static gm_status deaf_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options)
{
    gm_fit_options o = *options;
    o.on_report = NULL;
    return gm_model_fit(model, data, &o);
}

static gm_status late_fit(gm_model *model, gm_dataset *data, const gm_fit_options *options)
{
    const gm_status status = gm_model_fit(model, data, options);
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    conformance_rows(rows);
    if (status == GM_E_CANCELLED) {
        const int64_t label = 0;
        if (model->classes) (void)gm_model_set_labels(model, &label, 1);
        (void)gm_model_step(model, rows, 8, NULL, 0, NULL);
    }
    return status;
}

static gm_status deaf_log_prob(gm_likelihood *likelihood, gm_model *model, const float *rows,
                               int64_t count, const gm_log_prob_options *options, double *log_prob,
                               double *standard_error)
{
    gm_log_prob_options o = GM_LOG_PROB_OPTIONS_INIT;
    if (options) o = *options;
    o.on_progress = NULL;
    return gm_model_log_prob_estimate(likelihood, model, rows, count, &o, log_prob, standard_error);
}

static void ignored_by_fit(gm_family *family, conformance_verbs *verbs)
{
    (void)family;
    verbs->fit = deaf_fit;
}

static void one_more_update(gm_family *family, conformance_verbs *verbs)
{
    (void)family;
    verbs->fit = late_fit;
}

static void ignored_by_log_prob(gm_family *family, conformance_verbs *verbs)
{
    (void)family;
    verbs->log_prob_estimate = deaf_log_prob;
}

/* --- The way back. */

static gm_status stay(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const int64_t count = gm_params_elements(model->params);
    float *w = malloc((size_t)count * sizeof *w);
    ck_assert(w && gm_params_read(model->params, count, w) == GM_OK);
    const gm_status status = true_step(model, batch, metrics);
    if (status) (void)gm_params_write(model->params, w, count);
    free(w);
    return status;
}

static gm_status forget_moments(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const gm_status status = true_step(model, batch, metrics);
    if (status) (void)gm_optimizer_reset(model->optimizer);
    return status;
}

static gm_status pass_over(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const gm_status status = true_step(model, batch, metrics);
    return status == GM_E_NUMERIC ? GM_OK : status;
}

static gm_status draw_on(gm_model *model, const float *rows, int64_t count, gm_metric *metrics,
                         int32_t room, int32_t *metric_count)
{
    const gm_status status = gm_model_step(model, rows, count, metrics, room, metric_count);
    if (status) (void)gm_rng_double(model->rng);
    return status;
}

static void weights_stay(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->step = stay;
}

static void moments_go(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->step = forget_moments;
}

static void status_lost(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->step = pass_over;
}

static void stream_goes_on(gm_family *family, conformance_verbs *verbs)
{
    (void)family;
    verbs->step = draw_on;
}

/* --- Evaluation, files and threads. */

static gm_status drawing_evaluate(gm_model *model, gm_dataset *data, int64_t batch, int64_t limit,
                                  gm_metric *metrics, int32_t room, int32_t *metric_count)
{
    (void)gm_rng_double(model->rng);
    return conformance_evaluate(model, data, batch, limit, metrics, room, metric_count);
}

static gm_status other_save(gm_model *model, gm_archive *archive, int checkpoint)
{
    const int64_t count = gm_params_elements(model->params);
    float *w = malloc((size_t)count * sizeof *w);
    ck_assert(w && gm_params_read(model->params, count, w) == GM_OK);
    nudge(model);
    const gm_status status = true_family->save(model, archive, checkpoint);
    (void)gm_params_write(model->params, w, count);
    free(w);
    return status;
}

static gm_status threaded_step(gm_model *model, const gm_batch *batch, gm_metrics *metrics)
{
    const gm_status status = true_step(model, batch, metrics);
    if (gm_context_threads(model->ctx) == 3) nudge(model);
    return status;
}

static void evaluation_draws(gm_family *family, conformance_verbs *verbs)
{
    (void)family;
    verbs->evaluate = drawing_evaluate;
}

static void file_differs(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->save = other_save;
}

static void threads_differ(gm_family *family, conformance_verbs *verbs)
{
    (void)verbs;
    family->step = threaded_step;
}

/* --- All of them. */

enum { LABELS = 1, LIKELIHOOD = 2, FIT = 4, SAMPLE = 8, ANY = 0 };

static int32_t has(const maker *m)
{
    const gm_family *f = gm_family_find(m->family);
    return (m->labels ? LABELS : 0) | (m->likelihood >= 0 ? LIKELIHOOD : 0) | (f->loss ? FIT : 0) |
           (f->sample ? SAMPLE : 0);
}

static const struct fault {
    const char *kind, *name;
    int32_t needs; /* all of these */
    void (*check)(conformance *c);
    void (*put_in)(gm_family *family, conformance_verbs *verbs);
} faults[] = {
    { "labels", "those of the host's", LABELS | FIT, check_labels, hosts_labels },
    { "labels", "one class for all", LABELS, check_labels, one_label },
    { "labels", "forgotten by sample", LABELS | SAMPLE, check_labels, forgotten_labels },
    { "protocol", "another kind", LIKELIHOOD, check_likelihood, kind },
    { "protocol", "another number of samples", LIKELIHOOD, check_likelihood, samples },
    { "protocol", "other errors", LIKELIHOOD, check_likelihood, errors },
    { "protocol", "other values", LIKELIHOOD, check_likelihood, values },
    { "cancel", "ignored by fit", FIT, check_cancel, ignored_by_fit },
    { "cancel", "one more update", FIT, check_cancel, one_more_update },
    { "cancel", "ignored by log_prob", LIKELIHOOD, check_cancel, ignored_by_log_prob },
    { "way back", "weights stay", FIT, check_way_back, weights_stay },
    { "way back", "moments go", FIT, check_way_back, moments_go },
    { "way back", "status lost", FIT, check_way_back, status_lost },
    { "way back", "stream goes on", FIT, check_way_back, stream_goes_on },
    { "stream", "evaluation draws", FIT, check_stream, evaluation_draws },
    { "files", "other weights", ANY, check_files, file_differs },
    { "files", "other weights to go on from", FIT, check_resume, file_differs },
    { "threads", "other weights", FIT, check_threads, threads_differ },
};
#define FAULTS ((int)(sizeof faults / sizeof *faults))

START_TEST(every_fault_is_caught)
{
    const maker *m = &makers[_i];
    const gm_family *family = gm_family_find(m->family), own = *family;
    int caught = 0;
    true_family = &own;
    for (int i = 0; i < FAULTS; i++) {
        const struct fault *f = &faults[i];
        gm_family copy = own;
        conformance_verbs verbs = conformance_library;
        conformance c = { .maker = m, .verbs = &verbs };
        if ((has(m) & f->needs) != f->needs) continue;
        f->put_in(&copy, &verbs);
        replace(family, &copy);
        f->check(&c);
        replace(family, &own);
        ck_assert_msg(c.failure[0], "%s: %s: %s: not caught", m->name, f->kind, f->name);
        caught++;
    }
    ck_assert_int_ge(caught, m->labels ? 3 : 1);
    printf("%s: %d faults caught\n", m->name, caught);
}
END_TEST

/* Two or more of a kind for each family that has what it is about. */
START_TEST(there_are_two_of_each_kind)
{
    static const struct {
        const char *kind;
        int32_t about;
    } kinds[] = {
        { "labels", LABELS }, { "protocol", LIKELIHOOD }, { "cancel", FIT }, { "way back", FIT }
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int count = 0;
        if (!(has(&makers[_i]) & kinds[k].about)) continue;
        for (int i = 0; i < FAULTS; i++)
            count += !strcmp(faults[i].kind, kinds[k].kind) &&
                     (has(&makers[_i]) & faults[i].needs) == faults[i].needs;
        ck_assert_msg(count >= 2, "%s: %d faults of kind %s", makers[_i].name, count,
                      kinds[k].kind);
    }
}
END_TEST

/* With the tables put back it passes: what failed was the fault. */
START_TEST(the_library_is_as_before)
{
    for (int i = 0; i < conformance_check_count; i++) {
        conformance c = { .maker = &makers[_i], .verbs = &conformance_library };
        conformance_checks[i].run(&c);
        ck_assert_msg(!c.failure[0], "%s: %s", conformance_checks[i].name, c.failure);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance: faults");
    TCase *t = tcase_create("faults");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, there_are_two_of_each_kind, 0, maker_count);
    tcase_add_loop_test(t, every_fault_is_caught, 0, maker_count);
    tcase_add_loop_test(t, the_library_is_as_before, 0, maker_count);
    suite_add_tcase(s, t);
    return s;
}
