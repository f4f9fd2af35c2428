/* norm.c - every allocation of the normalising layers fails once: making them, putting them into a
 * sequence, a step that writes state, a file.
 */
#include "gm/norm.h"
#include "gm/layer_file.h"
#include "sweep.h"

static gm_status layers(sweep *s)
{
    gm_status status;
    gm_layer *linear = NULL, *spectral = NULL, *batch = NULL, *rows = NULL, *planes = NULL,
             *maxout = NULL, *group = NULL, *state = NULL, *block[2] = { NULL, NULL }, *all = NULL,
             *loaded = NULL;
    gm_tape *tape = NULL;
    gm_rng *rng = NULL;
    gm_archive *archive = NULL;
    static const int64_t shape[2] = { 2, 3 }, in[2] = { 4, 3 };
    static const float data[12] = { 1, -1, 2, 0, 3, 1, -2, 1, 1, 0, 0, 2 };
    MAKE(s, rng, gm_rng_create(&rng, s->ctx, 1));
    MAKE(s, linear, gm_linear_create(&linear, s->ctx, 3, 12, NULL));
    MAKE(s, spectral, gm_spectral_norm_create(&spectral, s->ctx, linear, NULL));
    MAKE(s, batch, gm_batch_norm_create(&batch, s->ctx, 12, NULL));
    MAKE(s, rows, gm_layer_norm_create(&rows, s->ctx, 2, shape, NULL));
    MAKE(s, planes, gm_instance_norm_create(&planes, s->ctx, 2, NULL));
    MAKE(s, group, gm_group_norm_create(&group, s->ctx, 2, 1, NULL));
    MAKE(s, block[0], gm_residual_create(&block[0], s->ctx, group));
    MAKE(s, state, gm_batch_norm_create(&state, s->ctx, 2, NULL));
    MAKE(s, block[1], gm_residual_create(&block[1], s->ctx, state));
    MAKE(s, maxout, gm_maxout_create(&maxout, s->ctx, 2));
    MAKE(s, all, gm_sequence_create(&all, s->ctx));
    ONCE(gm_sequence_add(all, spectral));
    ONCE(gm_sequence_add(all, batch));
    ONCE(gm_sequence_add_relu(all));
    ONCE(gm_sequence_add(all, maxout));
    ONCE(gm_sequence_add_reshape(all, 2, shape));
    ONCE(gm_sequence_add(all, rows));
    ONCE(gm_sequence_add(all, planes));
    ONCE(gm_sequence_add(all, block[0]));
    ONCE(gm_sequence_add(all, block[1]));
    ONCE(gm_sequence_add_batch_norm(all, 2));
    MAKE(s, tape, gm_tape_create(&tape, s->ctx, rng));
    float before = gm_param_value(gm_params_get(gm_layer_state(all), 2))[0];
    for (int turn = 0; turn < 2; turn++) {
        gm_tape_reset(tape);
        gm_var y = gm_apply(tape, all, gm_input_array(tape, 2, in, data));
        status = gm_backward(tape, gm_sum(tape, gm_square(tape, y)), gm_layer_params(all));
        /* A step that ran out of memory has written no state. */
        if (status) ck_assert(gm_param_value(gm_params_get(gm_layer_state(all), 2))[0] == before);
        if (!status || !s->again) break; /* else the same once more */
        ck_assert_int_eq(turn, 0);
    }
    if (status) goto out;
    MAKE(s, archive, gm_archive_create(&archive, s->ctx));
    ONCE(gm_archive_put_layer(archive, "", all));
    MAKE(s, loaded, gm_archive_get_layer(&loaded, archive, ""));
out:
    gm_archive_release(archive);
    gm_rng_release(rng);
    gm_tape_release(tape);
    gm_layer_release(linear);
    gm_layer_release(spectral);
    gm_layer_release(batch);
    gm_layer_release(rows);
    gm_layer_release(planes);
    gm_layer_release(maxout);
    gm_layer_release(group);
    gm_layer_release(state);
    gm_layer_release(block[0]);
    gm_layer_release(block[1]);
    gm_layer_release(all);
    gm_layer_release(loaded);
    return status;
}

static const sweep_scenario all[] = { { "normalising layers", layers, 0, 1 } };

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: norm", all, NULL, NULL);
}
