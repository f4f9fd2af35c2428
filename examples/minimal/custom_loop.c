/* custom_loop.c - a training loop of one's own, on the tape: an autoencoder of handwritten digits.
 *
 *     cc custom_loop.c $(pkg-config --cflags --libs gm) -o custom_loop
 *     ./custom_loop [IMAGES]      an IDX file of images, plain or gz
 */
#include <gm/gm.h>
#include <stdio.h>

#define CODES 16 /* numbers that an image is squeezed into */

/* in -> 200, ReLU -> out. */
static gm_status make_net(gm_layer **net, gm_context *ctx, int64_t in, int64_t out)
{
    const gm_status s = gm_sequence_create(net, ctx);
    if (s) return s;
    gm_sequence_add_linear(*net, in, 200);
    gm_sequence_add_relu(*net);
    gm_sequence_add_linear(*net, 200, out);
    return gm_sequence_status(*net);
}

int main(int argc, char **argv)
{
    const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *digits = NULL, *order = NULL;
    gm_layer *encoder = NULL, *decoder = NULL;
    gm_params *params = NULL; /* of both */
    gm_optimizer *adam = NULL;
    gm_tape *tape = NULL;
    gm_tensor *batch = NULL;
    gm_status s;

    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, images))) goto out;
    if ((s = gm_dataset_scale(&digits, bytes, 1 / 255.0, 0))) goto out;
    const int64_t rows = gm_dataset_rows(digits), pixels = gm_dataset_row_size(digits);
    const int64_t size = rows < 100 ? rows : 100, shape[2] = { size, pixels };
    if ((s = make_net(&encoder, ctx, pixels, CODES))) goto out;
    if ((s = make_net(&decoder, ctx, CODES, pixels))) goto out;

    if ((s = gm_params_create(&params, ctx))) goto out;
    if ((s = gm_params_add_all(params, "encoder.", gm_layer_params(encoder)))) goto out;
    if ((s = gm_params_add_all(params, "decoder.", gm_layer_params(decoder)))) goto out;
    if ((s = gm_adam_create(&adam, ctx, NULL))) goto out;
    if ((s = gm_optimizer_add(adam, params))) goto out;
    if ((s = gm_tape_create(&tape, ctx, NULL))) goto out;

    for (int epoch = 0; epoch < 3; epoch++) {
        double sum = 0;
        gm_dataset_release(order);
        if ((s = gm_dataset_shuffle(&order, digits, (uint64_t)epoch))) goto out;
        for (int64_t row = 0; row + size <= rows; row += size) {
            gm_tensor_release(batch);
            if ((s = gm_dataset_read_tensor(&batch, order, row, size, 0))) goto out;
            gm_tape_reset(tape); /* it keeps the first failure until gm_backward */
            const gm_var x = gm_reshape(tape, gm_input(tape, batch), 2, shape);
            const gm_var logits = gm_apply(tape, decoder, gm_apply(tape, encoder, x));
            const gm_var loss = gm_mean(tape, gm_bce_with_logits(tape, logits, x));
            if ((s = gm_backward(tape, loss, params))) goto out;
            if ((s = gm_optimizer_step(adam))) goto out;
            sum += gm_scalar(tape, loss);
        }
        printf("epoch %d: %.2f nats an image\n", epoch + 1, sum / (double)(rows / size));
    }
out:
    if (s) fprintf(stderr, "custom_loop: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    gm_tape_release(tape);
    gm_tensor_release(batch);
    gm_optimizer_release(adam);
    gm_params_release(params);
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    gm_dataset_release(order);
    gm_dataset_release(digits);
    gm_dataset_release(bytes);
    gm_context_release(ctx);
    return s != GM_OK;
}
