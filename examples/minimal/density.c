/* density.c - an autoregressive density (NADE: Larochelle and Murray 2011) and anomaly scores.
 *
 *     cc density.c $(pkg-config --cflags --libs gm) -o density
 *     ./density [IMAGES]          an IDX file of images, plain or gz
 *
 * Fits log p(x) to handwritten digits, calibrates it on digits that it was not trained to, and asks
 * how unusual other digits are: upright ones, and the same ones upside down.
 */
#include <gm/gm.h>

#include <stdio.h>
#include <stdlib.h>

#define ASKED 500 /* digits that are scored */

int main(int argc, char **argv)
{
    const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *bits = NULL, *train = NULL, *rest = NULL, *usual = NULL,
               *test = NULL;
    gm_nade *nade = NULL;
    gm_anomaly *score = NULL;
    gm_tensor *upright = NULL;
    gm_nade_options options = GM_NADE_OPTIONS_INIT;
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    gm_result nll = GM_RESULT_INIT, auc = GM_RESULT_INIT;
    float *turned = NULL;
    double log_p[2][ASKED], alarm;
    int alarms[2] = { 0, 0 };
    gm_status s;

    /* Bits: 1 where a byte is above 127. Eight tenths train, one calibrates, one tests. */
    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, images))) goto out;
    if ((s = gm_dataset_threshold(&bits, bytes, 127))) goto out;
    const int64_t rows = gm_dataset_rows(bits), width = gm_dataset_row_size(bits);
    if ((s = gm_dataset_split(&train, &rest, bits, rows * 8 / 10))) goto out;
    if ((s = gm_dataset_split(&usual, &test, rest, rows / 10))) goto out;

    options.hidden = 100;
    if ((s = gm_nade_create(&nade, ctx, width, &options))) goto out;
    if ((s = gm_nade_init_biases(nade, train))) goto out; /* biases from the mean image */
    fit.batch = 20;
    if ((s = gm_model_fit(gm_nade_model(nade), train, &fit))) goto out;
    if ((s = gm_evaluate_nll(&nll, gm_nade_model(nade), test, NULL))) goto out;
    printf("-log p(x) of test digits: %.1f +- %.1f nats\n", nll.value, nll.standard_error);

    /* A threshold below which 1 usual digit in 100 falls. */
    if ((s = gm_anomaly_create(&score, gm_nade_model(nade), usual, NULL))) goto out;
    if ((s = gm_anomaly_threshold(&alarm, score, 0.01))) goto out;
    if ((s = gm_dataset_read_tensor(&upright, test, 0, ASKED, 0))) goto out;
    if (!(turned = malloc(ASKED * (size_t)width * sizeof *turned))) s = GM_E_NOMEM;
    if (s) goto out;
    for (int64_t i = 0; i < ASKED * width; i++)
        turned[i] = gm_tensor_read(upright)[i / width * width + width - 1 - i % width];
    if ((s = gm_anomaly_score(score, gm_tensor_read(upright), ASKED, log_p[0], NULL))) goto out;
    if ((s = gm_anomaly_score(score, turned, ASKED, log_p[1], NULL))) goto out;
    for (int i = 0; i < 2 * ASKED; i++) alarms[i / ASKED] += log_p[i / ASKED][i % ASKED] < alarm;
    if ((s = gm_auc(&auc, ctx, log_p[0], ASKED, log_p[1], ASKED))) goto out;
    printf("alarms: %d of %d upright digits, %d upside down; area under the ROC curve %.3f\n",
           alarms[0], ASKED, alarms[1], auc.value);
out:
    if (s) fprintf(stderr, "density: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    free(turned);
    gm_tensor_release(upright);
    gm_anomaly_release(score);
    gm_nade_release(nade);
    gm_dataset_release(test);
    gm_dataset_release(usual);
    gm_dataset_release(rest);
    gm_dataset_release(train);
    gm_dataset_release(bits);
    gm_dataset_release(bytes);
    gm_context_release(ctx);
    return s != GM_OK;
}
