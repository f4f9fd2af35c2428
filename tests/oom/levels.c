/* levels.c - every allocation fails once: contexts, numbers, tensors, tapes, layers, optimizers,
 * datasets. */
#include <zlib.h>

#include "gm/conv.h"
#include "gm/data.h"
#include "gm/gradient.h"
#include "gm/layer.h"
#include "gm/loss.h"
#include "gm/optimizer.h"
#include "sweep.h"

static const float numbers[12] = { 0.5f, 1, 0, 0.25f, 0.75f, 0, 1, 0.125f, 1, 0.5f, 0, 1 };
static const int64_t four_three[2] = { 4, 3 };

static gm_status lower_levels(sweep *s)
{
    gm_status status;
    gm_rng *rng = NULL, *child = NULL;
    gm_tensor *t = NULL, *copy = NULL, *wrapped = NULL, *rows = NULL, *view = NULL;
    gm_tape *tape = NULL, *other = NULL;
    float host[12] = { 0 };
    static const int64_t twelve[1] = { 12 };
    MAKE(s, rng, gm_rng_create(&rng, s->ctx, 1));
    MAKE(s, child, gm_rng_split(&child, rng));
    MAKE(s, t, gm_tensor_create(&t, s->ctx, 2, four_three));
    MAKE(s, copy, gm_tensor_create_from(&copy, s->ctx, 2, four_three, numbers));
    MAKE(s, wrapped, gm_tensor_wrap(&wrapped, s->ctx, 2, four_three, host, NULL, NULL));
    MAKE(s, rows, gm_tensor_rows_view(&rows, t, 1, 3));
    MAKE(s, view, gm_tensor_reshape_view(&view, wrapped, 1, twelve));
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, child));
    MAKE(s, other, gm_tape_create(&other, s->ctx, NULL));
    DO(s, gm_rng_normal(rng, 12, 0, 1, host));
out:
    gm_rng_release(rng);
    gm_rng_release(child);
    gm_tensor_release(t);
    gm_tensor_release(copy);
    gm_tensor_release(wrapped);
    gm_tensor_release(rows);
    gm_tensor_release(view);
    gm_tape_release(tape);
    gm_tape_release(other);
    return status;
}

static gm_status parameters(sweep *s)
{
    gm_status status;
    gm_param *w = NULL, *b = NULL;
    gm_params *all = NULL, *more = NULL;
    static const int64_t four[1] = { 4 };
    float values[16];
    MAKE(s, w, gm_param_create(&w, s->ctx, "w", 2, four_three));
    MAKE(s, b, gm_param_create(&b, s->ctx, "b", 1, four));
    for (int32_t kind = GM_INIT_DEFAULT; kind <= GM_INIT_ORTHOGONAL; kind++)
        DO(s, gm_param_init(w, kind, 1, 2, NULL));
    MAKE(s, all, gm_params_create(&all, s->ctx));
    MAKE(s, more, gm_params_create(&more, s->ctx));
    DO(s, gm_params_add(all, NULL, w));
    DO(s, gm_params_add(all, "x.", b));
    DO(s, gm_params_add_all(more, "all.", all));
    DO(s, gm_params_read(more, 16, values));
    DO(s, gm_params_write(more, values, 16));
    ck_assert_int_eq(gm_params_count(more), 2);
out:
    gm_param_release(w);
    gm_param_release(b);
    gm_params_release(all);
    gm_params_release(more);
    return status;
}

/* One of each layer; a sequence of them; a training step. */
static gm_status layers(sweep *s)
{
    gm_status status;
    gm_layer *linear = NULL, *elu = NULL, *dropout = NULL, *table = NULL, *square = NULL,
             *flat = NULL, *all = NULL;
    gm_tape *tape = NULL;
    gm_rng *rng = NULL;
    static const int64_t shape[2] = { 2, 2 }, in[2] = { 4, 3 };
    static const float rows[4] = { 0, 2, 1, 2 };
    int64_t out_shape[GM_MAX_RANK];
    int32_t rank;
    MAKE(s, rng, gm_rng_create(&rng, s->ctx, 1));
    MAKE(s, linear, gm_linear_create(&linear, s->ctx, 3, 4, NULL));
    MAKE(s, elu, gm_activation_create(&elu, s->ctx, GM_ACTIVATION_ELU, 1));
    MAKE(s, dropout, gm_dropout_create(&dropout, s->ctx, 0.5));
    MAKE(s, table, gm_embedding_create(&table, s->ctx, 3, 4));
    MAKE(s, square, gm_reshape_create(&square, s->ctx, 2, shape));
    MAKE(s, flat, gm_flatten_create(&flat, s->ctx));
    MAKE(s, all, gm_sequence_create(&all, s->ctx));
    ONCE(gm_sequence_add(all, linear));
    ONCE(gm_sequence_add(all, elu));
    ONCE(gm_sequence_add(all, dropout));
    ONCE(gm_sequence_add(all, square));
    ONCE(gm_sequence_add(all, flat));
    ONCE(gm_sequence_add_linear(all, 4, 2));
    ONCE(gm_sequence_add_tanh(all));
    DO(s, gm_sequence_status(all));
    DO(s, gm_layer_init(all, GM_INIT_ORTHOGONAL, 1, 0, rng));
    DO(s, gm_layer_output(all, 2, in, &rank, out_shape));
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, rng));
    for (int turn = 0; turn < 2; turn++) {
        gm_tape_reset(tape);
        gm_var x = gm_input_copy(tape, 2, in, numbers);
        gm_var e = gm_apply(tape, table, gm_input_array(tape, 1, in, rows));
        gm_var loss = gm_add(tape, gm_mean(tape, gm_apply(tape, all, x)), gm_mean(tape, e));
        status = gm_backward(tape, loss, gm_layer_params(all));
        if (!status || !s->again) break; /* else the same once more */
        ck_assert_int_eq(turn, 0);
    }
out:
    gm_rng_release(rng);
    gm_tape_release(tape);
    gm_layer_release(linear);
    gm_layer_release(elu);
    gm_layer_release(all);
    gm_layer_release(dropout);
    gm_layer_release(table);
    gm_layer_release(square);
    gm_layer_release(flat);
    return status;
}

/* A net of images, its constructors, and a training step. */
static gm_status images(sweep *s)
{
    gm_status status;
    gm_layer *conv = NULL, *turned = NULL, *most = NULL, *mean = NULL, *up = NULL, *shuffle = NULL,
             *all = NULL;
    gm_tape *tape = NULL;
    static const int64_t in[4] = { 2, 1, 3, 2 };
    MAKE(s, conv, gm_conv2d_create(&conv, s->ctx, 1, 4, 2, 2, NULL));
    MAKE(s, turned, gm_conv_transpose2d_create(&turned, s->ctx, 4, 12, 2, 2, NULL));
    MAKE(s, most, gm_max_pool2d_create(&most, s->ctx, 2, 1, 0));
    MAKE(s, mean, gm_avg_pool2d_create(&mean, s->ctx, 2, 1, 0));
    MAKE(s, up, gm_upsample_nearest_create(&up, s->ctx, 2));
    MAKE(s, shuffle, gm_pixel_shuffle_create(&shuffle, s->ctx, 2));
    MAKE(s, all, gm_sequence_create(&all, s->ctx));
    ONCE(gm_sequence_add(all, up));
    ONCE(gm_sequence_add(all, conv));
    ONCE(gm_sequence_add_relu(all));
    ONCE(gm_sequence_add(all, most));
    ONCE(gm_sequence_add(all, turned));
    ONCE(gm_sequence_add(all, mean));
    ONCE(gm_sequence_add(all, shuffle));
    ONCE(gm_sequence_add_conv2d(all, 3, 9, 3, 1, 1));
    ONCE(gm_sequence_add_conv_transpose2d(all, 9, 1, 3, 1, 1));
    ONCE(gm_sequence_add_max_pool2d(all, 2, 2, 0));
    ONCE(gm_sequence_add_avg_pool2d(all, 2, 2, 0));
    ONCE(gm_sequence_add_upsample_nearest(all, 2));
    ONCE(gm_sequence_add_pixel_shuffle(all, 1));
    DO(s, gm_sequence_status(all));
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, NULL));
    for (int turn = 0; turn < 2; turn++) {
        gm_tape_reset(tape);
        gm_var x = gm_input_copy(tape, 4, in, numbers);
        gm_var loss = gm_mean(tape, gm_square(tape, gm_apply(tape, all, x)));
        status = gm_backward(tape, loss, gm_layer_params(all));
        if (!status || !s->again) break; /* else the same once more */
        ck_assert_int_eq(turn, 0);
    }
out:
    gm_tape_release(tape);
    gm_layer_release(conv);
    gm_layer_release(turned);
    gm_layer_release(most);
    gm_layer_release(mean);
    gm_layer_release(up);
    gm_layer_release(shuffle);
    gm_layer_release(all);
    return status;
}

/* R1's penalty, and one of a second derivative: recorded gradients in a training step. */
static gm_status recorded_gradients(sweep *s)
{
    gm_status status;
    gm_layer *critic = NULL;
    gm_tape *tape = NULL;
    static const int64_t long_rows[2] = { 2000, 3 };
    MAKE(s, critic, gm_sequence_create(&critic, s->ctx));
    ONCE(gm_sequence_add_linear(critic, 3, 16));
    ONCE(gm_sequence_add_tanh(critic));
    ONCE(gm_sequence_add_linear(critic, 16, 1));
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, NULL));
    for (int turn = 0; turn < 2; turn++) {
        gm_tape_reset(tape);
        gm_var x = gm_randn(tape, 2, long_rows), both[2] = { x, x }, g[2];
        gm_var y = gm_sum(tape, gm_apply(tape, critic, x));
        status = gm_gradients(tape, y, both, 2, g);
        if (status) ck_assert_int_eq(gm_rank(tape, g[1]), -1);
        y = gm_sum(tape, gm_square(tape, g[0]));
        gm_var loss = gm_add(tape, y, gm_sum(tape, gm_abs(tape, gm_gradient(tape, y, x))));
        status = gm_backward(tape, loss, gm_layer_params(critic));
        if (!status || !s->again) break; /* else the same once more */
        ck_assert_int_eq(turn, 0);
    }
out:
    gm_tape_release(tape);
    gm_layer_release(critic);
    return status;
}

static gm_status one_optimizer(sweep *s, gm_params *params, int kind)
{
    gm_status status;
    gm_optimizer *o = NULL;
    gm_sgd_options sgd = GM_SGD_OPTIONS_INIT;
    gm_rmsprop_options rmsprop = GM_RMSPROP_OPTIONS_INIT;
    gm_schedule schedule = GM_SCHEDULE_INIT;
    sgd.momentum = 0.9;
    rmsprop.momentum = 0.9;
    switch (kind) {
    case 0:
        MAKE(s, o, gm_sgd_create(&o, s->ctx, &sgd));
        break;
    case 1:
        MAKE(s, o, gm_adam_create(&o, s->ctx, NULL));
        break;
    case 2:
        MAKE(s, o, gm_rmsprop_create(&o, s->ctx, &rmsprop));
        break;
    case 3:
        MAKE(s, o, gm_adagrad_create(&o, s->ctx, NULL));
        break;
    default:
        MAKE(s, o, gm_adadelta_create(&o, s->ctx, NULL));
        break;
    }
    DO(s, gm_optimizer_set_schedule(o, &schedule));
    if (kind % 2) DO(s, gm_optimizer_set_undo(o, 1)); /* before the parameters, or after */
    DO(s, gm_optimizer_add(o, params));
    ck_assert_int_eq(gm_optimizer_params(o), gm_params_count(params));
    if (!(kind % 2)) DO(s, gm_optimizer_set_undo(o, 1));
    DO(s, gm_optimizer_set_average(o, 0.5));
    DO(s, gm_optimizer_set_clip_norm(o, 1));
    DO(s, gm_optimizer_step(o));
    DO(s, gm_optimizer_swap_average(o));
    DO(s, gm_optimizer_swap_average(o));
    DO(s, gm_optimizer_undo(o));
    DO(s, gm_optimizer_reset(o));
out:
    gm_optimizer_release(o);
    return status;
}

static gm_status optimizers(sweep *s)
{
    gm_status status;
    gm_layer *layer = NULL;
    MAKE(s, layer, gm_linear_create(&layer, s->ctx, 3, 4, NULL));
    for (int kind = 0; kind < 5; kind++) ONCE(one_optimizer(s, gm_layer_params(layer), kind));
out:
    gm_layer_release(layer);
    return status;
}

static gm_status give_rows(void *user, const int64_t *rows, int64_t count, int64_t pass, float *out)
{
    (void)user;
    for (int64_t i = 0; i < 3 * count; i++) out[i] = (float)((rows[i / 3] + pass + i) % 2);
    return GM_OK;
}

static gm_status memory_datasets(sweep *s)
{
    gm_status status;
    gm_dataset *d[11] = { NULL }, *labels = NULL;
    static const uint8_t bytes[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255 };
    static const int64_t some[5] = { 3, 1, 2, 1, 0 }, one[2] = { 4, 1 }, three[2] = { 3, 1 };
    static const float classes[4] = { 0, 1, 2, 1 };
    float rows[15];
    int64_t out[4];
    MAKE(s, d[0], gm_dataset_from_memory(&d[0], s->ctx, 2, four_three, numbers));
    MAKE(s, d[1], gm_dataset_wrap(&d[1], s->ctx, 2, four_three, numbers, NULL, NULL));
    MAKE(s, d[2], gm_dataset_from_bytes(&d[2], s->ctx, 2, four_three, bytes, 1.0 / 255));
    MAKE(s, d[3], gm_dataset_from_callback(&d[3], s->ctx, 2, four_three, give_rows, NULL, NULL));
    MAKE(s, d[4], gm_dataset_subset(&d[4], d[3], some, 5));
    DO(s, gm_dataset_read(d[4], some, 4, 0, rows));
    MAKE(s, d[5], gm_dataset_shuffle(&d[5], d[2], 7));
    MAKE(s, d[6], gm_dataset_scale(&d[6], d[5], 0.5, 0.25));
    MAKE(s, d[7], gm_dataset_binarise(&d[7], d[6], 1, GM_BINARISE_DYNAMIC));
    MAKE(s, d[8], gm_dataset_threshold(&d[8], d[7], 0.5));
    MAKE(s, d[9], gm_dataset_reshape(&d[9], d[8], 2, three));
    DO(s, gm_dataset_read(d[9], some, 5, 0, rows));
    MAKE(s, labels, gm_dataset_from_memory(&labels, s->ctx, 2, one, classes));
    DO(s, gm_dataset_attach_labels(d[2], labels));
    DO(s, gm_dataset_read_labels(d[9], some, 4, out));
    MAKE(s, d[10], gm_dataset_range(&d[10], d[0], 1, 3));
out:
    gm_dataset_release(labels);
    for (int i = 0; i < 11; i++) gm_dataset_release(d[i]);
    return status;
}

static gm_status split_dataset(sweep *s)
{
    gm_status status;
    gm_dataset *all = NULL, *first = NULL, *second = NULL;
    MAKE(s, all, gm_dataset_from_memory(&all, s->ctx, 2, four_three, numbers));
    MAKE(s, first, gm_dataset_split(&first, &second, all, 3));
    ck_assert_int_eq(gm_dataset_rows(second), 1);
out:
    if (status) ck_assert_ptr_null(second);
    gm_dataset_release(first);
    gm_dataset_release(second);
    gm_dataset_release(all);
    return status;
}

#define IDX_ROWS 40

static void write_idx(const char *folder)
{
    char path[SUPPORT_PATH + 32];
    unsigned char file[16 + IDX_ROWS * 6] = {
        0, 0, 8, 3, 0, 0, 0, IDX_ROWS, 0, 0, 0, 2, 0, 0, 0, 3
    };
    for (size_t i = 16; i < sizeof file; i++) file[i] = (unsigned char)(i * 7);
    snprintf(path, sizeof path, "%s/rows.idx", folder);
    support_file_write(path, file, sizeof file);
    snprintf(path, sizeof path, "%s/rows.idx.gz", folder);
    gzFile gz = gzopen(path, "wb");
    ck_assert_ptr_nonnull(gz);
    ck_assert_int_eq(gzwrite(gz, file, sizeof file), (int)sizeof file);
    ck_assert_int_eq(gzclose(gz), Z_OK);
}

static gm_status idx_files(sweep *s)
{
    gm_status status;
    gm_dataset *plain = NULL, *packed = NULL;
    char path[SUPPORT_PATH + 32];
    static const int64_t rows[2] = { IDX_ROWS - 1, 0 };
    float a[12], b[12];
    snprintf(path, sizeof path, "%s/rows.idx", s->folder);
    MAKE(s, plain, gm_dataset_open_idx(&plain, s->ctx, path));
    snprintf(path, sizeof path, "%s/rows.idx.gz", s->folder);
    MAKE(s, packed, gm_dataset_open_idx(&packed, s->ctx, path));
    DO(s, gm_dataset_read(plain, rows, 2, 0, a));
    DO(s, gm_dataset_read(packed, rows, 2, 0, b));
    ck_assert_mem_eq(a, b, sizeof a);
out:
    gm_dataset_release(plain);
    gm_dataset_release(packed);
    return status;
}

static const sweep_scenario all[] = {
    { "lower levels", lower_levels, 0, 0 },
    { "parameters", parameters, 0, 0 },
    { "layers", layers, 0, 1 },
    { "recorded gradients", recorded_gradients, 0, 1 },
    { "images", images, 0, 1 },
    { "optimizers", optimizers, 0, 0 },
    { "datasets", memory_datasets, 0, 0 },
    { "split", split_dataset, 0, 0 },
    { "idx files", idx_files, 0, 0 },
};

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: levels", all, write_idx, NULL);
}
