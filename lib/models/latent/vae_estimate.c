/* vae_estimate.c - log p(x) of a variational autoencoder, by importance sampling from q(z | x):
 * log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x) (Rezende, Mohamed and Wierstra 2014). */
#include <math.h>

#include "gm/vae.h"
#include "models/family.h"
#include "models/latent/parts.h"
#include "models/log_mean.h"

#define ESTIMATE_ROWS 64
#define ESTIMATE_DRAWS 1024

/* At most ESTIMATE_ROWS rows, ESTIMATE_DRAWS of their z at a time. */
static gm_status estimate(gm_vae *vae, const gm_batch *batch, int64_t samples, double *out,
                          double *error)
{
    gm_model *model = gm_vae_model(vae);
    int64_t n = batch->count;
    gm_log_mean sums[ESTIMATE_ROWS];
    gm_status status = GM_OK;
    for (int64_t i = 0; i < n; i++) sums[i] = (gm_log_mean)GM_LOG_MEAN_INIT;
    for (int64_t done = 0; done < samples;) {
        int64_t most = ESTIMATE_DRAWS / n;
        int64_t k = samples - done < most ? samples - done : most;
        gm_model_record(model, GM_TAPE_CONSTANT);
        gm_var w = gm_vae_log_weights(vae, batch, k);
        GM_TRY(gm_tape_status(model->tape));
        const float *log_weight = gm_value(model->tape, w);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < k; j++)
                gm_log_mean_add(&sums[i], (double)log_weight[i * k + j]);
        done += k;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = gm_log_mean_get(&sums[i], samples, error ? &error[i] : NULL);
out:
    return status;
}

gm_status gm_vae_estimate(gm_vae *vae, const gm_batch *batch, const gm_log_prob_options *how,
                          double *out, double *error)
{
    const int64_t samples = how->samples;
    gm_model *model = gm_vae_model(vae);
    const float *labels = batch->labels;
    gm_status status = GM_OK;
    for (int64_t done = 0; done < batch->count;) {
        int64_t group = samples < ESTIMATE_DRAWS / 4 ? ESTIMATE_ROWS : 4;
        int64_t n = batch->count - done < group ? batch->count - done : group;
        gm_batch part = { .rows = batch->rows + done * model->row_size,
                          .labels = labels ? labels + done : NULL,
                          .count = n };
        GM_TRY(estimate(vae, &part, samples, out + done, error ? error + done : NULL));
        done += n;
        GM_TRY(gm_model_progress(model->ctx, "vae: log_prob", how->on_progress, how->user, done,
                                 batch->count));
    }
out:
    return status;
}

gm_status gm_vae_log_prob(gm_vae *vae, const float *rows, int64_t count,
                          const gm_log_prob_options *options, double *log_prob,
                          double *standard_error)
{
    return vae ? gm_model_log_prob_estimate(NULL, gm_vae_model(vae), rows, count, options, log_prob,
                                            standard_error)
               : GM_E_INVALID;
}
