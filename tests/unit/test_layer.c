/* test_layer.c - layers, also in files: one list of checks runs over every kind. Sequences and
 * layers of the host's are in test_layer_sequence.c. */
#include "layers.h"

#include <stdint.h>

#include "gm/layer_file.h"
#include "gm/tape.h"
#include "nn/layer.h"

static gm_context *ctx;
static gm_tape *tape;

/* The context's own memory with two threads is not this suite's business: count what a test
 * adds. */
static uint64_t held_before;

static void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(3, 2);
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_tape_release(tape);
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

/* --- The list: tests/support/layers.h. */

static int64_t count_of(int32_t rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++) n *= shape[i];
    return n;
}

/* Whole numbers for the embedding, anything for the others. */
static gm_var input_of(const row *r)
{
    float data[LARGEST];
    for (int i = 0; i < LARGEST; i++)
        data[i] = r->make == make_embedding ? (float)(i * 3 % 5) : (float)(i % 7) * 0.3f - 0.8f;
    return gm_input_copy(tape, r->rank, r->in, data);
}

START_TEST(conformance)
{
    const row *r = &rows[_i];
    gm_layer *layer = NULL;
    support_ok(ctx, r->make(&layer, ctx));
    ck_assert_str_eq(gm_layer_type(layer), r->type);
    ck_assert_ptr_eq(gm_layer_context(layer), ctx);

    /* Parameters under their names, not all zero, and reached by gradients. */
    gm_params *p = gm_layer_params(layer);
    ck_assert_int_eq(gm_params_count(p), r->params);
    for (int64_t i = 0; i < r->params; i++) ck_assert_str_eq(gm_params_name(p, i), r->names[i]);
    gm_var y = gm_apply(tape, layer, input_of(r));
    support_ok(ctx, gm_tape_status(tape));
    ck_assert_int_eq(gm_rank(tape, y), r->out_rank);
    for (int32_t i = 0; i < r->out_rank; i++) ck_assert_int_eq(gm_shape(tape, y)[i], r->out[i]);
    if (r->params) {
        support_ok(ctx,
                   gm_backward(tape, gm_sum(tape, gm_square(tape, gm_shift(tape, y, 0.5))), p));
        for (int64_t i = 0; i < r->params; i++) {
            double norm = 0;
            gm_param *one = gm_params_get(p, i);
            for (int64_t k = 0; k < gm_param_count(one); k++)
                norm += fabs((double)gm_param_gradient(one)[k]);
            ck_assert_msg(norm > 0, "%s: no gradient for %s", r->what, r->names[i]);
        }
    }

    /* The shape by dry run: the same, and nothing is drawn. */
    int32_t rank = 0;
    int64_t shape[GM_MAX_RANK];
    uint64_t streams = ctx->next_stream;
    support_ok(ctx, gm_layer_output(layer, r->rank, r->in, &rank, shape));
    ck_assert_int_eq(rank, r->out_rank);
    ck_assert_mem_eq(shape, r->out, (size_t)rank * sizeof *shape);
    ck_assert_uint_eq(ctx->next_stream, streams);

    /* An empty batch. */
    int64_t none[4] = { 0, r->in[1], r->in[2], r->in[3] };
    support_ok(ctx, gm_layer_output(layer, r->rank, none, &rank, shape));
    ck_assert_int_eq(count_of(rank, shape), 0);

    /* Evaluating twice gives the same bytes. */
    float first[LARGEST], again[LARGEST];
    int64_t n = count_of(r->out_rank, r->out);
    for (int pass = 0; pass < 2; pass++) {
        gm_tape_reset(tape);
        gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
        y = gm_apply(tape, layer, input_of(r));
        support_ok(ctx, gm_read(tape, y, n, pass ? again : first));
    }
    ck_assert_mem_eq(first, again, (size_t)n * sizeof(float));

    /* Through an archive: the same type, parameters, bytes of output; no random stream is
     * touched. */
    gm_archive *archive = NULL;
    gm_layer *loaded = NULL;
    streams = ctx->next_stream;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", layer));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    ck_assert_uint_eq(ctx->next_stream, streams);
    ck_assert_str_eq(gm_layer_type(loaded), r->type);
    ck_assert_int_eq(gm_params_count(gm_layer_params(loaded)), r->params);
    for (int64_t i = 0; i < r->params; i++)
        ck_assert_str_eq(gm_params_name(gm_layer_params(loaded), i), r->names[i]);
    gm_tape_reset(tape);
    y = gm_apply(tape, loaded, input_of(r));
    support_ok(ctx, gm_read(tape, y, n, again));
    ck_assert_mem_eq(first, again, (size_t)n * sizeof(float));
    gm_layer_release(loaded);
    loaded = layer;
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "other."), GM_E_FORMAT, "other.type");
    ck_assert_ptr_null(loaded);
    gm_archive_release(archive);

    /* An input that does not fit: both shapes are named, nothing is written. */
    if (r->bad_rank >= 0) {
        rank = 77;
        support_fails(ctx, gm_layer_output(layer, r->bad_rank, r->bad, &rank, shape), GM_E_SHAPE,
                      r->in_text);
        ck_assert(support_says(gm_context_error(ctx), r->own_text));
        ck_assert_int_eq(rank, 77);
    }
    gm_layer_release(layer);
}
END_TEST

/* What a layer says of itself: batch and spectral norm look beyond a row, and what holds them. A
 * row alone gives what it gives in its batch, to the rounding of a product. */
START_TEST(row_wise)
{
    const row *r = &rows[_i];
    gm_layer *layer = NULL;
    support_ok(ctx, r->make(&layer, ctx));
    int beyond = strstr(r->what, "batch norm") || strstr(r->what, "spectral") ||
                 strstr(r->what, "normalised") || strstr(r->what, "residual images");
    ck_assert_int_eq(gm_layer_row_wise(layer), !beyond);
    gm_tape_set_mode(tape, GM_TAPE_CONSTANT);
    gm_var x = input_of(r), y = gm_apply(tape, layer, x);
    for (int64_t i = 0; !beyond && i < r->in[0]; i++) {
        gm_var one = gm_apply(tape, layer, gm_slice(tape, x, 0, i, i + 1));
        support_ok(ctx, gm_tape_status(tape));
        int64_t n = gm_count(tape, one);
        for (int64_t k = 0; k < n; k++)
            ck_assert_float_eq_tol(gm_value(tape, one)[k], gm_value(tape, y)[i * n + k], 1e-5f);
    }
    ck_assert_int_eq(gm_layer_row_wise(NULL), 0);
    gm_layer_release(layer);
}
END_TEST

/* The second one was made from the file: release everything it holds in whatever order. */
START_TEST(load_frees)
{
    const row *r = &rows[_i];
    gm_layer *layer = NULL, *loaded = NULL;
    gm_archive *archive = NULL;
    support_ok(ctx, r->make(&layer, ctx));
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, NULL, layer));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, ""));
    gm_layer_release(layer);
    gm_archive_release(archive);
    support_ok(ctx, gm_layer_init(loaded, GM_INIT_HE_NORMAL, 1, 0, NULL));
    gm_layer_retain(loaded);
    gm_layer_release(loaded);
    gm_layer_release(loaded);
}
END_TEST

/* --- Linear. */

START_TEST(linear_values)
{
    gm_layer *layer = NULL;
    support_ok(ctx, gm_linear_create(&layer, ctx, 2, 3, NULL));
    const float w[6] = { 1, 2, 3, 4, 5, 6 }, b[3] = { 10, 20, 30 }, x[4] = { 1, -1, 0.5f, 2 };
    memcpy(gm_param_value(gm_params_find(gm_layer_params(layer), "weight")), w, sizeof w);
    memcpy(gm_param_value(gm_params_find(gm_layer_params(layer), "bias")), b, sizeof b);
    int64_t shape[2] = { 2, 2 };
    float y[6];
    support_ok(ctx, gm_read(tape, gm_apply(tape, layer, gm_input_array(tape, 2, shape, x)), 6, y));
    const float want[6] = { 9, 19, 29, 14.5f, 29.5f, 44.5f };
    for (int i = 0; i < 6; i++) ck_assert(y[i] == want[i]);
    gm_layer_release(layer);
}
END_TEST

START_TEST(linear_initialisation)
{
    gm_layer *layer = NULL, *same = NULL;
    gm_context *twin = support_context(3, 1);
    twin->next_stream = ctx->next_stream; /* the fixture's tape took one */
    support_ok(ctx, gm_linear_create(&layer, ctx, 400, 30, NULL));
    support_ok(twin, gm_linear_create(&same, twin, 400, 30, NULL));
    gm_param *w = gm_params_get(gm_layer_params(layer), 0),
             *b = gm_params_get(gm_layer_params(layer), 1);
    double largest[2] = { 0, 0 };
    for (int i = 0; i < 12000; i++)
        largest[0] = fmax(largest[0], fabs((double)gm_param_value(w)[i]));
    for (int i = 0; i < 30; i++) largest[1] = fmax(largest[1], fabs((double)gm_param_value(b)[i]));
    ck_assert(largest[0] <= 0.05 + 1e-8 && largest[0] > 0.0499);
    ck_assert(largest[1] <= 0.05 + 1e-8 &&
              largest[1] > 0.03); /* the weight's fan in, not the bias's 30 */
    ck_assert_mem_eq(gm_param_value(w), gm_param_value(gm_params_get(gm_layer_params(same), 0)),
                     12000 * sizeof(float));
    ck_assert_mem_eq(gm_param_value(b), gm_param_value(gm_params_get(gm_layer_params(same), 1)),
                     30 * sizeof(float));
    gm_layer_release(layer);
    gm_layer_release(same);

    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    o.weight_init = GM_INIT_CONSTANT;
    o.weight_a = 2;
    o.bias_init = GM_INIT_CONSTANT;
    o.bias_a = -1;
    support_ok(ctx, gm_linear_create(&layer, ctx, 2, 2, &o));
    ck_assert(gm_param_value(gm_params_get(gm_layer_params(layer), 0))[3] == 2);
    ck_assert(gm_param_value(gm_params_get(gm_layer_params(layer), 1))[1] == -1);
    /* Anew: matrices by the kind, vectors to zero. */
    support_ok(ctx, gm_layer_init(layer, GM_INIT_CONSTANT, 4, 0, NULL));
    ck_assert(gm_param_value(gm_params_get(gm_layer_params(layer), 0))[3] == 4);
    ck_assert(gm_param_value(gm_params_get(gm_layer_params(layer), 1))[1] == 0);
    support_fails(ctx, gm_layer_init(layer, 44, 4, 0, NULL), GM_E_INVALID, "kind is 44");
    ck_assert_int_eq(gm_layer_init(NULL, 0, 0, 0, NULL), GM_E_INVALID);
    gm_layer_release(layer);
    gm_context_release(twin);
}
END_TEST

START_TEST(dropout_mode)
{
    gm_layer *layer = NULL;
    int64_t n = 4000;
    support_ok(ctx, gm_dropout_create(&layer, ctx, 0.25));
    gm_var ones = gm_constant(tape, 1, &n, 1);
    const float *y = gm_value(tape, gm_apply(tape, layer, ones));
    int zeros = 0;
    for (int i = 0; i < n; i++) zeros += y[i] == 0;
    ck_assert_int_gt(zeros, 1000 - 140); /* five standard deviations */
    ck_assert_int_lt(zeros, 1000 + 140);
    gm_tape_set_mode(tape, 0);
    y = gm_value(tape, gm_apply(tape, layer, ones));
    for (int i = 0; i < n; i++) ck_assert(y[i] == 1);
    gm_layer_release(layer);
}
END_TEST

/* Fused or one by one: the same numbers, for every activation and every kind that is fused. */
START_TEST(fusing)
{
    for (int32_t act = GM_ACTIVATION_RELU; act <= GM_ACTIVATION_SOFTPLUS; act++) {
        gm_layer *sequence = NULL, *linear = NULL, *activation = NULL;
        if (_i == 0) support_ok(ctx, gm_linear_create(&linear, ctx, 7, 9, NULL));
        if (_i == 1) support_ok(ctx, gm_conv2d_create(&linear, ctx, 1, 1, 3, 1, NULL));
        if (_i == 2) support_ok(ctx, gm_conv_transpose2d_create(&linear, ctx, 1, 1, 3, 1, NULL));
        support_ok(ctx, gm_activation_create(&activation, ctx, act, 0.3));
        support_ok(ctx, gm_sequence_create(&sequence, ctx));
        support_ok(ctx, gm_sequence_add(sequence, linear));
        support_ok(ctx, gm_sequence_add(sequence, activation));
        gm_tape_reset(tape);
        int64_t shape[2] = { 5, 7 }, image[4] = { 3, 1, 5 - 2 * (_i == 2) + 2, 3 };
        gm_var x = _i ? gm_randn(tape, 4, image) : gm_randn(tape, 2, shape);
        const float *a = gm_value(tape, gm_apply(tape, sequence, x));
        const float *b = gm_value(tape, gm_apply(tape, activation, gm_apply(tape, linear, x)));
        support_ok(ctx, gm_tape_status(tape));
        ck_assert_ptr_nonnull(gm_layer_kind_find(gm_layer_type(linear))->fused);
        for (int i = 0; i < 45; i++) ck_assert_float_eq_tol(a[i], b[i], 1e-6f);
        gm_layer_release(sequence);
        gm_layer_release(linear);
        gm_layer_release(activation);
    }
}
END_TEST

/* --- Bad input everywhere. */

START_TEST(creating_badly)
{
    gm_layer *l = NULL;
    int64_t shape[6] = { 2, 3, 1, 1, 1, 1 }, zero[1] = { 0 };
    gm_linear_options o = GM_LINEAR_OPTIONS_INIT;
    support_fails(ctx, gm_linear_create(&l, ctx, 0, 3, NULL), GM_E_INVALID, "in is 0");
    support_fails(ctx, gm_linear_create(&l, ctx, 3, -3, NULL), GM_E_INVALID, "out is -3");
    support_fails(ctx, gm_linear_create(&l, ctx, INT64_MAX, 3, NULL), GM_E_INVALID, "address");
    support_fails(ctx, gm_linear_create(NULL, ctx, 3, 3, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_linear_create(&l, NULL, 3, 3, NULL), GM_E_INVALID);
    o.bias = 2;
    support_fails(ctx, gm_linear_create(&l, ctx, 3, 3, &o), GM_E_INVALID, "bias is 2");
    o.bias = 1;
    o.weight_init = 99;
    support_fails(ctx, gm_linear_create(&l, ctx, 3, 3, &o), GM_E_INVALID, "kind is 99");
    o.weight_init = 0;
    o.bias_init = GM_INIT_ORTHOGONAL;
    support_fails(ctx, gm_linear_create(&l, ctx, 3, 3, &o), GM_E_SHAPE, "ORTHOGONAL");
    o.bias_init = 0;
    o.reserved = 1;
    support_fails(ctx, gm_linear_create(&l, ctx, 3, 3, &o), GM_E_INVALID, "reserved");
    o.size = 5000;
    support_fails(ctx, gm_linear_create(&l, ctx, 3, 3, &o), GM_E_INVALID, "size");
    support_fails(ctx, gm_activation_create(&l, ctx, GM_ACTIVATION_NONE, 0), GM_E_INVALID, "0");
    support_fails(ctx, gm_activation_create(&l, ctx, 99, 0), GM_E_INVALID, "99");
    support_fails(ctx, gm_activation_create(&l, ctx, GM_ACTIVATION_ELU, -1), GM_E_INVALID, "-1");
    support_fails(ctx, gm_activation_create(&l, ctx, GM_ACTIVATION_LEAKY_RELU, NAN), GM_E_INVALID,
                  "nan");
    support_fails(ctx, gm_maxout_create(&l, ctx, 0), GM_E_INVALID, "pieces is 0");
    support_fails(ctx, gm_dropout_create(&l, ctx, 1), GM_E_INVALID, "p is 1");
    support_fails(ctx, gm_dropout_create(&l, ctx, NAN), GM_E_INVALID, "nan");
    support_fails(ctx, gm_dropout_create(&l, ctx, -0.1), GM_E_INVALID, "-0.1");
    support_fails(ctx, gm_embedding_create(&l, ctx, 0, 2), GM_E_INVALID, "rows is 0");
    support_fails(ctx, gm_embedding_create(&l, ctx, INT64_MAX / 2, 9), GM_E_INVALID, "address");
    support_fails(ctx, gm_reshape_create(&l, ctx, 6, shape), GM_E_INVALID, "rank is 6");
    support_fails(ctx, gm_reshape_create(&l, ctx, -1, shape), GM_E_INVALID, "rank is -1");
    support_fails(ctx, gm_reshape_create(&l, ctx, 1, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_reshape_create(&l, ctx, 1, zero), GM_E_INVALID, "is 0");
    support_fails(ctx, gm_flatten_create(NULL, ctx), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_sequence_create(&l, NULL), GM_E_INVALID);
    ck_assert_ptr_null(l);
}
END_TEST

START_TEST(using_badly)
{
    gm_context *other = support_context(1, 1);
    gm_layer *l = NULL, *far = NULL, *s = NULL;
    int64_t shape[2] = { 2, 4 }, out[GM_MAX_RANK];
    int32_t rank;
    support_ok(ctx, gm_linear_create(&l, ctx, 4, 3, NULL));
    support_ok(other, gm_linear_create(&far, other, 4, 3, NULL));
    support_ok(ctx, gm_sequence_create(&s, ctx));

    gm_var x = gm_constant(tape, 2, shape, 0);
    ck_assert_uint_eq(gm_apply(NULL, l, x).recording, 0);
    gm_apply(tape, NULL, x);
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "NULL");
    gm_tape_reset(tape);
    gm_apply(tape, far, gm_constant(tape, 2, shape, 0));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "different contexts");
    gm_tape_reset(tape);
    gm_apply(tape, l, x); /* of the recording before */
    support_fails(ctx, gm_tape_status(tape), GM_E_STALE, "recording");

    gm_layer *flat = NULL, *table = NULL;
    support_ok(ctx, gm_flatten_create(&flat, ctx));
    gm_tape_reset(tape);
    gm_apply(tape, flat, x);
    support_fails(ctx, gm_tape_status(tape), GM_E_STALE, "recording");
    gm_layer_release(flat);
    support_ok(ctx, gm_embedding_create(&table, ctx, 3, 2));
    gm_tape_reset(tape);
    gm_apply(tape, table, gm_constant(tape, 2, shape, 3));
    support_fails(ctx, gm_tape_status(tape), GM_E_INVALID, "3");
    gm_layer_release(table);

    ck_assert_int_eq(gm_layer_output(NULL, 2, shape, &rank, out), GM_E_INVALID);
    support_fails(ctx, gm_layer_output(l, 2, NULL, &rank, out), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_layer_output(l, 2, shape, NULL, out), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_layer_output(l, 2, shape, &rank, NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_layer_output(l, 9, shape, &rank, out), GM_E_INVALID, "rank is 9");
    shape[0] = -1;
    support_fails(ctx, gm_layer_output(l, 2, shape, &rank, out), GM_E_INVALID, "-1");

    support_fails(ctx, gm_sequence_add(s, NULL), GM_E_INVALID, "NULL");
    gm_layer_release(s);
    support_ok(ctx, gm_sequence_create(&s, ctx));
    support_fails(ctx, gm_sequence_add(s, far), GM_E_INVALID, "another context");
    ck_assert_int_eq(gm_sequence_add(NULL, l), GM_E_INVALID);
    ck_assert_int_eq(gm_sequence_add_relu(NULL), GM_E_INVALID);
    support_fails(ctx, gm_sequence_add(l, s), GM_E_INVALID, "linear takes no parts");
    support_fails(ctx, gm_sequence_add_linear(l, 1, 1), GM_E_INVALID, "linear takes no parts");
    support_ok(ctx, gm_sequence_status(l));
    ck_assert_int_eq(gm_sequence_status(NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_sequence_count(l), 0);
    ck_assert_int_eq(gm_sequence_count(NULL), 0);
    ck_assert_ptr_null(gm_layer_params(NULL));
    ck_assert_ptr_null(gm_layer_context(NULL));
    ck_assert_str_eq(gm_layer_type(NULL), "");
    gm_layer_release(NULL);
    gm_layer_retain(NULL);
    gm_layer_release(l);
    gm_layer_release(far);
    gm_layer_release(s);
    gm_context_release(other);
}
END_TEST

/* A kind without a row in the list above would go untested. */
START_TEST(list_is_complete)
{
    for (const gm_layer_kind *const *k = gm_layer_kinds; *k; k++) {
        int found = 0;
        for (int i = 0; i < ROWS; i++) found |= !strcmp(rows[i].type, (*k)->name);
        ck_assert_msg(found, "no conformance row for %s", (*k)->name);
    }
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("layer");
    TCase *t = tcase_create("layer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, conformance, 0, ROWS);
    tcase_add_loop_test(t, row_wise, 0, ROWS);
    tcase_add_loop_test(t, load_frees, 0, ROWS);
    tcase_add_test(t, list_is_complete);
    tcase_add_test(t, linear_values);
    tcase_add_test(t, linear_initialisation);
    tcase_add_test(t, dropout_mode);
    tcase_add_loop_test(t, fusing, 0, 3);
    tcase_add_test(t, creating_badly);
    tcase_add_test(t, using_badly);
    suite_add_tcase(s, t);
    return s;
}
