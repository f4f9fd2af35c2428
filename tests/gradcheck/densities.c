/* densities.c - models with exact likelihoods in double precision: the probabilities of all states
 * sum to 1 within 1e-12, and the walk along the order agrees with the products as closely. */
#include "densities.h"

static gm_model *linear(gm_context *ctx)
{
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    static const int64_t order[BITS] = { 3, 9, 0, 7, 1, 8, 2, 6, 5, 4 };
    gm_linear_ar *ar = NULL;
    o.order = order;
    support_ok(ctx, gm_linear_ar_create(&ar, ctx, BITS, &o));
    return gm_linear_ar_model(ar);
}

static gm_model *neural(gm_context *ctx)
{
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar *ar = NULL;
    o.hidden = 11;
    o.activation = GM_ACTIVATION_SOFTPLUS;
    support_ok(ctx, gm_neural_ar_create(&ar, ctx, BITS, &o));
    return gm_neural_ar_model(ar);
}

static gm_model *masked(gm_context *ctx)
{
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    static const int64_t hidden[2] = { 13, 9 };
    gm_made *made = NULL;
    o.hidden = hidden;
    o.layers = 2;
    o.direct = 1;
    o.random_orders = 1;
    o.connectivity = 1;
    o.activation = GM_ACTIVATION_TANH;
    support_ok(ctx, gm_made_create(&made, ctx, BITS, &o));
    return gm_made_model(made);
}

/* Ten bits as an image of 2 x 5. */
static gm_model *pixels(gm_context *ctx, int32_t gated)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net = NULL;
    o.gated = gated;
    o.hidden = 5;
    o.blocks = 2;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 2, 5, &o));
    return gm_pixelcnn_model(net);
}

static gm_model *plain(gm_context *ctx)
{
    return pixels(ctx, 0);
}

static gm_model *gated(gm_context *ctx)
{
    return pixels(ctx, 1);
}

static const density_fn makers[] = { linear, neural, masked, plain, gated };

START_TEST(exact)
{
    ck_assert_uint_eq(sizeof(float), sizeof(double));
    gm_context *ctx = support_context(61, 2);
    gm_model *model = density_fitted(ctx, makers[_i]);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_completes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: densities");
    TCase *t = tcase_create("densities");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, exact, 0, (int)(sizeof makers / sizeof *makers));
    suite_add_tcase(s, t);
    return s;
}
