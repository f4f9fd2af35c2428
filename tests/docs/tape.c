/* Around blocks marked "c: tape": also 64 digits, a batch of 16 of them on [0, 1], a network from
 * 784 values to one, and a tape. */
#include <gm/gm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *first = NULL, *flat = NULL, *digits = NULL;
    gm_tensor *batch = NULL;
    gm_layer *net = NULL;
    gm_tape *tape = NULL;
    gm_status s;

    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, "data/mnist/t10k-images-idx3-ubyte.gz"))) goto out;
    if ((s = gm_dataset_range(&first, bytes, 0, 64))) goto out;
    if ((s = gm_dataset_reshape(&flat, first, 1, (int64_t[]){ 784 }))) goto out;
    if ((s = gm_dataset_scale(&digits, flat, 1 / 255.0, 0))) goto out;
    if ((s = gm_dataset_read_tensor(&batch, digits, 0, 16, 0))) goto out;
    if ((s = gm_sequence_create(&net, ctx))) goto out;
    gm_sequence_add_linear(net, 784, 10);
    gm_sequence_add_tanh(net);
    gm_sequence_add_linear(net, 10, 1);
    if ((s = gm_sequence_status(net))) goto out;
    if ((s = gm_tape_create(&tape, ctx, NULL))) goto out;
    {
        /* BLOCK */
    }
    if (!s) s = gm_tape_status(tape);
    goto out;
out:
    if (s || *gm_context_error(ctx)) printf("%s: %s\n", gm_status_name(s), gm_context_error(ctx));
    return s || *gm_context_error(ctx);
}
