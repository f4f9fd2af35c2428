/* evaluate.c - tells how good the samples of a saved model are, or those of no model at all.
 *
 *     evaluate MODEL.safetensors --data DIR                    Parzen-window log-likelihood
 * (Goodfellow et al. 2014) evaluate MODEL.safetensors --classifier CLASSIFIER       also what 1000
 * samples show, as a classifier reads them evaluate --real --data DIR training digits in place of
 * samples: the ruler
 *
 * The ruler is what a perfect model would get: with all of MNIST 241 nats. See docs/evaluation.md
 * on how far such numbers can be trusted. CLASSIFIER is the model.safetensors that the program
 * classifier saves. Trains nothing and writes no file.
 */
#define _POSIX_C_SOURCE 200809L

#include "common/classify.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/parzen.h"
#include "common/run.h"
#include "common/say.h"

#include "gm/gm.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define JUDGED 1000 /* samples that the classifier reads */
#define GRID 20     /* sigmas of the GMMN paper: 0.10, 0.11, ... 0.29 */

static const char *const lists[] = { "gan", "gmmn", NULL };

/* What is scored: samples of the model, or the first training digits that do not choose sigma. */
static gm_status get_samples(gm_tensor **out, gm_model *model, const struct mnist *m,
                             struct parzen *p)
{
    if (model != NULL) return parzen_draw(out, model, p->samples, p);
    const int64_t room = m->valid != NULL ? m->train_rows : (m->train_rows + 1) / 2;
    if (p->samples > room) p->samples = room;
    return gm_dataset_read_tensor(out, m->train, 0, p->samples, 0);
}

int main(int argc, char **argv)
{
    struct run r;
    struct mnist data = { 0 };
    struct classifier judge = { 0 };
    struct classify_report report;
    struct parzen p = PARZEN_INIT;
    struct json j;
    gm_result result = GM_RESULT_INIT;
    gm_model *model = NULL;
    gm_tensor *samples = NULL;
    const char *classifier = NULL;
    double grid[GRID];
    int list = 0, real = 0;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_FLAG("real", &real, "score training digits instead of a model's samples"),
        OPTION_INT("samples", &p.samples, 1, 1000000, "samples to lay windows on"),
        OPTION_CHOICE("sigmas", &list, lists, "candidates: 10 from 0.1 to 1, or 0.10 ... 0.29"),
        OPTION_FLAG("symmetric", &p.symmetric, "the model's pixels are in [-1, 1], not [0, 1]"),
        OPTION_TEXT("classifier", &classifier, "PATH", "a saved classifier that reads samples"),
    };

    options_init(&r.options, "evaluate", "Scores the samples of a saved model of any family.");
    r.options.operand_name = "MODEL.safetensors";
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    status = 2;
    if (!o->operand == !real) {
        say(real ? "either a model or --real, not both" : "name a model, or --real; see --help");
        goto out;
    }
    if (o->operand && access(o->operand, R_OK) != 0) {
        say("cannot open '%s': %s", o->operand, strerror(errno));
        goto out;
    }
    if (classifier && (status = classify_open(&judge, r.context, classifier)) != OPTIONS_GO_ON)
        goto out;
    if ((status = mnist_open(&data, r.context, o, MNIST_ROWS)) != OPTIONS_GO_ON) goto out;
    status = 0;

    if (o->operand && (s = gm_model_load(&model, r.context, o->operand))) goto out;
    for (int i = 0; i < GRID; i++) grid[i] = 0.10 + 0.01 * i;
    if (list == 1) p.sigmas = grid, p.sigma_count = GRID;
    p.seed = (uint64_t)o->seed;
    p.quiet = o->quiet;
    if ((s = get_samples(&samples, model, &data, &p))) goto out;
    const int64_t size = gm_tensor_count(samples) / p.samples;
    if (judge.net != NULL) {
        const int64_t judged = p.samples < JUDGED ? p.samples : JUDGED;
        if (judge.row_size != size) {
            say("the classifier reads rows of %lld values, the samples have %lld",
                (long long)judge.row_size, (long long)size);
            status = 2;
            goto out;
        }
        if ((s = classify_report(&judge, gm_tensor_read(samples), judged, &report))) goto out;
    }
    if ((s = parzen_rows(&result, r.context, gm_tensor_read(samples), p.samples, size, &data, &p)))
        goto out;

    json_begin(&j, model ? gm_model_family(model) : "real", data.name);
    json_number(&j, "parzen", result.value);
    json_number(&j, "parzen_error", result.standard_error);
    json_number(&j, "sigma", result.sigma);
    json_whole(&j, "samples", result.samples);
    json_whole(&j, "rows", result.rows);
    json_whole(&j, "seed", o->seed);
    if (judge.net != NULL) classify_json(&j, &report);
    json_number(&j, "seconds", run_seconds(&r));
    if (json_end(&j)) status = 1;
out:
    gm_tensor_release(samples);
    gm_model_release(model);
    classify_close(&judge);
    mnist_close(&data);
    return run_end(&r, s, status);
}
