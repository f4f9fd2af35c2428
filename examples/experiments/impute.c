/* impute.c - completes pictures of which a part is known, by a model with exact conditionals.
 *
 *     impute                              fits a model to digits and completes the lower halves of
 *                                         ten test digits
 *     impute --model FILE --hide upper    asks a saved autoregressive model
 *
 * What is given comes first in the order of a model that knows rows from top to bottom when the
 * lower part is hidden: completions are then exact draws from p(hidden | given), and the
 * log-likelihood of the hidden part is exact. For other parts and models of one order it resamples
 * --draws proposals by their weight (gm_autoregressive_impute). Writes completions.png: originals,
 * what is given, completions.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gm/gm.h>

#include "common/density.h"
#include "common/density_model.h"
#include "common/image_grid.h"
#include "common/mean.h"
#include "common/message.h"
#include "common/stop.h"

#define SHOWN 10 /* digits in the picture */
#define MOST 16  /* completions of each */
#define GROUP 100

static const char *const sides[] = { "lower", "upper", "left", "right", NULL };

/* What was found over the test rows that were measured. */
struct found {
    int64_t rows;
    double wrong,
        guess_wrong; /* share of hidden values: of a completion, of the mean's nearest value */
    double nll, nll_error; /* -log p(hidden | given), nats a row; NaN: not exact */
    double ess;            /* effective proposals; NaN: exact */
};

/* Which values of one row are given. */
static void mark_known(const struct density *d, int side, uint8_t *known)
{
    for (int64_t i = 0; i < d->width; i++) {
        const int64_t x = i % d->across;
        const int upper = i < d->width / 2, left = x < d->across / 2;
        const int hidden[4] = { !upper, upper, left, !left }; /* in the order of sides */
        known[i] = !hidden[side];
    }
}

/* Completes `count` rows in place. *exact becomes 0 when that takes proposals, whose effective
 * number goes to ess. */
static gm_status complete(gm_model *model, float *rows, const uint8_t *known, int64_t count,
                          int64_t draws, int *exact, double *ess)
{
    gm_status s = *exact ? gm_autoregressive_sample_given(model, known, count, NULL, rows, NULL)
                         : GM_E_UNSUPPORTED;
    if (s != GM_E_UNSUPPORTED) return s;
    gm_impute_options o = GM_IMPUTE_OPTIONS_INIT;
    *exact = 0;
    o.draws = draws;
    o.ess = ess;
    return gm_autoregressive_impute(model, known, count, &o, rows);
}

/* The first test rows; with labels, the first of each label that there is. */
static gm_status choose_rows(const struct density *d, int64_t place[SHOWN], int64_t *count)
{
    const int64_t rows = gm_dataset_rows(d->test);
    const int labels = gm_dataset_has_labels(d->test) != 0;
    gm_status s = GM_OK;
    *count = 0;
    for (int64_t digit = 0; !s && digit < SHOWN; digit++)
        for (int64_t i = labels ? 0 : digit, label = digit; i < rows; i++) {
            if (labels && (s = gm_dataset_read_labels(d->test, &i, 1, &label))) break;
            if (label != digit) continue;
            place[(*count)++] = i;
            break;
        }
    return s;
}

/* Each line: the original, what is given (the rest grey), and completions. */
static gm_status draw(const struct density *d, gm_model *model, const uint8_t *known,
                      int64_t completions, int64_t draws)
{
    static const char *const names[MOST + 2] = { "test row", "given", "1",  "2",  "3",  "4",
                                                 "5",        "6",     "7",  "8",  "9",  "10",
                                                 "11",       "12",    "13", "14", "15", "16" };
    const int64_t width = d->width, columns = completions + 2;
    int64_t place[SHOWN], count;
    char path[OPTIONS_PATH_SIZE];
    int exact = 1;
    gm_status s = choose_rows(d, place, &count);
    if (s) return s;
    const int64_t cells = count * columns;
    float *images = malloc((size_t)(cells * width) * sizeof *images);
    float *rows = malloc((size_t)(count * completions * width) * sizeof *rows);
    uint8_t *all_known = malloc((size_t)(count * completions * width));
    double *ess = malloc((size_t)(count * completions) * sizeof *ess);
    if (!images || !rows || !all_known || !ess) s = GM_E_NOMEM;
    for (int64_t i = 0; !s && i < count; i++) {
        float *line = images + i * columns * width;
        if ((s = gm_dataset_read(d->test, &place[i], 1, 0, line))) break;
        for (int64_t c = 0; c < completions; c++) {
            const int64_t at = (i * completions + c) * width;
            memcpy(rows + at, line, (size_t)width * sizeof *rows);
            memcpy(all_known + at, known, (size_t)width);
        }
    }
    if (!s) s = complete(model, rows, all_known, count * completions, draws, &exact, ess);
    for (int64_t i = 0; !s && i < count; i++) {
        float *line = images + i * columns * width;
        memcpy(line + 2 * width, rows + i * completions * width,
               (size_t)(completions * width) * sizeof *rows);
        memcpy(line + width, line, (size_t)width * sizeof *rows);
    }
    if (!s) density_to_grey(d, images, cells);
    for (int64_t i = 0; !s && i < count; i++)
        for (int64_t k = 0; k < width; k++)
            if (!known[k]) images[(i * columns + 1) * width + k] = 0.4f;
    const struct image_grid grid = { .images = images,
                                     .count = (int)cells,
                                     .channels = 1,
                                     .height = (int)d->height,
                                     .width = (int)d->across,
                                     .columns = (int)columns,
                                     .title = exact ? "Draws from p(hidden | given)"
                                                    : "Resampled completions",
                                     .column_labels = d->height > 1 ? names : NULL };
    if (!s) image_grid_draw(options_out_path(&d->run->options, "completions.png", path), &grid);
    free(ess);
    free(all_known);
    free(rows);
    free(images);
    return s;
}

/* -log p(hidden | given) = log p(given) - log p(row); left out where it is not exact. */
static gm_status add_nll(gm_model *model, const float *rows, const uint8_t *known, int64_t count,
                         double *out)
{
    double whole[GROUP];
    gm_status s = gm_autoregressive_log_marginal(model, rows, known, count, NULL, out);
    if (!s) s = gm_model_log_prob(model, rows, count, whole);
    for (int64_t i = 0; !s && i < count; i++) out[i] -= whole[i];
    return s;
}

static gm_status measure(const struct density *d, gm_model *model, const uint8_t *known,
                         int64_t draws, struct found *found)
{
    const int64_t width = d->width, rows = gm_dataset_rows(d->test);
    const int64_t total = found->rows < rows ? found->rows : rows;
    int64_t hidden = 0, done = 0;
    int exact = 1;
    double nll[GROUP], ess[GROUP], wrong = 0, guess = 0, effective = 0;
    struct mean mean = { 0 };
    float *average = malloc((size_t)width * sizeof *average);
    float *filled = malloc(GROUP * (size_t)width * sizeof *filled);
    uint8_t *all_known = malloc(GROUP * (size_t)width);
    gm_status s = average && filled && all_known ? gm_dataset_mean(d->train, average) : GM_E_NOMEM;
    for (int64_t i = 0; !s && i < width; i++) hidden += !known[i];
    for (int64_t i = 0; !s && i < GROUP; i++) memcpy(all_known + i * width, known, (size_t)width);
    for (int64_t n; !s && done < total && !stop_requested(); done += n) {
        gm_tensor *x = NULL;
        n = total - done < GROUP ? total - done : GROUP;
        if ((s = gm_dataset_read_tensor(&x, d->test, done, n, 0))) break;
        const float *row = gm_tensor_read(x);
        memcpy(filled, row, (size_t)(n * width) * sizeof *filled);
        s = complete(model, filled, all_known, n, draws, &exact, ess);
        if (!s && exact) s = add_nll(model, row, all_known, n, nll);
        for (int64_t i = 0; !s && i < n; i++) {
            for (int64_t k = 0; k < width; k++) {
                if (known[k]) continue;
                wrong += filled[i * width + k] != row[i * width + k];
                guess += roundf(average[k]) != row[i * width + k];
            }
            if (exact)
                mean_add(&mean, nll[i]);
            else
                effective += ess[i];
        }
        gm_tensor_release(x);
    }
    const double count = (double)done, values = count * (double)hidden;
    found->rows = done;
    found->wrong = wrong / values;
    found->guess_wrong = guess / values;
    found->nll = exact ? mean.value : NAN;
    found->nll_error = exact ? mean_error(&mean) : NAN;
    found->ess = exact ? NAN : effective / count;
    free(all_known);
    free(filled);
    free(average);
    return s;
}

int main(int argc, char **argv)
{
    struct run r;
    struct density d = { .run = &r, .title = "Likelihood of whole rows", DENSITY_DEFAULTS };
    struct density_model f = { DENSITY_MODEL_DEFAULTS };
    struct found found = { 1000, NAN, NAN, NAN, NAN, NAN };
    struct json j;
    int64_t completions = 6, draws = 64;
    int side = 0;
    uint8_t *known = NULL;
    gm_status s = GM_OK;
    const struct option own[] = {
        OPTION_CHOICE("hide", &side, sides, "the half that is hidden"),
        OPTION_INT("completions", &completions, 1, MOST, "of each row in the picture"),
        OPTION_INT("rows", &found.rows, 1, 1000000000, "test rows to measure on"),
        OPTION_INT("draws", &draws, 1, 1000000, "proposals where no exact draw can be had"),
        DENSITY_MODEL_OPTIONS(&f),
        DENSITY_OPTIONS(&d),
        DENSITY_GREY_OPTION(&d),
    };

    options_init(&r.options, "impute", "Completes rows of which a half is known.");
    r.options.defaults = density_model_defaults;
    int status = run_start(&r, argc, argv, own, (int)(sizeof own / sizeof *own));
    if (status != OPTIONS_GO_ON) return status;
    d.labels = DENSITY_LABELS_IF_ANY;
    status = density_open(&d);
    if (status != OPTIONS_GO_ON) return run_end(&r, GM_OK, status);
    if ((status = density_model_open(&f, &d, &s)) != OPTIONS_GO_ON) goto out;
    status = 0;
    if (gm_autoregressive_kind(f.model) < 0) {
        message("a %s is no autoregressive model, so it has no conditionals to draw from",
                gm_model_family(f.model));
        status = 2;
        goto out;
    }
    known = malloc((size_t)d.width);
    if (!known) {
        s = GM_E_NOMEM;
        goto out;
    }
    mark_known(&d, side, known);
    gm_model_seed(f.model, (uint64_t)r.options.seed);
    if ((s = draw(&d, f.model, known, completions, draws))) goto out;
    if ((s = measure(&d, f.model, known, draws, &found))) goto out;
    json_begin(&j, gm_model_family(f.model), d.name);
    density_json_data(&d, &j);
    json_text(&j, "hidden", sides[side]);
    json_whole(&j, "epochs", gm_model_epochs(f.model));
    json_whole(&j, "rows", found.rows);
    json_flag(&j, "exact", isnan(found.ess));
    json_number(&j, "hidden_nll", found.nll);
    json_number(&j, "hidden_nll_error", found.nll_error);
    json_number(&j, "wrong", found.wrong);
    json_number(&j, "wrong_by_mean", found.guess_wrong);
    if (!isnan(found.ess)) json_number(&j, "effective_draws", found.ess);
    json_number(&j, "seconds", run_seconds(&r));
    if (d.stopped || stop_requested()) json_flag(&j, "stopped", 1);
    if (json_end(&j)) status = 1;
out:
    free(known);
    density_model_close(&f);
    density_close(&d);
    return run_end(&r, s, status);
}
