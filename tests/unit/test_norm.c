/* test_norm.c - gm/norm.h: values against PyTorch's, when state is written and when not, wrong
 * arguments. The layers are in test_norm_layers.c.
 */
#include "norm_data.h"
#include "norm_reference.h"

#define NORM(eps, act, slope) (&(gm_norm_options){ sizeof(gm_norm_options), eps, 1, act, slope })

static void close_to(const char *what, const float *have, const float *want, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        ck_assert_msg(fabsf(have[i] - want[i]) <= 2e-5f * (1 + fabsf(want[i])),
                      "%s: element %zu is %.9g, PyTorch has %.9g", what, i, (double)have[i],
                      (double)want[i]);
}
#define CLOSE(have, want) close_to(#want, have, want, sizeof want)

static gm_param *param(const char *name, int64_t n, float value)
{
    gm_param *p = NULL;
    support_ok(ctx, gm_param_create(&p, ctx, name, 1, &n));
    for (int64_t i = 0; i < n; i++) gm_param_value(p)[i] = value;
    return p;
}

/* --- Values. */

static void batch_steps(int32_t rank, const int64_t *shape, int32_t act, double slope,
                        gm_param *mean, gm_param *variance, gm_var got[4])
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    o.eps = 1e-3;
    o.momentum = 0.25;
    o.activation = act;
    o.slope = slope;
    int64_t c = shape[1];
    for (int step = 0; step < 2; step++) {
        gm_tape_reset(t);
        gm_var x = filled(t, 1, rank, shape, 37 + step, 23, 0.125f);
        gm_var gamma = filled(t, 1, 1, &c, 3, 7, 0.5f), beta = filled(t, 1, 1, &c, 2, 5, 0.25f);
        gm_var y = gm_batch_norm(t, x, gamma, beta, mean, variance, &o);
        gm_var loss = gm_sum(t, gm_mul(t, y, filled(t, 0, rank, shape, 11, 13, 0.25f)));
        support_ok(ctx, gm_backward(t, loss, NULL));
        got[0] = y;
        got[1] = x;
        got[2] = gamma;
        got[3] = beta;
    }
}

static void batch_evaluation(int32_t rank, const int64_t *shape, int32_t act, double slope,
                             gm_param *mean, gm_param *variance, const float *want, size_t bytes)
{
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    float before[2];
    int64_t c = shape[1];
    o.eps = 1e-3;
    o.activation = act;
    o.slope = slope;
    memcpy(before, gm_param_value(mean), sizeof before);
    gm_tape_reset(t);
    gm_tape_set_mode(t, GM_TAPE_CONSTANT);
    gm_var gamma = filled(t, 1, 1, &c, 3, 7, 0.5f), beta = filled(t, 1, 1, &c, 2, 5, 0.25f);
    gm_var x = filled(t, 1, rank, shape, 37, 23, 0.125f);
    gm_var y = gm_batch_norm(t, x, gamma, beta, mean, variance, &o);
    support_ok(ctx, gm_backward(t, gm_sum(t, y), NULL));
    close_to("evaluation", gm_value(t, y), want, bytes);
    ck_assert_mem_eq(before, gm_param_value(mean), sizeof before);
    gm_tape_set_mode(t, GM_TAPE_TRAIN);
}

START_TEST(batch_values)
{
    gm_param *mean = param("mean", 3, 0), *variance = param("variance", 3, 1);
    gm_var got[4];
    batch_steps(SHAPE(5, 3), GM_ACTIVATION_NONE, 0, mean, variance, got);
    CLOSE(gm_value(t, got[0]), rows_y);
    CLOSE(gm_gradient_of(t, got[1]), rows_dx);
    CLOSE(gm_gradient_of(t, got[2]), rows_dgamma);
    CLOSE(gm_gradient_of(t, got[3]), rows_dbeta);
    CLOSE(gm_param_value(mean), rows_mean);
    CLOSE(gm_param_value(variance), rows_variance);
    batch_evaluation(SHAPE(5, 3), GM_ACTIVATION_NONE, 0, mean, variance, rows_eval,
                     sizeof rows_eval);

    for (int i = 0; i < 3; i++) gm_param_value(mean)[i] = 0, gm_param_value(variance)[i] = 1;
    batch_steps(SHAPE(2, 3, 2, 3), GM_ACTIVATION_LEAKY_RELU, 0.2, mean, variance, got);
    CLOSE(gm_value(t, got[0]), images_y);
    CLOSE(gm_gradient_of(t, got[1]), images_dx);
    CLOSE(gm_gradient_of(t, got[2]), images_dgamma);
    CLOSE(gm_gradient_of(t, got[3]), images_dbeta);
    CLOSE(gm_param_value(mean), images_mean);
    CLOSE(gm_param_value(variance), images_variance);
    batch_evaluation(SHAPE(2, 3, 2, 3), GM_ACTIVATION_LEAKY_RELU, 0.2, mean, variance, images_eval,
                     sizeof images_eval);
    gm_param_release(mean);
    gm_param_release(variance);
}
END_TEST

/* A mean far from 0 leaves the variance its digits; a constant channel gives beta, not NaN. */
START_TEST(batch_precision)
{
    gm_param *mean = param("mean", 2, 0), *variance = param("variance", 2, 1);
    float data[2 * 2 * 50];
    for (int i = 0; i < 200; i++)
        data[i] = i / 50 % 2 ? 7 : 4096 + (float)(i % 2); /* deviation 1/2 */
    gm_var x = gm_variable(t, SHAPE(2, 2, 50), data);
    gm_var y = gm_batch_norm(t, x, GM_NO_VAR, GM_NO_VAR, mean, variance, NULL);
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_mul(t, y, y)), NULL));
    for (int i = 0; i < 200; i++) {
        float want = i / 50 % 2 ? 0 : i % 2 ? 1 : -1;
        ck_assert_float_eq_tol(gm_value(t, y)[i], want, 1e-4f);
        ck_assert(isfinite(gm_gradient_of(t, x)[i]));
    }
    ck_assert_float_eq_tol(gm_param_value(mean)[0], 409.65f, 1e-3f);
    ck_assert_float_eq_tol(gm_param_value(variance)[0], 0.9f + 0.1f * 25 / 99, 1e-5f);
    ck_assert_float_eq_tol(gm_param_value(variance)[1], 0.9f, 1e-6f);
    gm_param_release(mean);
    gm_param_release(variance);
}
END_TEST

START_TEST(layer_and_instance_values)
{
    gm_var x = filled(t, 1, SHAPE(3, 2, 4), 37, 23, 0.125f);
    gm_var g = filled(t, 1, SHAPE(2, 4), 3, 7, 0.5f), b = filled(t, 1, SHAPE(2, 4), 2, 5, 0.25f);
    gm_var y = gm_layer_norm(t, x, g, b, 2, NORM(1e-3, GM_ACTIVATION_TANH, 0));
    gm_var w = filled(t, 0, SHAPE(3, 2, 4), 11, 13, 0.25f);
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_mul(t, y, w)), NULL));
    CLOSE(gm_value(t, y), layer_y);
    CLOSE(gm_gradient_of(t, x), layer_dx);
    CLOSE(gm_gradient_of(t, g), layer_dgamma);
    CLOSE(gm_gradient_of(t, b), layer_dbeta);

    gm_tape_reset(t);
    x = filled(t, 1, SHAPE(2, 3, 2, 3), 37, 23, 0.125f);
    g = filled(t, 1, SHAPE(3), 3, 7, 0.5f);
    b = filled(t, 1, SHAPE(3), 2, 5, 0.25f);
    y = gm_instance_norm(t, x, g, b, NORM(1e-3, GM_ACTIVATION_ELU, 0.7));
    w = filled(t, 0, SHAPE(2, 3, 2, 3), 11, 13, 0.25f);
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_mul(t, y, w)), NULL));
    CLOSE(gm_value(t, y), instance_y);
    CLOSE(gm_gradient_of(t, x), instance_dx);
    CLOSE(gm_gradient_of(t, g), instance_dgamma);
    CLOSE(gm_gradient_of(t, b), instance_dbeta);
}
END_TEST

static void unit(float *x, int64_t n)
{
    double norm = 0;
    for (int64_t i = 0; i < n; i++) norm += (double)x[i] * (double)x[i];
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)x[i] / sqrt(norm));
}

START_TEST(spectral_values)
{
    gm_layer *inner = NULL, *layer = NULL;
    support_ok(ctx, gm_linear_create(&inner, ctx, 5, 3, NULL));
    support_ok(ctx, gm_spectral_norm_create(&layer, ctx, inner, NULL));
    ck_assert_ptr_eq(gm_spectral_norm_inner(layer), inner);
    ck_assert_ptr_null(gm_spectral_norm_inner(inner));
    gm_params *p = gm_layer_params(layer), *state = gm_layer_state(layer);
    ck_assert_str_eq(gm_params_name(state, 0), "u");
    ck_assert_str_eq(gm_params_name(state, 1), "v");
    float *u = gm_param_value(gm_params_get(state, 0)),
          *v = gm_param_value(gm_params_get(state, 1));
    fill(gm_param_value(gm_params_get(p, 0)), 15, 37, 23, 0.125f);
    fill(gm_param_value(gm_params_get(p, 1)), 3, 2, 5, 0.25f);
    fill(u, 3, 3, 7, 0.5f);
    fill(v, 5, 2, 5, 0.25f);
    for (int i = 0; i < 5; i++) v[i] += 0.1f;
    unit(u, 3);
    unit(v, 5);
    gm_var x, y;
    for (int step = 0; step < 2; step++) {
        gm_tape_reset(t);
        x = filled(t, 0, SHAPE(4, 5), 11, 13, 0.25f);
        y = gm_apply(t, layer, x);
        gm_var w = filled(t, 0, SHAPE(4, 3), 11, 13, 0.25f);
        support_ok(ctx, gm_backward(t, gm_sum(t, gm_mul(t, y, w)), p));
    }
    CLOSE(gm_value(t, y), spectral_y);
    CLOSE(gm_param_gradient(gm_params_get(p, 0)), spectral_dw);
    CLOSE(u, spectral_u);
    CLOSE(v, spectral_v);
    for (int mode = 0; mode < 2; mode++) { /* neither evaluation nor a recording alone moves them */
        gm_tape_reset(t);
        gm_tape_set_mode(t, mode ? GM_TAPE_TRAIN : GM_TAPE_CONSTANT);
        y = gm_apply(t, layer, filled(t, 1, SHAPE(4, 5), 11, 13, 0.25f));
        if (!mode) CLOSE(gm_value(t, y), spectral_eval);
        if (!mode) support_ok(ctx, gm_backward(t, gm_sum(t, y), NULL));
        CLOSE(u, spectral_u);
        CLOSE(v, spectral_v);
    }
    gm_layer_release(layer);
    gm_layer_release(inner);
}
END_TEST

/* After the steps at creation, s is the largest singular value: that of a known matrix. A weight of
 * zeros stays one of zeros. */
START_TEST(spectral_start)
{
    gm_layer *inner = NULL, *layer = NULL;
    support_ok(ctx, gm_linear_create(&inner, ctx, 3, 3, NULL));
    float *w = gm_param_value(gm_params_get(gm_layer_params(inner), 0));
    memset(w, 0, 9 * sizeof *w);
    w[0] = 0.5f;
    w[4] = -4;
    w[8] = 1;
    support_ok(ctx, gm_spectral_norm_create(&layer, ctx, inner, NULL));
    gm_tape_set_mode(t, 0);
    float *b = gm_param_value(gm_params_get(gm_layer_params(inner), 1));
    memset(b, 0, 3 * sizeof *b);
    static const float ones[3] = { 1, 1, 1 };
    const float *y = gm_value(t, gm_apply(t, layer, gm_input_array(t, SHAPE(1, 3), ones)));
    ck_assert_float_eq_tol(y[0], 0.125f, 1e-5f);
    ck_assert_float_eq_tol(y[1], -1, 1e-5f);
    ck_assert_float_eq_tol(y[2], 0.25f, 1e-5f);
    gm_layer_release(layer);
    memset(w, 0, 9 * sizeof *w);
    support_ok(ctx, gm_spectral_norm_create(&layer, ctx, inner, NULL));
    gm_tape_reset(t);
    gm_tape_set_mode(t, GM_TAPE_TRAIN);
    gm_var z = gm_apply(t, layer, gm_input_array(t, SHAPE(1, 3), ones));
    support_ok(ctx, gm_backward(t, gm_sum(t, z), gm_layer_params(layer)));
    for (int i = 0; i < 3; i++) ck_assert(gm_value(t, z)[i] == 0);
    ck_assert(isfinite(gm_params_gradient_norm(gm_layer_params(layer))));
    gm_layer_release(layer);
    gm_layer_release(inner);
}
END_TEST

/* --- When state is written. */

typedef struct batch_layer {
    gm_layer *layer;
    const float *mean, *variance;
} batch_layer;

static batch_layer make_batch(int64_t channels)
{
    batch_layer b = { NULL, NULL, NULL };
    support_ok(ctx, gm_batch_norm_create(&b.layer, ctx, channels, NULL));
    gm_params *state = gm_layer_state(b.layer);
    ck_assert_int_eq(gm_params_count(state), 2);
    b.mean = gm_param_value(gm_params_find(state, "running_mean"));
    b.variance = gm_param_value(gm_params_find(state, "running_variance"));
    return b;
}

static gm_status refuse(void *user, const gm_op_view *view)
{
    (void)view;
    return *(gm_status *)user;
}

static gm_status one_value(void *user, const gm_op_view *view, int32_t *rank, int64_t *shape)
{
    (void)user;
    (void)view;
    (void)shape;
    *rank = 0;
    return GM_OK;
}

static gm_status nothing(void *user, const gm_op_view *view)
{
    (void)user;
    *view->value = 0;
    return GM_OK;
}

START_TEST(committed_on_success)
{
    batch_layer b = make_batch(1);
    static const float data[2] = { 1, 3 };
    static const int64_t shape[2] = { 2, 1 };
    gm_params *p = gm_layer_params(b.layer);
    gm_var loss = gm_sum(t, gm_apply(t, b.layer, gm_input_array(t, 2, shape, data)));
    ck_assert(b.mean[0] == 0 && b.variance[0] == 1); /* not by recording */
    support_ok(ctx, gm_backward(t, loss, p));
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);
    ck_assert_float_eq_tol(b.variance[0], 0.9f + 0.1f * 2, 1e-6f); /* unbiased */
    support_ok(ctx, gm_backward(t, loss, p));                      /* not twice */
    support_ok(ctx, gm_backward_add(t, loss, p));
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);

    /* More of the same recording is one more. */
    loss = gm_sum(t, gm_apply(t, b.layer, gm_input_array(t, 2, shape, data)));
    support_ok(ctx, gm_backward_add(t, loss, NULL));
    ck_assert_float_eq_tol(b.mean[0], 0.38f, 1e-6f);

    /* Twice in one recording, with different data: the second goes on from the first. */
    static const float other[2] = { -1, 1 };
    gm_tape_reset(t);
    gm_var y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, data));
    gm_var z = gm_apply(t, b.layer, gm_input_array(t, 2, shape, other));
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_add(t, y, z)), p));
    ck_assert_float_eq_tol(b.mean[0], (0.38f * 0.9f + 0.2f) * 0.9f, 1e-6f);

    /* Constants train, too, and write when asked. */
    float before = b.mean[0];
    gm_tape_reset(t);
    gm_tape_set_mode(t, GM_TAPE_TRAIN | GM_TAPE_CONSTANT);
    y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, data));
    ck_assert_float_eq_tol(gm_value(t, y)[1], 1, 1e-4f); /* by the batch's statistics */
    ck_assert(b.mean[0] == before);
    support_ok(ctx, gm_backward(t, gm_sum(t, y), NULL));
    ck_assert_float_eq_tol(b.mean[0], before * 0.9f + 0.2f, 1e-6f);
    gm_layer_release(b.layer);
}
END_TEST

START_TEST(not_after_failure)
{
    batch_layer b = make_batch(1);
    static const float data[2] = { 1, 3 }, spoilt[2] = { 1, INFINITY };
    static const int64_t shape[2] = { 2, 1 };
    gm_params *p = gm_layer_params(b.layer);
    gm_status answer = GM_E_NUMERIC;
    gm_host_op op = GM_HOST_OP_INIT;
    op.name = "refuse";
    op.infer = one_value;
    op.forward = nothing;
    op.backward = refuse;
    op.user = &answer;

    gm_var y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, data)); /* reset drops it */
    gm_tape_reset(t);
    support_ok(ctx, gm_backward(t, gm_sum(t, gm_variable(t, 2, shape, data)), NULL));
    ck_assert(b.mean[0] == 0 && b.variance[0] == 1);

    y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, data)); /* the loss has two elements */
    support_fails(ctx, gm_backward(t, y, p), GM_E_SHAPE, "[2, 1]");
    ck_assert(b.mean[0] == 0);
    gm_var loss = gm_host(t, &op, &y, 1); /* backward itself fails */
    ck_assert_int_eq(gm_backward(t, loss, p), GM_E_NUMERIC);
    ck_assert(b.mean[0] == 0);
    answer = GM_OK; /* what succeeds at last, writes */
    support_ok(ctx, gm_backward(t, loss, p));
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);

    gm_tape_reset(t); /* a later operation fails */
    y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, data));
    (void)gm_reshape(t, y, 1, (int64_t[]){ 5 });
    ck_assert_int_eq(gm_backward(t, gm_sum(t, y), p), GM_E_SHAPE);
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);

    gm_tape_reset(t); /* what is not finite is not kept */
    y = gm_apply(t, b.layer, gm_input_array(t, 2, shape, spoilt));
    support_ok(ctx, gm_backward(t, gm_sum(t, y), p));
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);
    ck_assert_float_eq_tol(b.variance[0], 1.1f, 1e-6f);

    int32_t rank; /* a dry run, with a batch of one, touches nothing */
    int64_t out[GM_MAX_RANK], one[2] = { 1, 1 };
    support_ok(ctx, gm_layer_output(b.layer, 2, one, &rank, out));
    ck_assert_float_eq_tol(b.mean[0], 0.2f, 1e-6f);
    gm_layer_release(b.layer);
}
END_TEST

/* --- Bad input. */

static void fails(gm_var v, gm_status status, const char *a, const char *b)
{
    const char *line = gm_context_error(ctx);
    ck_assert_int_eq(v.recording, 0);
    ck_assert_msg(gm_tape_status(t) == status, "%s: %s", gm_status_name(gm_tape_status(t)), line);
    ck_assert_msg(strstr(line, a) == line && strstr(line, b), "\"%s\" lacks \"%s\" or \"%s\"", line,
                  a, b);
    gm_tape_reset(t);
}

static gm_var zeros(int32_t rank, const int64_t *shape)
{
    return gm_constant(t, rank, shape, 0);
}

START_TEST(bad_batch)
{
    gm_param *m = param("mean", 8, 0), *v = param("variance", 8, 1), *far = NULL;
    gm_context *other = support_context(1, 1);
    int64_t n = 8;
    support_ok(other, gm_param_create(&far, other, "far", 1, &n));
    gm_batch_norm_options o = GM_BATCH_NORM_OPTIONS_INIT;
    const gm_var no = { 0, 0 };
#define BATCH(x, g, b, p, q, options) gm_batch_norm(t, x, g, b, p, q, options)
    fails(BATCH(zeros(SHAPE(1, 8)), no, no, m, v, NULL), GM_E_SHAPE, "batch_norm: input is [1, 8],",
          "one value for each channel");
    fails(BATCH(zeros(SHAPE(1, 8, 1, 1)), no, no, m, v, NULL), GM_E_SHAPE,
          "batch_norm: input is [1, 8, 1, 1]", "one value");
    fails(BATCH(zeros(SHAPE(0, 8)), no, no, m, v, NULL), GM_E_SHAPE, "batch_norm:", "no value");
    fails(BATCH(zeros(SHAPE(8)), no, no, m, v, NULL), GM_E_SHAPE, "batch_norm:", "[8]");
    fails(BATCH(zeros(SHAPE(2, 7)), no, no, m, v, NULL), GM_E_SHAPE,
          "batch_norm:", "input is [2, 7], mean is [8], expected [7]");
    fails(BATCH(zeros(SHAPE(2, 8)), zeros(SHAPE(7)), no, m, v, NULL), GM_E_SHAPE,
          "batch_norm:", "gamma is [7], expected [8]");
    fails(BATCH(zeros(SHAPE(2, 8)), no, zeros(SHAPE(1, 8)), m, v, NULL), GM_E_SHAPE,
          "batch_norm:", "beta is [1, 8]");
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, NULL, v, NULL), GM_E_INVALID, "batch_norm:", "NULL");
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, m, NULL), GM_E_INVALID, "batch_norm:", "twice");
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, far, NULL), GM_E_INVALID, "batch_norm:", "context");
    fails(BATCH(no, no, no, m, v, NULL), GM_E_STALE, "tape:", "recording");
    o.eps = 0;
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, v, &o), GM_E_INVALID, "batch_norm:", "eps is 0");
    o.eps = 1e-5;
    o.momentum = 1.5;
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, v, &o), GM_E_INVALID, "batch_norm:", "1.5");
    o.momentum = 0.5;
    o.activation = 77;
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, v, &o), GM_E_INVALID,
          "batch_norm:", "activation is 77");
    o.activation = GM_ACTIVATION_ELU;
    o.slope = -1;
    fails(BATCH(zeros(SHAPE(2, 8)), no, no, m, v, &o), GM_E_INVALID, "batch_norm:", "slope is -1");
    ck_assert_int_eq(gm_batch_norm(NULL, no, no, no, m, v, NULL).recording, 0);
    gm_tape_set_mode(t, 0); /* evaluation takes any batch */
    ck_assert_int_eq(gm_count(t, BATCH(zeros(SHAPE(1, 8)), no, no, m, v, NULL)), 8);
    ck_assert_int_eq(gm_count(t, BATCH(zeros(SHAPE(0, 8)), no, no, m, v, NULL)), 0);
    support_ok(ctx, gm_tape_status(t));
    gm_param_release(m);
    gm_param_release(v);
    gm_param_release(far);
    gm_context_release(other);
}
END_TEST

START_TEST(bad_others)
{
    gm_param *u = param("u", 3, 1), *v = param("v", 4, 1);
    const gm_var no = { 0, 0 };
    gm_spectral_norm_options o = GM_SPECTRAL_NORM_OPTIONS_INIT;
    fails(gm_layer_norm(t, zeros(SHAPE(2, 3)), no, no, 0, NORM(1e-5, 0, 0)), GM_E_INVALID,
          "layer_norm:", "axes is 0");
    fails(gm_layer_norm(t, zeros(SHAPE(2, 3)), no, no, 3, NORM(1e-5, 0, 0)), GM_E_SHAPE,
          "layer_norm:", "[2, 3]");
    fails(gm_layer_norm(t, zeros(SHAPE(2, 0)), no, no, 1, NORM(1e-5, 0, 0)), GM_E_SHAPE,
          "layer_norm:", "[2, 0]");
    fails(gm_layer_norm(t, zeros(SHAPE(2, 3)), zeros(SHAPE(2)), no, 1, NORM(1e-5, 0, 0)),
          GM_E_SHAPE, "layer_norm:", "gamma is [2], expected [3]");
    fails(gm_layer_norm(t, zeros(SHAPE(2, 3)), no, no, 1, NORM(-1, 0, 0)), GM_E_INVALID,
          "layer_norm:", "eps is -1");
    fails(gm_instance_norm(t, zeros(SHAPE(2, 3)), no, no, NORM(1e-5, 0, 0)), GM_E_SHAPE,
          "instance_norm:", "[2, 3]");
    fails(gm_instance_norm(t, zeros(SHAPE(2, 3, 1, 1)), no, no, NORM(1e-5, 0, 0)), GM_E_SHAPE,
          "instance_norm:", "one value for each plane");
    fails(gm_instance_norm(t, zeros(SHAPE(2, 3, 2, 1)), no, zeros(SHAPE(2)), NORM(1e-5, 0, 0)),
          GM_E_SHAPE, "instance_norm:", "beta is [2]");
    fails(gm_instance_norm(t, zeros(SHAPE(2, 3, 2, 1)), no, no, NORM(NAN, 0, 0)), GM_E_INVALID,
          "instance_norm:", "eps is");
    ck_assert_int_eq(gm_layer_norm(NULL, no, no, no, 1, NORM(1, 0, 0)).recording, 0);
    ck_assert_int_eq(gm_instance_norm(NULL, no, no, no, NORM(1, 0, 0)).recording, 0);

    fails(gm_spectral_normalize(t, zeros(SHAPE(3)), u, v, NULL), GM_E_SHAPE,
          "spectral_normalize:", "[3]");
    fails(gm_spectral_normalize(t, zeros(SHAPE(3, 0)), u, v, NULL), GM_E_SHAPE,
          "spectral_normalize:", "[3, 0]");
    fails(gm_spectral_normalize(t, zeros(SHAPE(3, 5)), u, v, NULL), GM_E_SHAPE,
          "spectral_normalize:", "v is [4], expected [3] and [5]");
    fails(gm_spectral_normalize(t, zeros(SHAPE(3, 4)), u, NULL, NULL), GM_E_INVALID,
          "spectral_normalize:", "NULL");
    o.iterations = 1001;
    fails(gm_spectral_normalize(t, zeros(SHAPE(3, 4)), u, v, &o), GM_E_INVALID,
          "spectral_normalize:", "iterations is 1001");
    o.iterations = 1;
    o.eps = -1;
    fails(gm_spectral_normalize(t, zeros(SHAPE(3, 4)), u, v, &o), GM_E_INVALID,
          "spectral_normalize:", "eps is -1");
    ck_assert_int_eq(gm_spectral_normalize(NULL, no, u, v, NULL).recording, 0);
    gm_param_release(u);
    gm_param_release(v);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("norm");
    TCase *tc = tcase_create("norm");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, batch_values);
    tcase_add_test(tc, batch_precision);
    tcase_add_test(tc, layer_and_instance_values);
    tcase_add_test(tc, spectral_values);
    tcase_add_test(tc, spectral_start);
    tcase_add_test(tc, committed_on_success);
    tcase_add_test(tc, not_after_failure);
    tcase_add_test(tc, bad_batch);
    tcase_add_test(tc, bad_others);
    suite_add_tcase(s, tc);
    return s;
}
