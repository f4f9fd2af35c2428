/* ais_bracket.c - bidirectional Monte Carlo on simulated data (Grosse, Ghahramani and Adams 2015):
 * z from the prior and x from p(x | z) is the same as x from p(x) and z from p(z | x), so a
 * simulated x comes with an exact draw of its posterior. */
#include "evaluate/result.h"
#include "gm/ais.h"

/* count pairs of z and x, from the generator's own random stream. */
static gm_status simulate(gm_generator *g, int64_t count, gm_tensor *z, gm_tensor *x)
{
    gm_status status;
    GM_TRY(gm_generator_sample_prior(g, gm_generator_model(g)->rng, count, gm_tensor_data(z)));
    GM_TRY(gm_generator_sample(g, gm_tensor_read(z), count, gm_tensor_data(x)));
out:
    return status;
}

static gm_status bracket(gm_result *lower, gm_result *upper, gm_generator *g, int64_t count,
                         gm_ais_options *o)
{
    gm_context *ctx = gm_model_context(gm_generator_model(g));
    int64_t codes[2] = { count, gm_generator_latent(g) };
    int64_t rows[2] = { count, gm_generator_row_size(g) };
    gm_tensor *z = NULL, *x = NULL;
    gm_result low = GM_RESULT_INIT;
    gm_status status;
    GM_TRY(gm_tensor_create(&z, ctx, 2, codes));
    GM_TRY(gm_tensor_create(&x, ctx, 2, rows));
    GM_TRY(simulate(g, count, z, x));
    GM_TRY(gm_ais(&low, g, gm_tensor_read(x), count, o));
    if (o->log_prob) o->log_prob += count;
    GM_TRY(gm_ais_reverse(upper, g, gm_tensor_read(x), gm_tensor_read(z), count, o));
    gm_result_give(lower, &low);
out:
    gm_tensor_release(x);
    gm_tensor_release(z);
    return status;
}

gm_status gm_ais_bracket(gm_result *lower, gm_result *upper, gm_generator *g, int64_t count,
                         const gm_ais_options *options)
{
    if (!g) return GM_E_INVALID;
    gm_model *model = gm_generator_model(g);
    gm_context *ctx = gm_model_context(model);
    gm_ais_options o = GM_AIS_OPTIONS_INIT;
    gm_rng_state before;
    gm_status status;
    gm_rng_save(&before, model->rng);
    GM_TRY(gm_result_check(ctx, "ais", lower));
    GM_TRY(gm_result_check(ctx, "ais", upper));
    GM_TRY(gm_options_read(ctx, "ais", &o, sizeof o, options));
    if (count < 1)
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID, "ais: count is %lld, expected at least 1",
                             (long long)count));
    gm_rng_seed(model->rng, o.seed ^ 0x736d756c617465u); /* not the numbers that the chains get */
    GM_TRY(bracket(lower, upper, g, count, &o));
out:
    gm_rng_restore(model->rng, &before);
    return status;
}
