/* test_mask.c - orders, degrees, masks between layers and over kernels; layers that keep them; the
 * proof by Jacobian. */
#include "support.h"

#include <stdint.h>

#include "gm/gradient.h"
#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/mask.h"
#include "gm/norm.h"
#include "gm/optimizer.h"
#include "gm/tape.h"

static gm_context *ctx;
static uint64_t held_before;
static char log_text[256];
static int log_lines;

static void keep_log(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    log_lines++;
    snprintf(log_text, sizeof log_text, "%s", line);
}

static void setup(void)
{
    gm_memory_counters m;
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.seed = 11;
    o.threads = 2;
    o.log = keep_log;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    log_lines = 0;
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

START_TEST(orders)
{
    static const int64_t good[4] = { 2, 0, 3, 1 }, twice[4] = { 2, 0, 2, 1 },
                         high[4] = { 0, 1, 2, 4 }, low[4] = { 0, -1, 2, 3 };
    int64_t degrees[4] = { 9, 9, 9, 9 };
    support_ok(ctx, gm_mask_check_order(ctx, good, 4));
    support_fails(ctx, gm_mask_check_order(ctx, twice, 4), GM_E_INVALID,
                  "2 at place 2 is there already");
    support_fails(ctx, gm_mask_check_order(ctx, high, 4), GM_E_INVALID,
                  "4 at place 3 is out of range");
    support_fails(ctx, gm_mask_check_order(ctx, low, 4), GM_E_INVALID, "-1 at place 1");
    support_fails(ctx, gm_mask_check_order(ctx, good, 0), GM_E_INVALID, "is 0");
    support_fails(ctx, gm_mask_check_order(ctx, NULL, 4), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_mask_input_degrees(ctx, twice, 4, degrees), GM_E_INVALID, "permutation");
    ck_assert_int_eq(degrees[0], 9);
    support_ok(ctx, gm_mask_input_degrees(ctx, good, 4, degrees));
    for (int64_t k = 0; k < 4; k++) ck_assert_int_eq(degrees[good[k]], k + 1);
    support_ok(ctx, gm_mask_input_degrees(ctx, NULL, 4, degrees));
    for (int64_t k = 0; k < 4; k++) ck_assert_int_eq(degrees[k], k + 1);
}
END_TEST

START_TEST(hidden_degrees)
{
    int64_t d[400], again[400];
    gm_rng *rng = NULL;
    support_ok(ctx, gm_rng_create(&rng, ctx, 3));
    /* Ascending, from the least to the most, each degree as often as another but for one. */
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_SPREAD, 1, NULL, d));
    int often[10] = { 0 };
    for (int i = 0; i < 400; i++) {
        ck_assert(d[i] >= 1 && d[i] <= 9 && (!i || d[i] >= d[i - 1]));
        often[d[i]]++;
    }
    for (int k = 1; k < 10; k++) ck_assert(often[k] == 44 || often[k] == 45);
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_CYCLIC, 3, NULL, d));
    for (int i = 0; i < 400; i++) ck_assert_int_eq(d[i], 3 + i % 7);
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_RANDOM, 2, rng, d));
    int64_t least = 99, most = 0;
    for (int i = 0; i < 400; i++) {
        least = d[i] < least ? d[i] : least;
        most = d[i] > most ? d[i] : most;
    }
    ck_assert_int_eq(least, 2);
    ck_assert_int_eq(most, 9);
    gm_rng_seed(rng, 4);
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_RANDOM, 2, rng, d));
    gm_rng_seed(rng, 4);
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_RANDOM, 2, rng, again));
    ck_assert_mem_eq(d, again, sizeof d);
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 400, 10, GM_DEGREES_RANDOM, 2, NULL, again));
    ck_assert_mem_ne(d, again, sizeof d);
    /* One column: nothing is to be seen. */
    for (int32_t kind = GM_DEGREES_SPREAD; kind <= GM_DEGREES_RANDOM; kind++) {
        support_ok(ctx, gm_mask_hidden_degrees(ctx, 3, 1, kind, 1, NULL, d));
        for (int i = 0; i < 3; i++) ck_assert_int_eq(d[i], 1);
    }
    support_fails(ctx, gm_mask_hidden_degrees(ctx, 0, 10, 0, 1, NULL, d), GM_E_INVALID, "is 0");
    support_fails(ctx, gm_mask_hidden_degrees(ctx, 4, 10, 3, 1, NULL, d), GM_E_INVALID, "is 3");
    support_fails(ctx, gm_mask_hidden_degrees(ctx, 4, 10, 0, 10, NULL, d), GM_E_INVALID,
                  "degree is 10");
    support_fails(ctx, gm_mask_hidden_degrees(ctx, INT64_MAX, 10, 0, 1, NULL, d), GM_E_INVALID,
                  "large");
    gm_rng_release(rng);
}
END_TEST

START_TEST(masks_from_degrees)
{
    static const int64_t out[3] = { 3, 1, 2 }, in[4] = { 1, 2, 3, 2 };
    static const float wide[12] = { 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1 };
    static const float strict[12] = { 1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0 };
    static const int64_t late[4] = { 3, 3, 3, 3 };
    float mask[12];
    int64_t twice[6];
    support_ok(ctx, gm_mask_from_degrees(ctx, out, 3, in, 4, 0, mask));
    ck_assert_mem_eq(mask, wide, sizeof mask);
    support_ok(ctx, gm_mask_from_degrees(ctx, out, 3, in, 4, 1, mask));
    ck_assert_mem_eq(mask, strict, sizeof mask);
    ck_assert_int_eq(log_lines, 0); /* the output of degree 1 has nothing to see: no fault */
    support_ok(ctx, gm_mask_from_degrees(ctx, out, 3, late, 4, 0, mask));
    ck_assert_int_eq(log_lines, 1);
    ck_assert_ptr_nonnull(strstr(log_text, "2 of 3 units are cut off"));
    ck_assert_ptr_nonnull(strstr(log_text, "first is 1"));
    support_fails(ctx, gm_mask_from_degrees(ctx, out, 3, in, 0, 0, mask), GM_E_INVALID, "is 0");
    support_fails(ctx, gm_mask_from_degrees(ctx, NULL, 3, in, 4, 0, mask), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_mask_from_degrees(ctx, out, 3, in, 4, 0, NULL), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_mask_from_degrees(NULL, out, 3, in, 4, 0, mask), GM_E_INVALID);
    support_ok(ctx, gm_mask_repeat_degrees(ctx, out, 3, 2, twice));
    for (int i = 0; i < 6; i++) ck_assert_int_eq(twice[i], out[i / 2]);
    support_fails(ctx, gm_mask_repeat_degrees(ctx, out, 3, 0, twice), GM_E_INVALID, "is 0");
}
END_TEST

START_TEST(masks_of_groups)
{
    static const float own[18] = { 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1 };
    float mask[18];
    support_ok(ctx, gm_mask_groups(ctx, 3, 2, 1, 1, mask)); /* hidden pairs */
    ck_assert_mem_eq(mask, own, sizeof mask);
    support_ok(ctx, gm_mask_groups(ctx, 3, 1, 2, 0, mask)); /* outputs of hidden pairs */
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < 6; i++) ck_assert_float_eq(mask[o * 6 + i], (float)(i / 2 < o));
    support_fails(ctx, gm_mask_groups(ctx, 3, 0, 2, 0, mask), GM_E_INVALID, "is 0");
    support_fails(ctx, gm_mask_groups(ctx, INT64_MAX / 2, 2, 2, 0, mask), GM_E_INVALID, "large");
}
END_TEST

/* The mask of a kernel, written out by the definition: positions in reading order, then channel
 * groups. */
START_TEST(masks_of_kernels)
{
    enum { OUT = 7, IN = 5, H = 3, W = 5 };
    float mask[OUT * IN * H * W];
    for (int64_t groups = 1; groups <= 3; groups++)
        for (int32_t type = GM_MASK_A; type <= GM_MASK_VERTICAL_B; type++) {
            support_ok(ctx, gm_mask_conv(ctx, type, (int64_t[]){ OUT, IN, H, W }, groups, mask));
            for (int64_t i = 0; i < OUT * IN * H * W; i++) {
                const int64_t o = i / (IN * H * W), c = i / (H * W) % IN, a = i / W % H, b = i % W;
                const int64_t tap = (a * W + b) * groups + c * groups / IN,
                              centre = (H / 2 * W + W / 2) * groups + o * groups / OUT;
                int want = type == GM_MASK_A ? tap < centre : tap <= centre;
                if (type == GM_MASK_VERTICAL_A) want = a < H / 2;
                if (type == GM_MASK_VERTICAL_B) want = a <= H / 2;
                ck_assert_float_eq(mask[i], (float)want);
            }
        }
    support_fails(ctx, gm_mask_conv(ctx, 0, (int64_t[]){ 2, 2, 4, 3 }, 1, mask), GM_E_INVALID,
                  "[4, 3]");
    support_fails(ctx, gm_mask_conv(ctx, 4, (int64_t[]){ 2, 2, 3, 3 }, 1, mask), GM_E_INVALID,
                  "type is 4");
    support_fails(ctx, gm_mask_conv(ctx, 0, (int64_t[]){ 2, 1, 3, 3 }, 2, mask), GM_E_INVALID,
                  "groups is 2");
    support_fails(ctx, gm_mask_conv(ctx, 0, (int64_t[]){ 2, 0, 3, 3 }, 1, mask), GM_E_INVALID,
                  "is 0");
}
END_TEST

/* A net 6 -> 11 -> 9 -> 12 with ReLU, degrees of a kind, an order, two numbers for each output. */
static gm_layer *net(const int64_t *order, int32_t kind)
{
    int64_t in[6], first[11], second[9], out[12];
    float a[66], b[99], c[108];
    gm_layer *all = NULL;
    support_ok(ctx, gm_mask_input_degrees(ctx, order, 6, in));
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 11, 6, kind, 1, NULL, first));
    support_ok(ctx, gm_mask_hidden_degrees(ctx, 9, 6, kind, 1, NULL, second));
    support_ok(ctx, gm_mask_repeat_degrees(ctx, in, 6, 2, out));
    support_ok(ctx, gm_mask_from_degrees(ctx, first, 11, in, 6, 0, a));
    support_ok(ctx, gm_mask_from_degrees(ctx, second, 9, first, 11, 0, b));
    support_ok(ctx, gm_mask_from_degrees(ctx, out, 12, second, 9, 1, c));
    support_ok(ctx, gm_sequence_create(&all, ctx));
    support_ok(ctx, gm_sequence_add_masked_linear(all, 6, 11, a));
    support_ok(ctx, gm_sequence_add_relu(all));
    support_ok(ctx, gm_sequence_add_masked_linear(all, 11, 9, b));
    support_ok(ctx, gm_sequence_add_tanh(all));
    support_ok(ctx, gm_sequence_add_masked_linear(all, 9, 12, c));
    return all;
}

static const int64_t mixed[6] = { 3, 0, 5, 1, 4, 2 };

START_TEST(the_proof)
{
    int64_t output, input;
    for (int32_t kind = GM_DEGREES_SPREAD; kind <= GM_DEGREES_RANDOM; kind++) {
        gm_layer *good = net(mixed, kind);
        support_ok(ctx, gm_mask_check_layer(good, mixed, 6, 2, NULL, &output, &input));
        ck_assert_int_eq(output, -1);
        /* For another order the same net is not autoregressive. */
        support_fails(ctx, gm_mask_check_layer(good, NULL, 6, 2, NULL, &output, &input), GM_E_STATE,
                      "depends on input");
        ck_assert_int_eq(input >= output / 2, 1);
        support_fails(ctx, gm_mask_check_layer(good, mixed, 6, 3, NULL, NULL, NULL), GM_E_SHAPE,
                      "18");
        gm_layer_release(good);
    }
    /* One weight too many: output 3 sees input 3, and that pair is named. */
    float mask[16];
    static const int64_t degrees[4] = { 1, 2, 3, 4 };
    gm_layer *bad = NULL, *wide = NULL;
    support_ok(ctx, gm_mask_from_degrees(ctx, degrees, 4, degrees, 4, 1, mask));
    mask[2 * 4 + 3] = 1;
    support_ok(ctx, gm_masked_linear_create(&bad, ctx, 4, 4, mask, NULL));
    support_fails(ctx, gm_mask_check_layer(bad, NULL, 4, 1, NULL, &output, &input), GM_E_STATE,
                  "output 2 (column 2, place 2) depends on input 3, which comes at place 3");
    ck_assert_int_eq(output, 2);
    ck_assert_int_eq(input, 3);
    static const int64_t no_order[4] = { 0, 1, 1, 3 };
    support_fails(ctx, gm_mask_check_layer(bad, no_order, 4, 1, NULL, NULL, NULL), GM_E_INVALID,
                  "1 at place 2");
    gm_mask_check_options o = GM_MASK_CHECK_OPTIONS_INIT;
    o.draws = 0;
    support_fails(ctx, gm_mask_check_layer(bad, NULL, 4, 1, &o, NULL, NULL), GM_E_INVALID,
                  "draws is 0");
    o.draws = 1;
    o.inner = 3;
    support_fails(ctx, gm_mask_check_layer(bad, NULL, 4, 1, &o, NULL, NULL), GM_E_INVALID,
                  "inner is 3");
    support_fails(ctx, gm_mask_check_layer(bad, NULL, 0, 1, NULL, NULL, NULL), GM_E_INVALID,
                  "is 0");
    gm_param_value(gm_params_get(gm_layer_params(bad), 0))[4] = NAN;
    support_fails(ctx, gm_mask_check_layer(bad, NULL, 4, 1, NULL, NULL, NULL), GM_E_NUMERIC, "nan");
    support_ok(ctx, gm_linear_create(&wide, ctx, 4, 4, NULL));
    support_fails(ctx, gm_mask_check_layer(wide, NULL, 4, 1, NULL, &output, &input), GM_E_STATE,
                  "");
    ck_assert_int_eq(output, 0);
    ck_assert_int_eq(input, 0);
    ck_assert_int_eq(gm_mask_check_layer(NULL, NULL, 4, 1, NULL, NULL, NULL), GM_E_INVALID);
    gm_layer_release(bad);
    gm_layer_release(wide);
}
END_TEST

/* Three colours of 4 x 5 pixels, K = 2 numbers each: an A layer, two B layers. Columns are (colour,
 * row, column) as stored; their order is pixel by pixel, colour by colour. */
START_TEST(convolutions_are_autoregressive)
{
    enum { COLOURS = 3, H = 4, W = 5, PLANE = H * W, COLUMNS = COLOURS * PLANE };
    gm_layer *all = NULL, *wrong = NULL;
    int64_t order[COLUMNS], output, input;
    static const int64_t shape[3] = { COLOURS, H, W };
    for (int64_t k = 0; k < COLUMNS; k++) order[k] = k % COLOURS * PLANE + k / COLOURS;
    support_ok(ctx, gm_sequence_create(&all, ctx));
    support_ok(ctx, gm_sequence_add_masked_conv2d(all, GM_MASK_A, COLOURS, 6, 5, COLOURS));
    support_ok(ctx, gm_sequence_add_tanh(all));
    support_ok(ctx, gm_sequence_add_masked_conv2d(all, GM_MASK_B, 6, 9, 3, COLOURS));
    support_ok(ctx, gm_sequence_add_tanh(all));
    support_ok(ctx, gm_sequence_add_masked_conv2d(all, GM_MASK_B, 9, 2 * COLOURS, 1, COLOURS));
    gm_mask_check_options o = GM_MASK_CHECK_OPTIONS_INIT;
    o.rank = 3;
    o.shape = shape;
    o.inner = PLANE;
    o.draws = 1;
    support_ok(ctx, gm_mask_check_layer(all, order, COLUMNS, 2, &o, &output, &input));
    /* Colours in another order at a pixel are not served, and a B layer in front lets a pixel see
     * itself. */
    support_fails(ctx, gm_mask_check_layer(all, NULL, COLUMNS, 2, &o, NULL, NULL), GM_E_STATE, "");
    support_ok(ctx, gm_sequence_create(&wrong, ctx));
    support_ok(ctx, gm_sequence_add_masked_conv2d(wrong, GM_MASK_B, 1, 1, 3, 1));
    static const int64_t grey[3] = { 1, H, W };
    o.shape = grey;
    support_fails(ctx, gm_mask_check_layer(wrong, NULL, PLANE, 1, &o, &output, &input), GM_E_STATE,
                  "output 0 (column 0, place 0) depends on input 0");
    /* A gated net's vertical stack sees the rows above alone: an order by rows from the left proves
     * it, and the reverse in each row too. */
    gm_layer *rows = NULL;
    int64_t back[PLANE];
    for (int64_t k = 0; k < PLANE; k++) back[k] = k / W * W + W - 1 - k % W;
    support_ok(ctx, gm_sequence_create(&rows, ctx));
    support_ok(ctx, gm_sequence_add_masked_conv2d(rows, GM_MASK_VERTICAL_A, 1, 4, 3, 1));
    support_ok(ctx, gm_sequence_add_masked_conv2d(rows, GM_MASK_VERTICAL_B, 4, 1, 3, 1));
    support_ok(ctx, gm_mask_check_layer(rows, NULL, PLANE, 1, &o, NULL, NULL));
    support_ok(ctx, gm_mask_check_layer(rows, back, PLANE, 1, &o, NULL, NULL));
    gm_layer_release(all);
    gm_layer_release(wrong);
    gm_layer_release(rows);
}
END_TEST

/* Elements where the mask is 0 are exactly zero in the weight. */
static void clean(gm_layer *sequence)
{
    for (int64_t i = 0; i < gm_sequence_count(sequence); i++) {
        gm_layer *part = gm_sequence_get(sequence, i);
        const float *mask = gm_masked_layer_mask(part);
        if (!mask) continue;
        gm_param *w = gm_params_get(gm_layer_params(part), 0);
        int kept = 0, zero = 0;
        for (int64_t k = 0; k < gm_param_count(w); k++) {
            if (mask[k] == 0) {
                ck_assert_float_eq(gm_param_value(w)[k], 0);
                zero++;
            } else {
                kept += gm_param_value(w)[k] != 0;
            }
        }
        ck_assert(kept && zero);
    }
}

static gm_optimizer *optimizer_of(int i)
{
    gm_optimizer *out = NULL;
    gm_sgd_options sgd = GM_SGD_OPTIONS_INIT;
    gm_adam_options adam = GM_ADAM_OPTIONS_INIT;
    gm_rmsprop_options rms = GM_RMSPROP_OPTIONS_INIT;
    gm_adagrad_options grad = GM_ADAGRAD_OPTIONS_INIT;
    gm_adadelta_options delta = GM_ADADELTA_OPTIONS_INIT;
    sgd.momentum = 0.9;
    sgd.weight_decay = adam.weight_decay = rms.weight_decay = grad.weight_decay =
        delta.weight_decay = 0.1;
    if (i == 0) support_ok(ctx, gm_sgd_create(&out, ctx, &sgd));
    if (i == 1) support_ok(ctx, gm_adam_create(&out, ctx, &adam));
    if (i == 2) support_ok(ctx, gm_rmsprop_create(&out, ctx, &rms));
    if (i == 3) support_ok(ctx, gm_adagrad_create(&out, ctx, &grad));
    if (i == 4) support_ok(ctx, gm_adadelta_create(&out, ctx, &delta));
    return out;
}

START_TEST(masked_weights_stay_zero)
{
    static const int64_t shape[2] = { 5, 6 };
    gm_layer *all = net(mixed, GM_DEGREES_CYCLIC);
    gm_params *p = gm_layer_params(all);
    gm_optimizer *optimizer = optimizer_of(_i);
    gm_tape *tape = NULL;
    float x[30];
    for (int i = 0; i < 30; i++) x[i] = (float)(i * 7 % 5) - 2;
    clean(all);
    support_ok(ctx, gm_layer_init(all, GM_INIT_NORMAL, 0, 1, NULL));
    clean(all);
    support_ok(ctx, gm_optimizer_add(optimizer, p));
    support_ok(ctx, gm_tape_create(&tape, ctx, NULL));
    for (int step = 0; step < 5; step++) {
        gm_tape_reset(tape);
        gm_var y = gm_apply(tape, all, gm_input_array(tape, 2, shape, x));
        support_ok(ctx, gm_backward(tape, gm_mean(tape, gm_square(tape, gm_shift(tape, y, 1))), p));
        support_ok(ctx, gm_optimizer_step(optimizer));
        clean(all);
    }
    /* What a host writes into the parameter does not break the property; what it writes is not
     * used. */
    gm_param *w = gm_params_get(p, 0);
    for (int64_t k = 0; k < gm_param_count(w); k++) gm_param_value(w)[k] = 1;
    support_ok(ctx, gm_mask_check_layer(all, mixed, 6, 2, NULL, NULL, NULL));
    gm_tape_release(tape);
    gm_optimizer_release(optimizer);
    gm_layer_release(all);
}
END_TEST

START_TEST(in_files)
{
    gm_layer *all = net(mixed, GM_DEGREES_RANDOM), *loaded = NULL;
    gm_archive *archive = NULL;
    support_ok(ctx, gm_sequence_add_relu(all));
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", all));
    support_ok(ctx, gm_archive_get_layer(&loaded, archive, "net."));
    support_ok(ctx, gm_mask_check_layer(loaded, mixed, 6, 2, NULL, NULL, NULL));
    ck_assert_mem_eq(gm_masked_layer_mask(gm_sequence_get(loaded, 2)),
                     gm_masked_layer_mask(gm_sequence_get(all, 2)), 99 * sizeof(float));
    gm_layer_release(loaded);
    gm_archive_release(archive);
    /* A file with a mask that is none. */
    gm_layer *one = gm_sequence_get(all, 0);
    float *mask = gm_param_value(gm_params_get(gm_layer_state(one), 0));
    mask[8] = 0.5f;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", one));
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "net."), GM_E_FORMAT,
                  "element 2 of row 1 of the mask is 0.5");
    ck_assert_ptr_null(loaded);
    gm_archive_release(archive);
    gm_layer_release(all);
}
END_TEST

START_TEST(bad_layers)
{
    float mask[12] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1 };
    gm_layer *layer = NULL, *normed = NULL;
    support_fails(ctx, gm_masked_linear_create(&layer, ctx, 4, 3, NULL, NULL), GM_E_INVALID,
                  "NULL");
    support_fails(ctx, gm_masked_linear_create(&layer, ctx, 4, 0, mask, NULL), GM_E_INVALID,
                  "out is 0");
    ck_assert_ptr_null(layer);
    mask[6] = 2;
    support_fails(ctx, gm_masked_linear_create(&layer, ctx, 4, 3, mask, NULL), GM_E_INVALID,
                  "masked_linear: element 2 of row 1 of the mask is 2");
    support_fails(ctx, gm_masked_conv2d_create(&layer, ctx, (int64_t[]){ 1, 2, 3, 2 }, mask, NULL),
                  GM_E_INVALID, "is 2");
    ck_assert_ptr_null(layer);
    ck_assert_ptr_null(gm_masked_layer_mask(NULL));
    support_ok(ctx, gm_sequence_create(&layer, ctx));
    ck_assert_ptr_null(gm_masked_layer_mask(layer));
    support_fails(ctx, gm_sequence_add_masked_conv2d(layer, GM_MASK_A, 1, 1, 2, 1), GM_E_INVALID,
                  "[2, 2]");
    support_fails(ctx, gm_sequence_add_masked_linear(layer, 4, 3, mask), GM_E_INVALID, "[2, 2]");
    gm_layer_release(layer);
    /* The weight of a masked layer under spectral norm keeps its mask. */
    static const int64_t degrees[4] = { 1, 2, 3, 4 };
    float square[16];
    support_ok(ctx, gm_mask_from_degrees(ctx, degrees, 4, degrees, 4, 1, square));
    support_ok(ctx, gm_masked_linear_create(&layer, ctx, 4, 4, square, NULL));
    support_ok(ctx, gm_spectral_norm_create(&normed, ctx, layer, NULL));
    support_ok(ctx, gm_mask_check_layer(normed, NULL, 4, 1, NULL, NULL, NULL));
    gm_layer_release(normed);
    gm_layer_release(layer);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("mask");
    TCase *t = tcase_create("mask");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, orders);
    tcase_add_test(t, hidden_degrees);
    tcase_add_test(t, masks_from_degrees);
    tcase_add_test(t, masks_of_groups);
    tcase_add_test(t, masks_of_kernels);
    tcase_add_test(t, the_proof);
    tcase_add_test(t, convolutions_are_autoregressive);
    tcase_add_loop_test(t, masked_weights_stay_zero, 0, 5);
    tcase_add_test(t, in_files);
    tcase_add_test(t, bad_layers);
    suite_add_tcase(s, t);
    return s;
}
