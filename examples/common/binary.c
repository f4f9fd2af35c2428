/* binary.c - layers of binary units: their sizes, weights and partition functions. */
#include "binary.h"

#include <math.h>
#include <stdlib.h>

#include "image_grid.h"
#include "message.h"
#include "stop.h"

#define SHOWN 100

static int32_t read_sizes(const char *text, int64_t *sizes, int32_t most)
{
    int32_t count = 0;
    for (const char *at = text; count < most; at++) {
        char *end;
        const long long n = *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : 0;
        if (n < 1 || n > 1000000) return 0;
        sizes[count++] = n;
        if (!*end) return count;
        if (*end != ',') return 0;
        at = end;
    }
    return 0;
}

int32_t binary_layers(const char *text, int64_t *sizes, int32_t most)
{
    const int32_t count = read_sizes(text, sizes, most);
    if (!count)
        message("--layers %s: expected 1 to %d sizes with commas between them", text, (int)most);
    return count;
}

int binary_weights(const struct density *d, const char *file, const float *value, int64_t units,
                   int64_t by_unit, int64_t by_pixel)
{
    char path[OPTIONS_PATH_SIZE];
    const int64_t count = units < SHOWN ? units : SHOWN;
    double most = 1e-9;
    if (d->height < 2) return 0;
    float *images = malloc((size_t)(count * d->width) * sizeof *images);
    if (!images) {
        message("no memory for %d pictures", (int)count);
        return -1;
    }
    for (int64_t u = 0; u < count; u++)
        for (int64_t i = 0; i < d->width; i++) {
            images[u * d->width + i] = value[u * by_unit + i * by_pixel];
            most = fmax(most, fabs((double)images[u * d->width + i]));
        }
    for (int64_t i = 0; i < count * d->width; i++)
        images[i] = (float)(0.5 + (double)images[i] / (2 * most));
    const int failed =
        image_grid_write(options_out_path(&d->run->options, file, path), images, (int)count, 1,
                         (int)d->height, (int)d->across, 10, "Weights from layer 1");
    free(images);
    return failed;
}

gm_status binary_bits(const struct density *d, gm_model *model, const char *file)
{
    const struct options *options = &d->run->options;
    char path[OPTIONS_PATH_SIZE];
    gm_tensor *samples = NULL;
    gm_rng *rng = NULL;
    gm_status s = GM_OK;
    if (d->height < 2) return s;
    gm_model_seed(model, (uint64_t)options->seed);
    if ((s = gm_model_sample(&samples, model, SHOWN))) goto out;
    if ((s = gm_rng_create(&rng, d->run->context, (uint64_t)options->seed))) goto out;
    float *x = gm_tensor_data(samples);
    for (int64_t i = 0; i < SHOWN * d->width; i++) x[i] = gm_rng_double(rng) < (double)x[i];
    image_grid_write(options_out_path(options, file, path), x, SHOWN, 1, (int)d->height,
                     (int)d->across, 10, "Samples after training, as bits");
out:
    gm_rng_release(rng);
    gm_tensor_release(samples);
    return s;
}

static int32_t on_progress(void *user, int64_t done, int64_t total)
{
    progress_step(user, 1, done, total, NAN);
    return stop_requested();
}

gm_status binary_log_z(const struct density *d, gm_rbm *rbm, const float *means, int64_t runs,
                       int64_t steps, struct binary_z *out)
{
    static const gm_rbm_ais_result none = GM_RBM_AIS_RESULT_INIT;
    const struct options *options = &d->run->options;
    gm_rbm_ais_options o = GM_RBM_AIS_OPTIONS_INIT;
    struct progress p;
    gm_status s;
    double *betas = calloc((size_t)steps + 1, sizeof *betas);
    if (!betas) return GM_E_NOMEM;
    for (int64_t i = 1; i <= steps; i++) betas[i] = (double)i / (double)steps;
    o.runs = runs;
    o.betas = steps ? betas : NULL;
    o.beta_count = steps ? steps + 1 : 0;
    o.means = means;
    o.seed = (uint64_t)options->seed;
    o.on_progress = on_progress;
    o.user = &p;
    out->ais = none;
    out->exact = NAN;
    if (!options->quiet) message("log Z by annealed importance sampling");
    progress_begin(&p, 1, options->quiet);
    s = gm_rbm_ais(&out->ais, rbm, &o);
    progress_end(&p);
    free(betas);
    if (s) return s;
    if (gm_rbm_hidden(rbm) <= 20 || gm_rbm_visible(rbm) <= 20) s = gm_rbm_log_z(&out->exact, rbm);
    if (isnan(out->exact))
        gm_rbm_set_log_z(rbm, out->ais.log_z, out->ais.standard_error);
    else
        gm_rbm_set_log_z(rbm, out->exact, 0);
    return s;
}

void binary_report(struct json *json, const struct binary_z *z)
{
    const int known = z->ais.runs > 0;
    json_number(json, "log_z", known ? z->ais.log_z : NAN);
    json_number(json, "log_z_error", known ? z->ais.standard_error : NAN);
    json_number(json, "log_z_low", known ? z->ais.low : NAN);
    json_number(json, "log_z_high", known ? z->ais.high : NAN);
    json_number(json, "log_z_exact", known ? z->exact : NAN);
}
