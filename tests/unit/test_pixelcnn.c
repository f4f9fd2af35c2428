/* test_pixelcnn.c - gm/pixelcnn.h and the operations below it: exact probabilities, who sees whom,
 * drawing pixel by pixel. */
#include "densities.h"

#include "gm/conv.h"

#define OPTIONS(...) (&(gm_taps_options){ sizeof(gm_taps_options), __VA_ARGS__ })

typedef struct shape {
    int64_t height, width;
    gm_pixelcnn_options o;
} shape;

static shape small(int gated, int64_t height, int64_t width)
{
    shape s = { height, width, GM_PIXELCNN_OPTIONS_INIT };
    s.o.gated = gated;
    s.o.hidden = 6;
    s.o.blocks = 3;
    s.o.first_kernel = 5;
    s.o.head = 8;
    return s;
}

static gm_pixelcnn *make(gm_context *ctx, shape s)
{
    gm_pixelcnn *net = NULL;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, s.height, s.width, &s.o));
    return net;
}

/* Ten bits as an image of 2 x 5. */
static gm_model *plain(gm_context *ctx)
{
    return gm_pixelcnn_model(make(ctx, small(0, 2, 5)));
}

static gm_model *gated(gm_context *ctx)
{
    return gm_pixelcnn_model(make(ctx, small(1, 2, 5)));
}

static const density_fn makers[] = { plain, gated };

/* The plain net has a blind spot to the upper right, so it cannot learn that the second of two rows
 * goes on where the first ends. */
static gm_model *one_row(gm_context *ctx)
{
    return gm_pixelcnn_model(make(ctx, small(0, 1, 10)));
}

START_TEST(learns)
{
    density_learns(_i ? gated : one_row, _i ? 2000 : 1000);
}
END_TEST

START_TEST(all_questions)
{
    gm_context *ctx = support_context(71, 2);
    gm_model *model = density_fitted(ctx, makers[_i]);
    density_sums_to_one(ctx, model);
    density_factors(ctx, model);
    density_samples(ctx, model);
    density_completes(ctx, model);
    density_imputes(ctx, model);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(lifecycle)
{
    density_lifecycle(makers[_i]);
}
END_TEST

START_TEST(stays)
{
    density_stays(makers[_i]);
}
END_TEST

static void randomise(gm_model *model, double spread)
{
    gm_params *params = gm_model_params(model);
    for (int64_t i = 0; i < gm_params_count(params); i++)
        support_ok(gm_model_context(model),
                   gm_param_init(gm_params_get(params, i), GM_INIT_UNIFORM, -spread, spread, NULL));
}

/* 2^9 images of 3 x 3. */
START_TEST(squares)
{
    enum { SIZE = 9 };
    gm_context *ctx = support_context(72, 1);
    gm_model *model = gm_pixelcnn_model(make(ctx, small(_i, 3, 3)));
    float *rows = malloc((1 << SIZE) * SIZE * sizeof *rows);
    double score[1 << SIZE], sum = 0;
    ck_assert_ptr_nonnull(rows);
    randomise(model, 0.6);
    for (int s = 0; s < 1 << SIZE; s++)
        for (int c = 0; c < SIZE; c++) rows[s * SIZE + c] = (float)(s >> c & 1);
    support_ok(ctx, gm_model_log_prob(model, rows, 1 << SIZE, score));
    for (int s = 0; s < 1 << SIZE; s++) sum += exp(score[s]);
    ck_assert_double_eq_tol(sum, 1, density_tolerance());
    free(rows);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* The whole Jacobian of a net of random weights: 1 where logit i hangs on pixel k, [pixels,
 * pixels]. */
static uint8_t *jacobian(gm_context *ctx, shape s)
{
    gm_pixelcnn *net = make(ctx, s);
    const int64_t size = s.height * s.width, x_shape[2] = { 1, size };
    uint8_t *seen = calloc((size_t)(size * size), 1);
    float *x = malloc((size_t)size * sizeof *x);
    gm_tape *tape = NULL;
    ck_assert(seen && x);
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int trial = 0; trial < 3; trial++) { /* a ReLU that is off in one may be on in another */
        randomise(gm_pixelcnn_model(net), 0.5);
        for (int64_t k = 0; k < size; k++) x[k] = (float)((k * 7 + trial) % 3) / 2;
        for (int64_t i = 0; i < size; i++) {
            gm_tape_reset(tape);
            gm_var in = gm_variable(tape, 2, x_shape, x);
            gm_var logits = gm_pixelcnn_apply(tape, net, in, GM_NO_VAR);
            gm_var one = gm_slice(tape, gm_reshape(tape, logits, 2, x_shape), 1, i, i + 1);
            support_ok(ctx, gm_backward(tape, gm_sum(tape, one), NULL));
            const float *g = gm_gradient_of(tape, in);
            ck_assert_ptr_nonnull(g);
            for (int64_t k = 0; k < size; k++) seen[i * size + k] |= g[k] < 0 || g[k] > 0;
        }
    }
    gm_tape_release(tape);
    gm_pixelcnn_release(net);
    free(x);
    return seen;
}

/* No pixel sees itself or a later one. The gated network sees all earlier ones; the plain one has a
 * blind spot: of the row above, no pixel further to the right than the first kernel reaches. */
START_TEST(who_sees_whom)
{
    enum { H = 5, W = 8, SIZE = H * W };
    gm_context *ctx = support_context(73, 1);
    shape s = small(_i, H, W);
    s.o.first_kernel = 3;
    s.o.blocks = 7;
    uint8_t *seen = jacobian(ctx, s);
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++) {
            const int row = i / W - k / W, right = k % W - i % W;
            if (k >= i)
                ck_assert_msg(!seen[i * SIZE + k], "pixel %d sees pixel %d", i, k);
            else if (_i)
                ck_assert_msg(seen[i * SIZE + k], "pixel %d does not see pixel %d", i, k);
            else if (row && right > row)
                ck_assert_msg(!seen[i * SIZE + k], "pixel %d sees %d", i, k);
            else if (-right <= 3)
                ck_assert_msg(seen[i * SIZE + k], "pixel %d does not see %d", i, k);
        }
    free(seen);
    gm_context_release(ctx);
}
END_TEST

/* Of every kind: bit 1 gated, 2 seven values, 4 conditional. */
static gm_model *model_of(gm_context *ctx, int which)
{
    shape s = small(which & 1, 6, 7);
    if (which & 2) s.o.classes = 7;
    if (which & 4) s.o.labels = 3;
    s.o.hidden = which & 2 ? 16 : 5;
    gm_model *model = gm_pixelcnn_model(make(ctx, s));
    randomise(model, 0.4);
    return model;
}

/* Drawing pixel by pixel knows the conditionals that scoring recomputes, to the bit: with all
 * pixels given, the sum over the pixels is the same double. */
START_TEST(walk_equals_recomputing)
{
    enum { N = 5, SIZE = 42 };
    gm_context *ctx = support_context(74, 2);
    gm_model *model = model_of(ctx, _i);
    const int64_t labels[N] = { 0, 1, 2, 1, 0 };
    float rows[N * SIZE], drawn[N * SIZE];
    uint8_t known[N * SIZE];
    double parts[N * SIZE], walked[N], seen[N];
    gm_tensor *samples = NULL;
    if (_i & 4) support_ok(ctx, gm_model_set_labels(model, labels, N));
    support_ok(ctx, gm_model_sample(&samples, model, N));
    memcpy(rows, gm_tensor_read(samples), sizeof rows);
    memset(known, 1, sizeof known);
    support_ok(ctx, gm_autoregressive_log_probs(model, rows, N, parts));
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, N, NULL, walked));
    for (int i = 0; i < N; i++) {
        seen[i] = 0;
        for (int k = 0; k < SIZE; k++) seen[i] += parts[i * SIZE + k];
    }
    ck_assert_mem_eq(seen, walked, sizeof seen);
    /* A beginning is given, another in each row: it stays, and its log-probability is that of its
     * parts. */
    for (int i = 0; i < N; i++)
        for (int k = 0; k < SIZE; k++) known[i * SIZE + k] = k < 9 * i;
    memcpy(drawn, rows, sizeof rows);
    support_ok(ctx, gm_autoregressive_sample_given(model, known, N, NULL, drawn, walked));
    for (int i = 0; i < N; i++) {
        seen[i] = 0;
        for (int k = 0; k < 9 * i; k++) seen[i] += parts[i * SIZE + k];
        ck_assert_mem_eq(drawn + i * SIZE, rows + i * SIZE, (size_t)(9 * i) * sizeof *rows);
    }
    ck_assert_mem_eq(seen, walked, sizeof seen);
    gm_tensor_release(samples);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* More images than the walk keeps at a time, and rows one by one, give the same. */
START_TEST(groups_of_images)
{
    enum { N = 40, SIZE = 24 * 24 };
    gm_context *ctx = support_context(76, 2);
    shape s = small(_i, 24, 24);
    s.o.hidden = 48;
    s.o.blocks = 8;
    gm_model *model = gm_pixelcnn_model(make(ctx, s));
    float *rows = malloc(N * SIZE * sizeof *rows);
    uint8_t *known = calloc(N, SIZE);
    double walked[N], one;
    ck_assert(rows && known);
    for (int i = 0; i < N * SIZE; i++) rows[i] = (float)(i % 7 % 2);
    for (int i = 0; i < N; i++) memset(known + i * SIZE, 1, 10);
    support_ok(ctx, gm_autoregressive_log_marginal(model, rows, known, N, NULL, walked));
    for (int i = 0; i < N; i += 13) {
        support_ok(ctx,
                   gm_autoregressive_log_marginal(model, rows + i * SIZE, known, 1, NULL, &one));
        ck_assert_double_eq(one, walked[i]);
    }
    free(known);
    free(rows);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Sums over all values of one more pixel: K-ary conditionals are whole. */
START_TEST(many_values)
{
    enum { K = 256, SIZE = 4 };
    gm_context *ctx = support_context(77, 1);
    shape s = small(_i, 2, 2);
    s.o.classes = K;
    gm_model *model = gm_pixelcnn_model(make(ctx, s));
    float *rows = malloc(K * SIZE * sizeof *rows), *p = malloc(K * SIZE * K * sizeof *p);
    double score[K], sum = 0;
    ck_assert(rows && p);
    randomise(model, 0.5);
    ck_assert_int_eq(gm_autoregressive_kind(model), GM_CONDITIONAL_CATEGORICAL);
    ck_assert_int_eq(gm_autoregressive_width(model), K);
    for (int i = 0; i < K; i++) {
        const float row[SIZE] = { 200, 3, 90, (float)i };
        memcpy(rows + i * SIZE, row, sizeof row);
    }
    support_ok(ctx, gm_model_log_prob(model, rows, K, score));
    support_ok(ctx, gm_autoregressive_conditionals(model, rows, K, p));
    for (int i = 0; i < K; i++) {
        double alone = log((double)p[200]) + log((double)p[K + 3]) + log((double)p[2 * K + 90]);
        ck_assert_double_eq_tol(score[i], alone + log((double)p[3 * K + i]), 1e-4);
        sum += exp(score[i] - alone);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    /* The network sees the value, not only whether there is one. */
    rows[0] = 10;
    support_ok(ctx, gm_autoregressive_conditionals(model, rows, 2, p));
    ck_assert(p[K + 3] < p[5 * K + 3] || p[K + 3] > p[5 * K + 3]);
    free(p);
    free(rows);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* Two classes of images, one all ones and one all zeros: a conditional model tells them apart. */
START_TEST(classes)
{
    enum { N = 32, SIZE = 12 };
    gm_context *ctx = support_context(78, 2);
    shape s = small(_i, 3, 4);
    s.o.labels = 2;
    gm_model *model = gm_pixelcnn_model(make(ctx, s));
    int64_t labels[N];
    float rows[N * SIZE];
    double score[2];
    gm_tensor *drawn = NULL;
    support_fails(ctx, gm_model_step(model, rows, N, NULL, 0, NULL), GM_E_STATE, "labels");
    for (int i = 0; i < N; i++) {
        labels[i] = i % 2;
        for (int k = 0; k < SIZE; k++) rows[i * SIZE + k] = (float)(i % 2);
    }
    support_ok(ctx, gm_model_set_labels(model, labels, N));
    support_ok(ctx, gm_optimizer_set_rate(gm_model_optimizer(model), 0.02));
    for (int k = 0; k < 60; k++) support_ok(ctx, gm_model_step(model, rows, N, NULL, 0, NULL));
    support_ok(ctx, gm_model_set_labels(model, labels, 2));
    support_ok(ctx, gm_model_log_prob(model, rows, 2, score));
    ck_assert(score[0] > -1 && score[1] > -1);
    support_ok(ctx, gm_model_sample(&drawn, model, 2));
    double sum[2] = { 0 };
    for (int k = 0; k < 2 * SIZE; k++) sum[k / SIZE] += (double)gm_tensor_read(drawn)[k] / SIZE;
    ck_assert(sum[0] < 0.3 && sum[1] > 0.7);
    const int64_t turned[2] = { 1, 0 };
    support_ok(ctx, gm_model_set_labels(model, turned, 2));
    support_ok(ctx, gm_model_log_prob(model, rows, 2, score));
    ck_assert(score[0] < -1 && score[1] < -1);
    gm_tensor_release(drawn);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

static void refused(gm_context *ctx, int64_t height, int64_t width, const gm_pixelcnn_options *o,
                    const char *line)
{
    gm_pixelcnn *net = (gm_pixelcnn *)ctx;
    support_fails(ctx, gm_pixelcnn_create(&net, ctx, height, width, o), GM_E_INVALID, line);
    ck_assert_ptr_null(net);
}

START_TEST(refusals)
{
    gm_context *ctx = support_context(79, 1);
    const gm_pixelcnn_options good = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn_options o = good;
    gm_pixelcnn *net = NULL;
    ck_assert_int_eq(gm_pixelcnn_create(&net, NULL, 2, 2, NULL), GM_E_INVALID);
    support_fails(ctx, gm_pixelcnn_create(NULL, ctx, 2, 2, NULL), GM_E_INVALID, "out is NULL");
    refused(ctx, 0, 2, &o, "height is 0, 1 to 1024");
    refused(ctx, 2, 1025, &o, "width is 1025");
#define REFUSED(member, value, line)                                                               \
    do {                                                                                           \
        o = good;                                                                                  \
        o.member = value;                                                                          \
        refused(ctx, 2, 2, &o, line);                                                              \
    } while (0)
    REFUSED(gated, 2, "gated is 2, 0 or 1");
    REFUSED(classes, 1, "classes is 1, 2 to 65536");
    REFUSED(labels, -1, "labels is -1");
    REFUSED(hidden, 0, "hidden is 0, 1 to 4096");
    REFUSED(blocks, -1, "blocks is -1");
    REFUSED(first_kernel, 4, "first_kernel is 4, an odd number");
    REFUSED(kernel, 1, "kernel is 1, an odd number");
    REFUSED(head, 0, "head is 0");
    REFUSED(size, 3, "pixelcnn");

    float row[4] = { 0, 1, (float)0.5, 1 };
    uint8_t known[4] = { 0, 1, 0, 0 };
    double score;
    net = make(ctx, small(0, 2, 2));
    gm_model *model = gm_pixelcnn_model(net);
    ck_assert_ptr_eq(gm_pixelcnn_from_model(model), net);
    ck_assert_int_eq(gm_pixelcnn_height(net), 2);
    ck_assert_int_eq(gm_pixelcnn_width(NULL), 0);
    support_fails(ctx, gm_model_step(model, row, 1, NULL, 0, NULL), GM_E_INVALID,
                  "row 0, column 2 is 0.5");
    support_fails(ctx, gm_model_log_prob(model, row, 1, &score), GM_E_INVALID, "expected 0 or 1");
    row[2] = 0;
    support_fails(ctx, gm_autoregressive_sample_given(model, known, 1, NULL, row, NULL),
                  GM_E_UNSUPPORTED, "row 0, column 1");
    gm_tape *tape = NULL;
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    const int64_t wrong[2] = { 1, 3 }, right[2] = { 1, 4 };
    ck_assert(
        !gm_pixelcnn_apply(tape, net, gm_input_array(tape, 2, wrong, row), GM_NO_VAR).recording);
    ck_assert_int_eq(gm_tape_status(tape), GM_E_SHAPE);
    gm_tape_reset(tape);
    gm_var x = gm_input_array(tape, 2, right, row);
    ck_assert(!gm_pixelcnn_apply(tape, net, x, x).recording);
    ck_assert_int_eq(gm_tape_status(tape), GM_E_INVALID);
    gm_tape_release(tape);
    gm_pixelcnn_release(net);
    gm_pixelcnn_retain(NULL);
    gm_pixelcnn_release(NULL);
    ck_assert_ptr_null(gm_pixelcnn_model(NULL));
    ck_assert_ptr_null(gm_pixelcnn_from_model(NULL));
    gm_context_release(ctx);
}
END_TEST

/* A file that speaks of other layers than it holds. */
START_TEST(foreign_files)
{
    gm_context *ctx = support_context(80, 1);
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_archive *archive = NULL;
    gm_model *loaded = NULL, *model = plain(ctx);
    static const struct {
        const char *key;
        int64_t value;
        gm_status status;
        const char *line;
    } cases[] = {
        { "pixelcnn.blocks", 900, GM_E_FORMAT, "block3.in.weight" },
        { "pixelcnn.blocks", -1, GM_E_INVALID, "blocks is -1" },
        { "pixelcnn.hidden", 4000, GM_E_SHAPE, "first.weight" },
        { "pixelcnn.kernel", 5, GM_E_SHAPE, "block0.conv.weight" },
        { "pixelcnn.gated", 1, GM_E_FORMAT, "vertical.weight" },
        { "pixelcnn.gated", 7, GM_E_INVALID, "gated is 7" },
        { "pixelcnn.classes", 3, GM_E_SHAPE, "logits.weight" },
        { "pixelcnn.labels", 2, GM_E_FORMAT, "label" },
    };
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        support_ok(ctx, gm_model_save(model, path));
        support_ok(ctx, gm_archive_open(&archive, ctx, path));
        support_ok(ctx, gm_archive_set_int(archive, cases[i].key, cases[i].value));
        support_ok(ctx, gm_archive_write(archive, path));
        gm_archive_release(archive);
        support_fails(ctx, gm_model_load(&loaded, ctx, path), cases[i].status, cases[i].line);
        ck_assert_ptr_null(loaded);
    }
    support_folder_remove(folder);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

/* The operation against its definition. */
START_TEST(taps_by_hand)
{
    enum { N = 2, H = 3, W = 4, C = 3, O = 2, T = 3 };
    static const int64_t taps[2 * T] = { -1, 1, 0, 0, 2, -2 }, x_shape[4] = { N, H, W, C },
                                  w_shape[3] = { T, C, O }, b_shape[1] = { O };
    gm_context *ctx = support_context(81, 1);
    gm_tape *tape = NULL;
    float x[N * H * W * C], w[T * C * O], b[O] = { (float)0.25, -1 };
    for (int i = 0; i < N * H * W * C; i++) x[i] = (float)(i * 5 % 11 - 5);
    for (int i = 0; i < T * C * O; i++) w[i] = (float)(i * 3 % 7 - 3);
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int relu = 0; relu < 2; relu++) {
        gm_tape_reset(tape);
        gm_var y =
            gm_conv2d_taps(tape, gm_input_array(tape, 4, x_shape, x),
                           gm_input_array(tape, 3, w_shape, w), gm_input_array(tape, 1, b_shape, b),
                           GM_NO_VAR, OPTIONS(taps, T, relu, GM_ACTIVATION_NONE, 0));
        support_ok(ctx, gm_tape_status(tape));
        for (int p = 0; p < N * H * W * O; p++) {
            const int o = p % O, j = p / O % W, i = p / O / W % H, n = p / O / W / H;
            float sum = b[o];
            for (int t = 0; t < T; t++)
                for (int c = 0; c < C; c++) {
                    const int64_t r = i + taps[2 * t], s = j + taps[2 * t + 1];
                    if (r < 0 || r >= H || s < 0 || s >= W) continue;
                    const float v = x[((n * H + r) * W + s) * C + c];
                    sum += w[(t * C + c) * O + o] * (relu && v < 0 ? 0 : v);
                }
            ck_assert_double_eq_tol((double)gm_value(tape, y)[p], (double)sum, 1e-5);
        }
    }
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

START_TEST(taps_refusals)
{
    static const int64_t one[2] = { 0, 0 }, far[2] = { 0, 2000 }, x_shape[4] = { 1, 2, 2, 1 },
                         w_shape[3] = { 1, 1, 2 }, flat[1] = { 3 };
    gm_context *ctx = support_context(82, 1);
    gm_tape *tape = NULL;
    const float v[4] = { 1, 2, 3, 4 };
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
#define TRY(status, line, expression)                                                              \
    do {                                                                                           \
        gm_tape_reset(tape);                                                                       \
        gm_var x = gm_input_array(tape, 4, x_shape, v), w = gm_input_array(tape, 3, w_shape, v);   \
        gm_var b = gm_input_array(tape, 1, flat, v);                                               \
        gm_var y = expression;                                                                     \
        ck_assert(x.recording &&w.recording &&b.recording && !y.recording);                        \
        support_fails(ctx, gm_tape_status(tape), status, line);                                    \
    } while (0)
#define CONV(x, w, b, s, t, n, act) gm_conv2d_taps(tape, x, w, b, s, OPTIONS(t, n, 0, act, 0))
    TRY(GM_E_INVALID, "taps is NULL", CONV(x, w, GM_NO_VAR, GM_NO_VAR, NULL, 1, 0));
    TRY(GM_E_INVALID, "number of taps is 0", CONV(x, w, GM_NO_VAR, GM_NO_VAR, one, 0, 0));
    TRY(GM_E_INVALID, "number of taps is 129", CONV(x, w, GM_NO_VAR, GM_NO_VAR, one, 129, 0));
    TRY(GM_E_INVALID, "column is 2000", CONV(x, w, GM_NO_VAR, GM_NO_VAR, far, 1, 0));
    TRY(GM_E_INVALID, "activation", CONV(x, w, GM_NO_VAR, GM_NO_VAR, one, 1, 99));
    TRY(GM_E_INVALID, "skip", CONV(x, w, GM_NO_VAR, x, one, 1, GM_ACTIVATION_TANH));
    TRY(GM_E_SHAPE, "input is [1, 1, 2]", CONV(w, w, GM_NO_VAR, GM_NO_VAR, one, 1, 0));
    TRY(GM_E_SHAPE, "weight is [1, 2, 2, 1]", CONV(x, x, GM_NO_VAR, GM_NO_VAR, one, 1, 0));
    TRY(GM_E_SHAPE, "bias is [3]", CONV(x, w, b, GM_NO_VAR, one, 1, 0));
    TRY(GM_E_SHAPE, "skip is [1, 2, 2, 1]", CONV(x, w, GM_NO_VAR, x, one, 1, 0));
    TRY(GM_E_SHAPE, "gate: input is [3], an even last axis", gm_gate(tape, b));
    gm_tape_release(tape);
    gm_context_release(ctx);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("pixelcnn");
    TCase *t = tcase_create("pixelcnn");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_questions, 0, 2);
    tcase_add_loop_test(t, learns, 0, 2);
    tcase_add_loop_test(t, lifecycle, 0, 2);
    tcase_add_loop_test(t, stays, 0, 2);
    tcase_add_loop_test(t, squares, 0, 2);
    tcase_add_loop_test(t, who_sees_whom, 0, 2);
    tcase_add_loop_test(t, walk_equals_recomputing, 0, 8);
    tcase_add_loop_test(t, groups_of_images, 0, 2);
    tcase_add_loop_test(t, many_values, 0, 2);
    tcase_add_loop_test(t, classes, 0, 2);
    tcase_add_test(t, refusals);
    tcase_add_test(t, foreign_files);
    tcase_add_test(t, taps_by_hand);
    tcase_add_test(t, taps_refusals);
    suite_add_tcase(s, t);
    return s;
}
