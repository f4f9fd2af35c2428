/* test_fit.c - gm_model_fit stopped anywhere and gone on with, under each of its options: the rows,
 * weights and files of the undisturbed fit; and the best weights after every way out. */
#include <sys/stat.h>

#include "families.h"

#define ROWS 22 /* batches of 8: two, and one of 6 */
#define EPOCHS 4
static const family_size small = { 6, 4, 2 };

/* --- One run: a model, its rows, its options, and where it is stopped. */

typedef struct run {
    gm_context *ctx;
    gm_dataset *data, *check;
    gm_model *model;
    gm_fit_options o;
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16], own[SUPPORT_PATH + 16];
    int64_t calls, stop_at; /* of on_report; 0: nowhere */
    int64_t done, again,
        stop_again;    /* of on_progress: the count, calls with the same, which stops */
    double best, last; /* validation losses */
} run;

static int32_t report(void *user, const gm_fit_report *p)
{
    run *r = user;
    if (p->epoch_end && p->validation_count) {
        r->last = p->validation[0].value;
        if (!(r->last >= r->best)) r->best = r->last;
    }
    return ++r->calls == r->stop_at;
}

/* The options that a case is about. */
typedef struct choice {
    const char *name;
    void (*set)(run *r);
} choice;

static run run_begin(int family, const choice *with)
{
    run r = { .ctx = support_context(7, 1) };
    r.best = r.last = (double)NAN;
    support_memory_folder();
    support_folder_make(r.folder);
    snprintf(r.path, sizeof r.path, "%s/model", r.folder);
    snprintf(r.own, sizeof r.own, "%s/fit", r.folder);
    r.model = family_make(r.ctx, family, &small);
    r.data = nets_bits(r.ctx, ROWS, gm_model_row_size(r.model));
    r.check = nets_bits(r.ctx, 2 * ROWS, gm_model_row_size(r.model));
    gm_dataset *held = NULL;
    support_ok(r.ctx, gm_dataset_range(&held, r.check, ROWS + 4, 2 * ROWS));
    gm_dataset_release(r.check);
    r.check = held;
    r.o = (gm_fit_options)GM_FIT_OPTIONS_INIT;
    r.o.epochs = EPOCHS;
    r.o.batch = 8;
    r.o.on_report = report;
    with->set(&r);
    return r;
}

static void run_end(run *r)
{
    gm_model_release(r->model);
    gm_dataset_release(r->check);
    gm_dataset_release(r->data);
    gm_context_release(r->ctx);
    support_folder_remove(r->folder);
}

static gm_status fit(run *r)
{
    r->o.user = r;
    if (r->o.checkpoint) r->o.checkpoint = r->own; /* the run has moved since */
    return gm_model_fit(r->model, r->data, &r->o);
}

/* The model that the file of its checkpoint gives, in its place. */
static void reload(run *r)
{
    gm_model *loaded = NULL;
    support_ok(r->ctx, gm_model_save_checkpoint(r->model, r->path));
    support_ok(r->ctx, gm_model_load(&loaded, r->ctx, r->path));
    gm_model_release(r->model);
    r->model = loaded;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    *size = 0;
    if (!f) return NULL;
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    ck_assert(bytes && fread(bytes, 1, *size, f) == *size);
    fclose(f);
    return bytes;
}

static void same_file(const char *a, const char *b, const char *what)
{
    size_t na, nb;
    char *x = read_file(a, &na), *y = read_file(b, &nb);
    ck_assert_msg(!x == !y && na == nb && (!x || !memcmp(x, y, na)), "%s: other bytes", what);
    free(y);
    free(x);
}

/* Both have the same checkpoint, and their fits left the same one. */
static void same_end(run *a, run *b, const char *what)
{
    support_ok(a->ctx, gm_model_save_checkpoint(a->model, a->path));
    support_ok(b->ctx, gm_model_save_checkpoint(b->model, b->path));
    same_file(a->path, b->path, what);
    same_file(a->own, b->own, what);
}

static double validation(run *r)
{
    gm_metric m[GM_MAX_METRICS];
    int32_t count;
    support_ok(r->ctx, gm_model_evaluate(r->model, r->check, support_batches(r->o.batch, 0), m,
                                         GM_MAX_METRICS, &count));
    return m[0].value;
}

/* --- Each option. */

static void plain(run *r)
{
    (void)r;
}

static void in_order(run *r)
{
    r->o.shuffle = 0;
}

static void dropping(run *r)
{
    r->o.drop_last = 1;
}

static void validating(run *r)
{
    r->o.validation = r->check;
}

static void patient(run *r)
{
    r->o.validation = r->check;
    r->o.patience = 50;
}

/* Of an optimizer that makes it worse and worse. */
static void impatient(run *r)
{
    patient(r);
    r->o.patience = 1;
    r->o.epochs = 9;
    support_ok(r->ctx, gm_optimizer_set_rate(gm_model_optimizer(r->model), 0.3));
}

static void saving(run *r)
{
    r->o.checkpoint = r->own;
    r->o.checkpoint_every = 3;
}

static void saving_steps(run *r)
{
    saving(r);
    r->o.checkpoint_steps = 2;
}

static void scheduled(run *r)
{
    gm_schedule s = GM_SCHEDULE_INIT;
    s.kind = GM_SCHEDULE_COSINE;
    s.warmup = 2;
    s.period = 9;
    support_ok(r->ctx, gm_optimizer_set_schedule(gm_model_optimizer(r->model), &s));
    support_ok(r->ctx, gm_optimizer_set_clip_norm(gm_model_optimizer(r->model), 0.1));
}

static void averaging(run *r)
{
    support_ok(r->ctx, gm_optimizer_set_average(gm_model_optimizer(r->model), 0.7));
}

static void everything(run *r)
{
    dropping(r);
    impatient(r);
    scheduled(r);
    averaging(r);
    saving_steps(r);
}

static const choice options[] = {
    { "no option", plain },
    { "shuffle 0", in_order },
    { "drop_last", dropping },
    { "validation", validating },
    { "patience that lasts", patient },
    { "patience that runs out", impatient },
    { "checkpoint_every", saving },
    { "checkpoint_steps", saving_steps },
    { "schedule and clipping", scheduled },
    { "averages", averaging },
    { "all", everything },
};
#define OPTIONS ((int)(sizeof options / sizeof *options))
#define ALL (OPTIONS - 1)
#define VALIDATING 3

/* Stopped at this call of on_report, then gone on with for what is missing: as without a stop. */
static void stopped_at(run *whole, int family, const choice *with, int64_t stop_at, int loaded)
{
    char what[128];
    run r = run_begin(family, with);
    snprintf(what, sizeof what, "%s, %s, stopped at call %lld%s", families[family].name, with->name,
             (long long)stop_at, loaded ? ", from a file" : "");
    const int64_t epochs = r.o.epochs;
    r.stop_at = stop_at;
    support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "stopped");
    if (loaded) reload(&r);
    r.o.epochs = epochs - gm_model_epochs(r.model);
    if (r.o.epochs) support_ok(r.ctx, fit(&r));
    ck_assert_msg(gm_model_steps(r.model) == gm_model_steps(whole->model),
                  "%s: %lld steps, not %lld", what, (long long)gm_model_steps(r.model),
                  (long long)gm_model_steps(whole->model));
    same_end(whole, &r, what);
    run_end(&r);
}

static void stopped_everywhere(int family, const choice *with)
{
    run whole = run_begin(family, with);
    support_ok(whole.ctx, fit(&whole));
    for (int64_t at = 1; at <= whole.calls; at++)
        for (int loaded = 0; loaded < 2; loaded++) stopped_at(&whole, family, with, at, loaded);
    run_end(&whole);
}

/* Stops at the second call with the same count: in the validation. */
static int32_t in_validation(void *user, int64_t done, int64_t total)
{
    run *r = user;
    ck_assert(done > 0 && done <= total && done >= r->done);
    const int again = done == r->done;
    r->done = done;
    r->again += again;
    return again && r->again == r->stop_again;
}

/* A fit is stopped in each of its validations, after each batch. */
static void stopped_in_validation(int family, const choice *with)
{
    run whole = run_begin(family, with);
    whole.o.on_progress = in_validation;
    support_ok(whole.ctx, fit(&whole));
    ck_assert_int_eq(whole.again, 3 * gm_model_epochs(whole.model)); /* 18 rows in batches of 8 */
    for (int64_t at = 1; at <= whole.again; at++)
        for (int loaded = 0; loaded < 2; loaded++) {
            run r = run_begin(family, with);
            const int64_t epochs = r.o.epochs;
            r.o.on_progress = in_validation;
            r.stop_again = at;
            support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "fit");
            ck_assert_int_eq(gm_model_epochs(r.model), (at - 1) / 3);
            if (loaded) reload(&r);
            r.done = 0;
            r.stop_again = 0;
            r.o.epochs = epochs - gm_model_epochs(r.model);
            support_ok(r.ctx, fit(&r));
            same_end(&whole, &r, "stopped in a validation");
            run_end(&r);
        }
    run_end(&whole);
}

static int family_of(const char *name)
{
    int i = 0;
    while (strcmp(families[i].name, name)) ck_assert_int_lt(++i, FAMILY_COUNT);
    return i;
}

START_TEST(stops_change_nothing)
{
    const int vae = family_of("vae"), gan = family_of("gan"), made = family_of("made");
    stopped_everywhere(vae, &options[_i]);
    stopped_everywhere(gan, &options[_i]);
    stopped_everywhere(made, &options[_i]);
}
END_TEST

START_TEST(stops_in_validation_change_nothing)
{
    stopped_in_validation(family_of("vae"), &options[_i ? ALL : VALIDATING]);
    stopped_in_validation(family_of("made"), &options[_i ? ALL : VALIDATING]);
}
END_TEST

START_TEST(stops_change_nothing_in_any_family)
{
    gm_context *ctx = support_context(7, 1);
    gm_model *model = family_make(ctx, _i, &small);
    const int fits = gm_model_supports(model, GM_VERB_FIT);
    gm_model_release(model);
    gm_context_release(ctx);
    if (fits) stopped_everywhere(_i, &options[ALL]);
}
END_TEST

/* Two fits are one, also when patience runs out in the first or in the second. */
START_TEST(two_fits_are_one)
{
    run whole = run_begin(family_of("vae"), &options[_i]);
    const int64_t epochs = whole.o.epochs;
    support_ok(whole.ctx, fit(&whole));
    for (int64_t first = 1; first < epochs; first++)
        for (int loaded = 0; loaded < 2; loaded++) {
            run r = run_begin(family_of("vae"), &options[_i]);
            r.o.epochs = first;
            support_ok(r.ctx, fit(&r));
            if (loaded) reload(&r);
            r.o.epochs = epochs - first;
            support_ok(r.ctx, fit(&r));
            same_end(&whole, &r, options[_i].name);
            run_end(&r);
        }
    run_end(&whole);
}
END_TEST

/* --- Every way out leaves the best weights. */

/* The model is the best one that was reported, not the last, and so are its files. */
static void is_best(run *r, const char *what)
{
    gm_model *held = r->model, *loaded = NULL;
    ck_assert_msg(r->last > r->best, "%s: the last epoch is the best: nothing is tested", what);
    ck_assert_msg(validation(r) == r->best, "%s: %.9g is left, the best is %.9g", what,
                  validation(r), r->best);
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        support_ok(r->ctx, checkpoint ? gm_model_save_checkpoint(r->model, r->path)
                                      : gm_model_save(r->model, r->path));
        support_ok(r->ctx, gm_model_load(&loaded, r->ctx, r->path));
        r->model = loaded;
        ck_assert_msg(validation(r) == r->best, "%s: a file holds %.9g, the best is %.9g", what,
                      validation(r), r->best);
        gm_model_release(loaded);
        r->model = held;
    }
}

static void worse(run *r)
{
    impatient(r);
    r->o.patience = 20;
    r->o.epochs = 30;
}

static const choice getting_worse = { "a rate that is too large", worse };

START_TEST(cancelled_with_the_best)
{
    for (int64_t at = 12 * 4; at < 12 * 4 + 4; at++) { /* after each update, and at the end */
        run r = run_begin(family_of("made"), &getting_worse);
        r.stop_at = at;
        support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "stopped");
        is_best(&r, "cancelled");
        run_end(&r);
    }
}
END_TEST

START_TEST(epochs_ran_out_with_the_best)
{
    run r = run_begin(family_of("made"), &getting_worse);
    r.o.epochs = 12;
    support_ok(r.ctx, fit(&r));
    is_best(&r, "epochs");
    run_end(&r);
}
END_TEST

/* The rate grows until a loss is not finite. */
START_TEST(not_finite_with_the_best)
{
    run r = run_begin(family_of("made"), &getting_worse);
    gm_schedule s = GM_SCHEDULE_INIT;
    s.kind = GM_SCHEDULE_EXPONENTIAL;
    s.factor = 3;
    support_ok(r.ctx, gm_optimizer_set_schedule(gm_model_optimizer(r.model), &s));
    r.o.patience = 500;
    r.o.epochs = 500;
    support_fails(r.ctx, fit(&r), GM_E_NUMERIC, "at update");
    is_best(&r, "not finite");
    run_end(&r);
}
END_TEST

/* Takes away the folder of the checkpoints in the eighth epoch. */
static int32_t without_folder(void *user, const gm_fit_report *p)
{
    run *r = user;
    (void)report(user, p);
    if (p->epoch_end && p->epoch == 12) {
        ck_assert_int_eq(remove(r->own), 0);
        ck_assert_int_eq(rmdir(r->folder), 0);
    }
    return 0;
}

START_TEST(no_checkpoint_with_the_best)
{
    run r = run_begin(family_of("made"), &getting_worse);
    r.o.checkpoint = r.own;
    r.o.on_report = without_folder;
    support_fails(r.ctx, fit(&r), GM_E_IO, "fit");
    ck_assert_int_eq(mkdir(r.folder, 0700), 0);
    r.last = (double)INFINITY; /* of the epoch that has no report */
    is_best(&r, "no checkpoint");
    run_end(&r);
}
END_TEST

typedef struct source {
    run *r;
    int64_t pass; /* in which it fails */
    int64_t used[EPOCHS][ROWS];
} source;

static gm_status read_rows(void *user, const int64_t *rows, int64_t count, int64_t pass, float *out)
{
    source *s = user;
    if (pass == s->pass) return GM_E_IO;
    for (int64_t i = 0; i < count; i++)
        if (pass < EPOCHS) s->used[pass][rows[i]]++;
    return gm_dataset_read(s->r->data, rows, count, pass, out);
}

static gm_dataset *source_data(run *r, source *s)
{
    gm_dataset *data = NULL;
    const int64_t shape[2] = { ROWS, gm_model_row_size(r->model) };
    support_ok(r->ctx, gm_dataset_from_callback(&data, r->ctx, 2, shape, read_rows, NULL, s));
    return data;
}

START_TEST(rows_fail_with_the_best)
{
    run r = run_begin(family_of("made"), &getting_worse);
    source s = { &r, 12, { { 0 } } };
    gm_dataset *data = source_data(&r, &s);
    r.o.user = &r;
    support_fails(r.ctx, gm_model_fit(r.model, data, &r.o), GM_E_IO, "");
    is_best(&r, "rows");
    gm_dataset_release(data);
    run_end(&r);
}
END_TEST

/* A kill leaves what the fit wrote last: the best of its epochs, too. */
START_TEST(checkpoints_hold_the_best)
{
    run r = run_begin(family_of("made"), &getting_worse);
    gm_model *held = r.model, *loaded = NULL;
    r.o.epochs = 1;
    r.o.checkpoint = r.own;
    r.o.checkpoint_steps = 1;
    for (int i = 0; i < 12; i++) {
        support_ok(r.ctx, fit(&r));
        support_ok(r.ctx, gm_model_load(&loaded, r.ctx, r.own));
        r.model = loaded;
        ck_assert(validation(&r) == r.best);
        r.model = held;
        gm_model_release(loaded);
    }
    ck_assert(r.last > r.best);
    r.stop_at = r.calls + 2; /* between two updates */
    support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "stopped");
    support_ok(r.ctx, gm_model_load(&loaded, r.ctx, r.own));
    r.model = loaded;
    ck_assert(validation(&r) == r.best);
    r.model = held;
    gm_model_release(loaded);
    run_end(&r);
}
END_TEST

/* Averages are those of the best epoch, too. */
START_TEST(averages_of_the_best)
{
    run whole = run_begin(family_of("made"), &getting_worse);
    support_ok(whole.ctx, gm_optimizer_set_average(gm_model_optimizer(whole.model), 0.5));
    whole.o.patience = 3;
    support_ok(whole.ctx, fit(&whole));
    const int64_t best = gm_model_epochs(whole.model) - 3;
    ck_assert_int_lt(gm_model_epochs(whole.model), whole.o.epochs);
    run r = run_begin(family_of("made"), &getting_worse);
    support_ok(r.ctx, gm_optimizer_set_average(gm_model_optimizer(r.model), 0.5));
    r.o.patience = 0;
    r.o.epochs = best;
    support_ok(r.ctx, fit(&r));
    nets_same_weights(whole.model, r.model);
    support_ok(r.ctx, gm_optimizer_swap_average(gm_model_optimizer(r.model)));
    support_ok(whole.ctx, gm_optimizer_swap_average(gm_model_optimizer(whole.model)));
    nets_same_weights(whole.model, r.model);
    support_fails(r.ctx, fit(&r), GM_E_STATE, "swapped");
    run_end(&r);
    run_end(&whole);
}
END_TEST

/* --- Rows. */

/* Stopped after each update: every pass uses each row once, and never an update more. */
START_TEST(each_row_once)
{
    for (int64_t at = 1; at <= 3 * EPOCHS; at++) {
        run r = run_begin(family_of("made"), &options[0]);
        source s = { &r, -1, { { 0 } } };
        gm_dataset *data = source_data(&r, &s);
        r.o.user = &r;
        r.stop_at = at + (at - 1) / 3; /* calls at the epochs' ends, too */
        support_fails(r.ctx, gm_model_fit(r.model, data, &r.o), GM_E_CANCELLED, "stopped");
        ck_assert_int_eq(gm_model_steps(r.model), at);
        ck_assert_int_eq(gm_model_epochs(r.model), (at - 1) / 3);
        r.o.epochs = EPOCHS - gm_model_epochs(r.model);
        support_ok(r.ctx, gm_model_fit(r.model, data, &r.o));
        ck_assert_int_eq(gm_model_steps(r.model), 3 * EPOCHS);
        ck_assert_int_eq(gm_model_epochs(r.model), EPOCHS);
        for (int pass = 0; pass < EPOCHS; pass++)
            for (int row = 0; row < ROWS; row++)
                ck_assert_msg(s.used[pass][row] == 1, "stop %lld: row %d of pass %d: %lld times",
                              (long long)at, row, pass, (long long)s.used[pass][row]);
        gm_dataset_release(data);
        run_end(&r);
    }
}
END_TEST

/* The rest of a pass is taken in batches of another size; another dataset, or order, begins it
 * again. */
START_TEST(a_pass_goes_on_where_it_can)
{
    static const struct {
        int64_t batch, steps;
        int32_t shuffle, drop_last, anew, other;
    } cases[] = {
        { 8, 3, 1, 0, 0, 0 },  { 7, 3, 1, 0, 0, 0 },  { 5, 4, 1, 0, 0, 0 },
        { 14, 2, 1, 0, 0, 0 }, { 22, 2, 1, 0, 0, 0 }, { 22, 1, 1, 1, 0, 0 },
        { 8, 4, 0, 0, 0, 0 },  { 8, 4, 1, 0, 1, 0 },  { 8, 4, 1, 0, 0, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run r = run_begin(family_of("made"), &options[0]);
        r.stop_at = 1;
        support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "update 1");
        r.o.epochs = 1;
        r.o.batch = cases[i].batch;
        r.o.shuffle = cases[i].shuffle;
        r.o.drop_last = cases[i].drop_last;
        r.o.anew = cases[i].anew;
        r.o.user = &r;
        support_ok(r.ctx, gm_model_fit(r.model, cases[i].other ? r.check : r.data, &r.o));
        ck_assert_msg(gm_model_steps(r.model) == cases[i].steps, "case %d: %lld steps", (int)i,
                      (long long)gm_model_steps(r.model));
        ck_assert_int_eq(gm_model_epochs(r.model), 1);
        run_end(&r);
    }
}
END_TEST

/* --- What makes early stopping begin anew. */

static void nothing(run *r)
{
    (void)r;
}

static void a_step(run *r)
{
    float rows[6] = { 0 };
    support_ok(r->ctx, gm_model_step(r->model, rows, 1, NULL, 0, NULL));
}

static void a_weight(run *r)
{
    gm_param_value(gm_params_get(gm_model_params(r->model), 0))[0] += (float)0.001;
}

static void other_rows(run *r)
{
    gm_dataset_release(r->check);
    r->check = nets_bits(r->ctx, 9, 6);
    r->o.validation = r->check;
}

static void told(run *r)
{
    r->o.anew = 1;
}

static void no_patience(run *r)
{
    const int64_t patience = r->o.patience;
    r->o.patience = 0;
    support_ok(r->ctx, fit(r));
    r->o.patience = patience;
}

static void more_patience(run *r)
{
    r->o.patience++;
}

START_TEST(what_begins_anew)
{
    static const struct {
        const char *name;
        void (*change)(run *r);
        int64_t epochs; /* how many the next fit of one epoch trains */
    } cases[] = { { "nothing", nothing, 0 },
                  { "a step", a_step, 1 },
                  { "a weight", a_weight, 1 },
                  { "validation rows", other_rows, 1 },
                  { "anew", told, 1 },
                  { "no patience", no_patience, 1 },
                  { "more patience", more_patience, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int loaded = 0; loaded < 2; loaded++) {
            run r = run_begin(family_of("made"), &getting_worse);
            r.o.patience = 2;
            support_ok(r.ctx, fit(&r));
            ck_assert_int_lt(gm_model_epochs(r.model), 30);
            if (loaded) reload(&r);
            r.o.epochs = 1;
            cases[i].change(&r);
            const int64_t before = gm_model_epochs(r.model);
            support_ok(r.ctx, fit(&r));
            ck_assert_msg(gm_model_epochs(r.model) - before == cases[i].epochs,
                          "%s: %lld epochs, expected %lld", cases[i].name,
                          (long long)(gm_model_epochs(r.model) - before),
                          (long long)cases[i].epochs);
            run_end(&r);
        }
}
END_TEST

/* Another stage is another loss. */
START_TEST(a_stage_begins_anew)
{
    run r = run_begin(family_of("autoencoder"), &getting_worse);
    gm_autoencoder *net = gm_autoencoder_from_model(r.model);
    r.o.patience = 1;
    support_ok(r.ctx, gm_autoencoder_set_stage(net, 1));
    support_ok(r.ctx, fit(&r));
    const int64_t before = gm_model_epochs(r.model);
    r.o.epochs = 1;
    support_ok(r.ctx, fit(&r));
    ck_assert_int_eq(gm_model_epochs(r.model), before);
    support_ok(r.ctx, gm_autoencoder_set_stage(net, 0));
    support_ok(r.ctx, fit(&r));
    ck_assert_int_eq(gm_model_epochs(r.model), before + 1);
    run_end(&r);
}
END_TEST

/* --- Files. */

/* The file of libraries from before "fit.last": its weights are the last ones, "fit.best" the best.
 */
static void as_of_old(run *r)
{
    gm_archive *from = NULL, *to = NULL;
    const float *last, *data;
    int64_t shape[GM_MAX_RANK], count, at = 0;
    int32_t rank;
    char name[256];
    float *best = nets_weights(r->model, &count);
    const gm_params *params = gm_model_params(r->model);
    support_ok(r->ctx, gm_archive_open(&from, r->ctx, r->path));
    support_ok(r->ctx, gm_archive_create(&to, r->ctx));
    support_ok(r->ctx, gm_archive_get(&rank, &last, from, "fit.last", shape));
    ck_assert(rank == 1 && shape[0] == count);
    support_ok(r->ctx, gm_archive_put(to, "fit.best", 1, shape, best));
    for (int64_t i = 0; i < gm_params_count(params); i++) {
        const gm_param *p = gm_params_get(params, i);
        snprintf(name, sizeof name, "made.%s", gm_params_name(params, i));
        support_ok(r->ctx,
                   gm_archive_put(to, name, gm_param_rank(p), gm_param_shape(p), last + at));
        at += gm_param_count(p);
    }
    for (int64_t i = 0; i < gm_archive_tensor_count(from); i++) {
        const char *other = gm_archive_tensor_name(from, i);
        if (gm_archive_has_tensor(to, other) || !strcmp(other, "fit.last")) continue;
        support_ok(r->ctx, gm_archive_get(&rank, &data, from, other, shape));
        support_ok(r->ctx, gm_archive_put(to, other, rank, shape, data));
    }
    for (int64_t i = 0; i < gm_archive_text_count(from); i++) {
        const char *key = gm_archive_text_key(from, i), *text;
        support_ok(r->ctx, gm_archive_get_text(&text, from, key));
        if (strcmp(key, "fit.validation_rows"))
            support_ok(r->ctx, gm_archive_set_text(to, key, text));
    }
    support_ok(r->ctx, gm_archive_write(to, r->path));
    gm_archive_release(to);
    gm_archive_release(from);
    free(best);
}

START_TEST(files_of_old)
{
    run whole = run_begin(family_of("made"), &getting_worse);
    support_ok(whole.ctx, fit(&whole));
    run r = run_begin(family_of("made"), &getting_worse);
    gm_model *loaded = NULL;
    r.o.epochs = 9;
    support_ok(r.ctx, fit(&r));
    support_ok(r.ctx, gm_model_save_checkpoint(r.model, r.path));
    as_of_old(&r);
    support_ok(r.ctx, gm_model_load(&loaded, r.ctx, r.path));
    gm_model_release(r.model);
    r.model = loaded;
    is_best(&r, "a file of old");
    r.o.epochs = 30 - 9;
    support_ok(r.ctx, fit(&r));
    same_end(&whole, &r, "a file of old");
    run_end(&r);
    run_end(&whole);
}
END_TEST

/* A pass that cannot be, epochs and updates that would overflow. */
START_TEST(files_that_lie)
{
    static const struct {
        const char *key, *text, *says;
    } lies[] = {
        { "fit.row", "0", "fit.row is 0" },
        { "fit.row", "-8", "fit.row is -8" },
        { "fit.row", "23", "fit.row is 23, fit.rows is 22" },
        { "fit.rows", "-1", "fit.rows is -1" },
        { "fit.shuffle", "2", "fit.shuffle is 2" },
        { "fit.waited", "-1", "fit.waited is -1" },
        { "fit.waited", "9223372036854775807", "fit.waited is 9223372036854775807" },
        { "fit.validation_rows", "-1", "fit.validation_rows is -1" },
        { "gm.epochs", "9223372036854775807", "epochs is 9223372036854775807" },
        { "gm.steps", "9223372036854775807", "steps is 9223372036854775807" },
    };
    run r = run_begin(family_of("made"), &options[ALL]);
    r.stop_at = 5; /* in the second pass */
    support_fails(r.ctx, fit(&r), GM_E_CANCELLED, "stopped");
    support_ok(r.ctx, gm_model_save_checkpoint(r.model, r.path));
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        gm_archive *archive = NULL;
        gm_model *model = NULL;
        support_ok(r.ctx, gm_archive_open(&archive, r.ctx, r.path));
        ck_assert_msg(gm_archive_has(archive, lies[i].key), "no %s", lies[i].key);
        support_ok(r.ctx, gm_archive_set_text(archive, lies[i].key, lies[i].text));
        support_ok(r.ctx, gm_archive_write(archive, r.own));
        gm_archive_release(archive);
        support_fails(r.ctx, gm_model_load(&model, r.ctx, r.own), GM_E_FORMAT, lies[i].says);
        ck_assert_ptr_null(model);
    }
    run_end(&r);
}
END_TEST

START_TEST(refusals)
{
    run r = run_begin(family_of("made"), &options[0]);
    r.o.checkpoint_steps = -1;
    support_fails(r.ctx, fit(&r), GM_E_INVALID, "checkpoint_steps is -1, expected at least 0");
    r.o.checkpoint_steps = 2;
    support_fails(r.ctx, fit(&r), GM_E_INVALID, "checkpoint_steps is 2, but checkpoint is NULL");
    r.o.checkpoint_steps = 0;
    r.o.anew = 2;
    support_fails(r.ctx, fit(&r), GM_E_INVALID, "anew is 2, expected 0 or 1");
    r.o.anew = 0;
    r.o.reserved = 1;
    support_fails(r.ctx, fit(&r), GM_E_INVALID, "reserved is 1, expected 0");
    ck_assert_int_eq(gm_model_steps(r.model), 0);
    run_end(&r);
}
END_TEST

/* A host that was built with the shorter options. */
START_TEST(options_of_old)
{
    run r = run_begin(family_of("made"), &options[0]);
    r.o.size = offsetof(gm_fit_options, checkpoint_steps);
    r.o.checkpoint_steps = -1; /* not read */
    support_ok(r.ctx, fit(&r));
    ck_assert_int_eq(gm_model_epochs(r.model), EPOCHS);
    run_end(&r);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("fit");
    TCase *t = tcase_create("fit");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, stops_change_nothing, 0, OPTIONS);
    tcase_add_loop_test(t, stops_in_validation_change_nothing, 0, 2);
    tcase_add_loop_test(t, stops_change_nothing_in_any_family, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, two_fits_are_one, 0, OPTIONS);
    tcase_add_test(t, cancelled_with_the_best);
    tcase_add_test(t, epochs_ran_out_with_the_best);
    tcase_add_test(t, not_finite_with_the_best);
    tcase_add_test(t, no_checkpoint_with_the_best);
    tcase_add_test(t, rows_fail_with_the_best);
    tcase_add_test(t, checkpoints_hold_the_best);
    tcase_add_test(t, averages_of_the_best);
    tcase_add_test(t, each_row_once);
    tcase_add_test(t, a_pass_goes_on_where_it_can);
    tcase_add_test(t, what_begins_anew);
    tcase_add_test(t, a_stage_begins_anew);
    tcase_add_test(t, files_of_old);
    tcase_add_test(t, files_that_lie);
    tcase_add_test(t, refusals);
    tcase_add_test(t, options_of_old);
    suite_add_tcase(s, t);
    return s;
}
