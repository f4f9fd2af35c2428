/* evaluation.c - all numbers of gm/evaluate.h that apply to a model, or to samples at hand. */
#include "evaluation.h"

#include "message.h"
#include "stop.h"

#include "gm/extend.h"
#include "gm/generator.h"
#include "gm/vae.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 5000   /* rows read at a time */
#define CLOSEST 0.01 /* share of test digits that sets what counts as close */

static const struct {
    const char *key, *title;
} numbers[EVALUATION_NUMBERS] = {
    { "test_nll", "-log p(x), nats" },
    { "ais", "-log p(x) by AIS, nats" },
    { "ais_simulated_lower", "log p of own samples, from below" },
    { "ais_simulated_upper", "                      from above" },
    { "parzen", "Parzen log-likelihood, nats" },
    { "kid", "kernel distance" },
    { "frechet", "Frechet distance" },
    { "precision", "precision" },
    { "recall", "recall" },
    { "nearest", "distance to the training set" },
    { "nearest_test", "    that of test digits" },
    { "duplicates", "nearer than 99 % of test digits" },
    { "diversity", "diversity" },
    { "mmd2", "MMD^2 (its deviation if equal)" },
};

static void note(const struct evaluation *j, const char *text)
{
    if (!j->windows.quiet) message("%s ...", text);
}

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return stop_requested();
}

/* Features of rows, in a new array. */
static gm_status make_features(struct evaluation *j, const float *rows, int64_t count, int64_t size,
                               float **out, int64_t *width)
{
    if (j->reader != NULL && size != j->reader->row_size)
        return gm_context_fail(j->context, GM_E_SHAPE, "the classifier reads rows of another size");
    if (j->reader != NULL) return classify_features(j->reader, rows, count, out, width);
    *width = size;
    *out = malloc((size_t)(count * size) * sizeof **out);
    if (*out == NULL) return gm_context_fail(j->context, GM_E_NOMEM, "no memory for features");
    memcpy(*out, rows, (size_t)(count * size) * sizeof **out);
    return GM_OK;
}

/* Features of the first `count` rows of a dataset, read in chunks. */
static gm_status read_features(struct evaluation *j, gm_dataset *data, int64_t count, float **out)
{
    gm_status s = GM_OK;
    *out = NULL;
    for (int64_t begin = 0; begin < count && !s; begin += CHUNK) {
        const int64_t n = count - begin < CHUNK ? count - begin : CHUNK;
        gm_tensor *rows = NULL;
        float *part = NULL;
        if (!(s = gm_dataset_read_tensor(&rows, data, begin, n, 0)))
            s = make_features(j, gm_tensor_read(rows), n, gm_dataset_row_size(data), &part,
                              &j->width);
        if (!s && *out == NULL) *out = malloc((size_t)(count * j->width) * sizeof **out);
        if (!s && *out == NULL)
            s = gm_context_fail(j->context, GM_E_NOMEM, "no memory for features");
        if (!s) memcpy(*out + begin * j->width, part, (size_t)(n * j->width) * sizeof **out);
        free(part);
        gm_tensor_release(rows);
    }
    return s;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How near test digits come to training digits: what is usual. */
static gm_status measure_usual(struct evaluation *j)
{
    const gm_rows test = { j->test, j->test_rows, j->width };
    const gm_rows train = { j->train, j->train_rows, j->width };
    gm_nearest_options o = GM_NEAREST_OPTIONS_INIT;
    double *distance = malloc((size_t)j->test_rows * sizeof *distance);
    if (distance == NULL) return gm_context_fail(j->context, GM_E_NOMEM, "no memory for distances");
    o.distance = distance;
    o.on_progress = on_progress;
    j->nearest = (gm_result)GM_RESULT_INIT;
    const gm_status s = gm_nearest_data(&j->nearest, NULL, j->context, &test, &train, &o);
    if (!s) {
        qsort(distance, (size_t)j->test_rows, sizeof *distance, by_size);
        j->close = distance[(int64_t)(CLOSEST * (double)j->test_rows)];
    }
    free(distance);
    return s;
}

gm_status evaluation_open(struct evaluation *j, gm_context *context, const struct mnist *data,
                          struct classifier *reader)
{
    gm_status s = GM_OK;
    j->context = context;
    j->data = data;
    j->reader = reader;
    j->test_rows = data->test_rows < j->windows.rows ? data->test_rows : j->windows.rows;
    j->train_rows = data->train_rows;
    if (j->likelihood && j->binary) {
        if ((s = gm_dataset_binarise(&j->digits, data->test, 1, GM_BINARISE_STATIC))) return s;
    } else {
        gm_dataset_retain(data->test);
        j->digits = data->test;
    }
    if (!j->features) return GM_OK;
    note(j, "features of the digits");
    if ((s = read_features(j, data->test, j->test_rows, &j->test))) return s;
    if ((s = read_features(j, data->train, j->train_rows, &j->train))) return s;
    return measure_usual(j);
}

void evaluation_close(struct evaluation *j)
{
    free(j->train);
    free(j->test);
    gm_dataset_release(j->digits);
    j->train = j->test = NULL;
    j->digits = NULL;
}

void evaluation_clear(struct evaluation_result *found)
{
    memset(found, 0, sizeof *found);
    for (int i = 0; i < EVALUATION_NUMBERS; i++) found->number[i] = (gm_result)GM_RESULT_INIT;
}

/* A number that a model cannot have is left out, and the reason is printed. */
static gm_status take(struct evaluation *j, struct evaluation_result *found, int which, gm_status s)
{
    const int cannot = s == GM_E_UNSUPPORTED || s == GM_E_INVALID;
    found->have[which] = s == GM_OK;
    if (cannot && !j->windows.quiet)
        message("note: %s is left out: %s", numbers[which].key, gm_context_error(j->context));
    return cannot ? GM_OK : s;
}

/* A conditional decoder is given the labels of the first n test digits. */
static gm_status set_labels(struct evaluation *j, gm_model *model, int64_t n)
{
    int64_t *index = malloc((size_t)(2 * n) * sizeof *index);
    if (!index) return gm_context_fail(j->context, GM_E_NOMEM, "no memory for labels");
    for (int64_t i = 0; i < n; i++) index[i] = i;
    gm_status s = gm_dataset_read_labels(j->digits, index, n, index + n);
    if (!s) s = gm_model_set_labels(model, index + n, n);
    free(index);
    return s;
}

static gm_status anneal(struct evaluation *j, gm_generator *g, struct evaluation_result *found)
{
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    gm_tensor *rows = NULL;
    gm_result *r = found->number;
    const int64_t n = j->ais < j->test_rows ? j->ais : j->test_rows;
    o.chains = j->chains;
    o.temperatures = j->temperatures;
    o.seed = j->windows.seed;
    o.on_progress = on_progress;
    note(j, "annealed importance sampling");
    gm_status s = gm_dataset_read_tensor(&rows, j->digits, 0, n, 0);
    if (!s && gm_model_labels(gm_generator_model(g))) s = set_labels(j, gm_generator_model(g), n);
    if (!s)
        s = take(j, found, EVALUATION_AIS,
                 gm_ais(&r[EVALUATION_AIS], g, gm_tensor_read(rows), n, &o));
    r[EVALUATION_AIS].value = -r[EVALUATION_AIS].value;
    if (!s && found->have[EVALUATION_AIS]) {
        s = gm_ais_bracket(&r[EVALUATION_AIS_LOWER], &r[EVALUATION_AIS_UPPER], g, n, &o);
        found->have[EVALUATION_AIS_LOWER] = found->have[EVALUATION_AIS_UPPER] = !s;
    }
    gm_tensor_release(rows);
    return s;
}

gm_status evaluation_likelihood(struct evaluation *j, gm_model *model,
                                struct evaluation_result *found)
{
    gm_generator *g = gm_generator_from_model(model);
    gm_status s = GM_OK;
    if (j->likelihood && gm_model_supports(model, GM_VERB_LOG_PROB)) {
        gm_nll_options o = GM_NLL_OPTIONS_INIT;
        o.limit = j->test_rows;
        o.samples = j->draws;
        o.seed = j->windows.seed;
        o.on_progress = on_progress;
        note(j, "log-likelihood");
        s = take(j, found, EVALUATION_NLL,
                 gm_evaluate_nll(&found->number[EVALUATION_NLL], model, j->digits, &o));
    }
    if (g == NULL) g = gm_vae_decoder(gm_vae_from_model(model));
    if (!s && j->ais > 0 && g != NULL) s = anneal(j, g, found);
    return s;
}

static gm_status compare(struct evaluation *j, const gm_rows *own, struct evaluation_result *found)
{
    const gm_rows test = { j->test, j->test_rows, j->width };
    const gm_rows train = { j->train, j->train_rows, j->width };
    const int64_t fewest = own->count < test.count ? own->count : test.count;
    gm_result *r = found->number;
    gm_kernel_distance_options k = GM_KERNEL_DISTANCE_OPTIONS_INIT;
    gm_precision_recall_options p = GM_PRECISION_RECALL_OPTIONS_INIT;
    gm_nearest_options n = GM_NEAREST_OPTIONS_INIT;
    gm_diversity_options d = GM_DIVERSITY_OPTIONS_INIT;
    gm_mmd_evaluate_options m = GM_MMD_EVALUATE_OPTIONS_INIT;
    gm_status s;
    k.on_progress = p.on_progress = n.on_progress = d.on_progress = m.on_progress = on_progress;
    k.seed = j->windows.seed;
    if (k.subset > fewest) k.subset = fewest;
    n.threshold = j->close;
    note(j, "kernel distance");
    s = take(j, found, EVALUATION_KID,
             gm_kernel_distance(&r[EVALUATION_KID], j->context, own, &test, &k));
    if (s) return s;
    note(j, "Frechet distance");
    s = take(j, found, EVALUATION_FRECHET,
             gm_frechet_distance(&r[EVALUATION_FRECHET], j->context, own, &test, 0));
    if (s) return s;
    note(j, "precision and recall");
    s = take(j, found, EVALUATION_PRECISION,
             gm_precision_recall(&r[EVALUATION_PRECISION], &r[EVALUATION_RECALL], j->context, own,
                                 &test, &p));
    if (s) return s;
    found->have[EVALUATION_RECALL] = found->have[EVALUATION_PRECISION];
    note(j, "nearest training digits");
    s = take(j, found, EVALUATION_NEAREST,
             gm_nearest_data(&r[EVALUATION_NEAREST], &r[EVALUATION_DUPLICATES], j->context, own,
                             &train, &n));
    if (s) return s;
    found->have[EVALUATION_DUPLICATES] = found->have[EVALUATION_NEAREST];
    r[EVALUATION_USUAL] = j->nearest;
    found->have[EVALUATION_USUAL] = 1;
    note(j, "diversity");
    s = take(j, found, EVALUATION_DIVERSITY,
             gm_diversity(&r[EVALUATION_DIVERSITY], j->context, own, &test, &d));
    if (s) return s;
    note(j, "two-sample test");
    m.seed = j->windows.seed;
    return take(j, found, EVALUATION_MMD,
                gm_mmd_evaluate(&r[EVALUATION_MMD], j->context, own, &test, &m));
}

gm_status evaluation_samples(struct evaluation *j, const float *samples, int64_t count,
                             int64_t size, struct evaluation_result *found)
{
    gm_status s = GM_OK;
    if (j->parzen) {
        s = parzen_rows(&found->number[EVALUATION_PARZEN], j->context, samples, count, size,
                        j->data, &j->windows);
        found->have[EVALUATION_PARZEN] = !s;
    }
    if (!s && j->features) {
        gm_rows own = { NULL, count, 0 };
        float *values = NULL;
        s = make_features(j, samples, count, size, &values, &own.width);
        own.values = values;
        if (!s) s = compare(j, &own, found);
        free(values);
    }
    return s;
}

void evaluation_json(struct json *json, const struct evaluation_result *found)
{
    for (int i = 0; i < EVALUATION_NUMBERS; i++) {
        const gm_result *r = &found->number[i];
        char key[64];
        if (!found->have[i]) continue;
        json_number(json, numbers[i].key, r->value);
        snprintf(key, sizeof key, "%s_error", numbers[i].key);
        if (!isnan(r->standard_error)) json_number(json, key, r->standard_error);
        snprintf(key, sizeof key, "%s_protocol", numbers[i].key);
        if (i == EVALUATION_NLL) json_text(json, key, r->protocol);
        if (i == EVALUATION_NLL && r->k > 0) json_whole(json, "test_nll_draws", r->k);
        if (i == EVALUATION_AIS) json_number(json, "ais_acceptance", r->acceptance);
        if (i == EVALUATION_MMD) json_number(json, "mmd_p_value", r->p_value);
        if (i == EVALUATION_PARZEN) json_number(json, "sigma", r->sigma);
    }
}

void evaluation_table(const char *const *names, const struct evaluation_result *found, int count)
{
    char cell[64];
    message_inside_line(0);
    fprintf(stderr, "\n%-34s", "");
    for (int m = 0; m < count; m++) fprintf(stderr, " %22.22s", names[m]);
    fprintf(stderr, "\n");
    for (int i = 0; i < EVALUATION_NUMBERS; i++) {
        int any = 0;
        for (int m = 0; m < count; m++) any |= found[m].have[i];
        if (!any) continue;
        fprintf(stderr, "%-34s", numbers[i].title);
        for (int m = 0; m < count; m++) {
            const gm_result *r = &found[m].number[i];
            if (!found[m].have[i])
                snprintf(cell, sizeof cell, "-");
            else if (isnan(r->standard_error))
                snprintf(cell, sizeof cell, "%.5g", r->value);
            else
                snprintf(cell, sizeof cell, "%.5g +- %.2g", r->value, r->standard_error);
            fprintf(stderr, " %22s", cell);
        }
        fprintf(stderr, "\n");
    }
    fprintf(stderr, "\n");
}
