/* evaluate.c - measures how good saved models are, or what training digits themselves would get.
 *
 *     evaluate MODEL.safetensors --data DIR          every number of gm/evaluate.h that applies
 *     evaluate A.safetensors B.safetensors           a comparison
 *     evaluate MODEL.safetensors --classifier PATH   features are the classifier's, not pixels;
 *                                                    and what 1000 samples show, as it reads them
 *     evaluate MODEL.safetensors --ais 100           log p(x) by annealing, for decoders
 *     evaluate --real                                training digits in place of samples
 *
 * The last is what a perfect model would get: with all of MNIST a Parzen log-likelihood of 241
 * nats. See docs/modules/evaluation.md on what each number means and how far it can be trusted.
 * PATH is the model.safetensors that the program classifier saves. Trains nothing and writes no
 * file. After Ctrl-C the result has the numbers that were finished, and "stopped".
 */
#define _POSIX_C_SOURCE 200809L

#include "common/classify.h"
#include "common/evaluation.h"
#include "common/json.h"
#include "common/message.h"
#include "common/mnist.h"
#include "common/parzen.h"
#include "common/run.h"

#include "gm/gm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIXELS 784
#define CLASSIFIED 1000 /* samples that the classifier reads */

static const char *const lists[] = { "gan", "gmmn", NULL };
static const char *const kinds[] = { "all", "likelihood", "parzen", "features", NULL };
static const char *const pixels[] = { "binary", "grey", NULL };

/* One model, or the training digits. */
struct subject {
    const char *file;
    char name[64]; /* of its column */
    gm_model *model;
    struct evaluation_result found;
    struct classify_report report;
    int64_t samples;
};

/* What is scored: samples of the model, or the first training digits that do not choose sigma. */
static gm_status get_samples(gm_tensor **out, struct subject *u, const struct mnist *m,
                             struct evaluation *measure)
{
    struct parzen *p = &measure->windows;
    if (u->model != NULL) return parzen_draw(out, u->model, p->samples, p);
    const int64_t room = m->valid != NULL ? m->train_rows : (m->train_rows + 1) / 2;
    if (p->samples > room) p->samples = room;
    return gm_dataset_read_tensor(out, m->train, 0, p->samples, 0);
}

/* Returns GM_OK with *status 2 when the classifier does not fit the samples. */
static gm_status examine(struct subject *u, struct evaluation *measure, struct classifier *reader,
                         const struct mnist *data, int *status)
{
    gm_tensor *samples = NULL;
    gm_status s = GM_OK;
    if (u->model != NULL && (s = evaluation_likelihood(measure, u->model, &u->found))) goto out;
    if (u->model != NULL && !gm_model_supports(u->model, GM_VERB_SAMPLE)) goto out;
    if (!measure->parzen && !measure->features && reader->net == NULL) goto out;
    if ((s = get_samples(&samples, u, data, measure))) goto out;
    u->samples = measure->windows.samples;
    const int64_t size = gm_tensor_count(samples) / u->samples;
    if (reader->net != NULL) {
        const int64_t classified = u->samples < CLASSIFIED ? u->samples : CLASSIFIED;
        if (reader->row_size != size) {
            message("the classifier reads rows of %lld values, the samples have %lld",
                    (long long)reader->row_size, (long long)size);
            *status = 2;
            goto out;
        }
        if ((s = classify_report(reader, gm_tensor_read(samples), classified, &u->report)))
            goto out;
    }
    s = evaluation_samples(measure, gm_tensor_read(samples), u->samples, size, &u->found);
out:
    gm_tensor_release(samples);
    return s;
}

static void report(struct json *j, const struct subject *u, const struct evaluation *measure,
                   int64_t seed, int read)
{
    evaluation_json(j, &u->found);
    json_whole(j, "samples", u->samples);
    json_whole(j, "rows", measure->test_rows);
    json_whole(j, "seed", seed);
    json_text(j, "features", !measure->features ? NULL : measure->reader ? "classifier" : "pixels");
    json_text(j, "pixels", pixels[!measure->binary]);
    if (read) classify_json(j, &u->report);
}

static int check_files(const struct options *o, int real)
{
    if (!o->operand == !real) {
        message(real ? "either a model or --real, not both"
                     : "name a model, or --real; see --help");
        return 2;
    }
    for (int i = 0; i < o->operand_count; i++)
        if (access(o->operands[i], R_OK) != 0) {
            message("cannot open '%s': %s", o->operands[i], strerror(errno));
            return 2;
        }
    return OPTIONS_GO_ON;
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist data = { 0 };
    struct classifier reader = { 0 };
    struct evaluation measure = EVALUATION_INIT;
    struct subject subjects[OPTIONS_OPERANDS] = { { 0 } };
    struct evaluation_result columns[OPTIONS_OPERANDS];
    const char *names[OPTIONS_OPERANDS];
    struct json j;
    const char *classifier = NULL;
    int list = 0, real = 0, kind = 0, pixel = 0, count = 1, measured = 0;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_FLAG("real", &real, "score training digits instead of a model's samples"),
        OPTION_INT("samples", &measure.windows.samples, 2, 1000000, "samples of each model"),
        OPTION_CHOICE("metrics", &kind, kinds, "which numbers"),
        OPTION_CHOICE("pixels", &pixel, pixels, "test digits of likelihoods: as bits, or grey"),
        OPTION_INT("draws", &measure.draws, 0, 1000000,
                   "draws for each digit of estimated likelihoods; 0: the model's own number"),
        OPTION_INT("ais", &measure.ais, 0, 1000000, "test digits to anneal, and as many simulated"),
        OPTION_INT("temperatures", &measure.temperatures, 1, 1000000, "of annealing"),
        OPTION_INT("chains", &measure.chains, 1, 100000, "of annealing, for each digit"),
        OPTION_CHOICE("sigmas", &list, lists, "candidates: 10 from 0.1 to 1, or 0.10 ... 0.29"),
        OPTION_FLAG("symmetric", &measure.windows.symmetric,
                    "the model's pixels are in [-1, 1], not [0, 1]"),
        OPTION_TEXT("classifier", &classifier, "PATH",
                    "a saved classifier that reads samples, and whose last hidden layer gives the "
                    "features"),
    };

    options_init(&r.options, "evaluate", "Tells how good saved models of any family are.");
    r.options.no_training = 1;
    r.options.operand_name = "MODEL.safetensors";
    r.options.operand_most = OPTIONS_OPERANDS;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    if ((status = check_files(o, real)) != OPTIONS_GO_ON) goto out;
    if (classifier && (status = classify_open(&reader, r.context, classifier)) != OPTIONS_GO_ON)
        goto out;
    int needs = MNIST_ROWS;
    for (int i = 0; i < o->operand_count; i++) {
        subjects[i].file = o->operands[i];
        if ((s = gm_model_load(&subjects[i].model, r.context, o->operands[i]))) goto out;
        const int64_t size = gm_model_row_size(subjects[i].model);
        if (size != PIXELS) {
            message("'%s' is a %s of rows of %lld values, this program takes models of %d pixels",
                    o->operands[i], gm_model_family(subjects[i].model), (long long)size, PIXELS);
            status = 2;
            goto out;
        }
        if (gm_model_labels(subjects[i].model)) needs |= MNIST_LABELS;
    }
    if ((status = mnist_open(&data, r.context, o, needs)) != OPTIONS_GO_ON) goto out;
    status = 0;

    if (list == 1) measure.windows.sigmas = parzen_fine, measure.windows.sigma_count = PARZEN_FINE;
    measure.windows.seed = (uint64_t)o->seed;
    measure.windows.quiet = o->quiet;
    measure.likelihood = kind == 0 || kind == 1;
    measure.parzen = kind == 0 || kind == 2;
    measure.features = kind == 0 || kind == 3;
    measure.binary = pixel == 0;
    if (o->operand_count > 1) count = o->operand_count;
    for (int i = 0; i < count; i++) evaluation_clear(&subjects[i].found);
    s = evaluation_open(&measure, r.context, &data, reader.net ? &reader : NULL);
    for (int i = 0; i < count && !s; i++) {
        struct subject *u = &subjects[i];
        snprintf(u->name, sizeof u->name, "%d: %s", i + 1,
                 u->model ? gm_model_family(u->model) : "training digits");
        if (u->file && !o->quiet) message("%s is '%s'", u->name, u->file);
        s = examine(u, &measure, &reader, &data, &status);
        if (status) goto out;
        columns[i] = u->found;
        names[i] = u->name;
        measured = i + 1;
    }
    if (s && s != GM_E_CANCELLED) goto out; /* after Ctrl-C what is finished is reported */
    if (!o->quiet && measured > 0) evaluation_table(names, columns, measured);

    const int one = count == 1;
    json_begin(&j,
               !one   ? "comparison"
               : real ? "real"
                      : gm_model_family(subjects[0].model),
               data.name);
    mnist_json(&j, &data);
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i + 1);
        if (!one) {
            json_open(&j, key);
            json_text(&j, "model", gm_model_family(subjects[i].model));
            json_text(&j, "file", subjects[i].file);
        }
        report(&j, &subjects[i], &measure, o->seed, reader.net != NULL && subjects[i].samples > 0);
        if (!one) json_close(&j);
    }
    json_number(&j, "seconds", run_seconds(&r));
    if (s) json_flag(&j, "stopped", 1);
    if (json_end(&j)) status = 1;
out:
    evaluation_close(&measure);
    for (int i = 0; i < OPTIONS_OPERANDS; i++) gm_model_release(subjects[i].model);
    classify_close(&reader);
    mnist_close(&data);
    return run_end(&r, s, status);
}
