/* sample.c - loads a saved model of any family and draws a grid of its samples.
 *
 *     sample build/out/vae/model.safetensors --count 64 --seed 7
 *
 * The file holds the architecture, so nothing need be known about the model. Writes
 * samples_last.png.
 */
#include "common/image_grid.h"
#include "common/json.h"
#include "common/message.h"
#include "common/run.h"

#include "gm/gm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How a row of values is drawn: a grey square, a square in colour, else a line of pixels. */
static void picture_shape(int64_t size, int *channels, int *height, int *width)
{
    *channels = 1;
    *height = 1;
    *width = (int)size;
    for (int64_t side = 2; side * side <= size; side++) {
        if (side * side != size && 3 * side * side != size) continue;
        *channels = side * side == size ? 1 : 3;
        *height = *width = (int)side;
    }
}

int main(int argc, char **argv)
{
    struct run r;
    struct json j;
    gm_model *model = NULL;
    gm_tensor *images = NULL;
    gm_status s = GM_OK;
    int64_t count = 100;
    char path[OPTIONS_PATH_SIZE], title[160];
    const struct option own[] = {
        OPTION_INT("count", &count, 1, 10000, "samples to draw"),
    };

    options_init(&r.options, "sample", "Draws samples from a saved model of any family.");
    r.options.no_training = 1;
    r.options.operand_name = "MODEL.safetensors";
    int status = run_start(&r, argc, argv, own, 1);
    if (status != OPTIONS_GO_ON) return status;
    const struct options *o = &r.options;
    if (o->operand == NULL) {
        message("which model? name a .safetensors file; see --help");
        status = 2;
        goto out;
    }
    if ((status = run_find_file(o->operand, "model")) != OPTIONS_GO_ON) goto out;
    status = 0;

    if ((s = gm_model_load(&model, r.context, o->operand))) goto out;
    const int64_t size = gm_model_row_size(model);
    if (!gm_model_supports(model, GM_VERB_SAMPLE)) {
        message("a model of the family '%s' cannot be sampled", gm_model_family(model));
        status = 1;
        goto out;
    }
    if (size > 1 << 24 || size * count > 1 << 28) {
        message("%" PRId64 " samples of %" PRId64 " values are too many for one picture", count,
                size);
        status = 1;
        goto out;
    }
    gm_model_seed(model, (uint64_t)o->seed); /* the same seed draws the same samples */
    if ((s = gm_model_sample(&images, model, count))) goto out;

    int channels, height, width;
    picture_shape(size, &channels, &height, &width);
    snprintf(title, sizeof title, "%" PRId64 " samples, family %s, seed %" PRId64, count,
             gm_model_family(model), o->seed);
    options_out_path(o, "samples_last.png", path);
    if (image_grid_write(path, gm_tensor_read(images), (int)count, channels, height, width, 0,
                         title))
        status = 1;

    json_begin(&j, gm_model_family(model), NULL);
    json_text(&j, "file", o->operand);
    json_whole(&j, "count", count);
    json_whole(&j, "row_size", size);
    json_whole(&j, "parameters", gm_params_elements(gm_model_params(model)));
    json_whole(&j, "trained_epochs", gm_model_epochs(model));
    json_whole(&j, "seed", o->seed);
    json_text(&j, "picture", path);
    json_number(&j, "seconds", run_seconds(&r));
    if (json_end(&j)) status = 1;
out:
    gm_tensor_release(images);
    gm_model_release(model);
    return run_end(&r, s, status);
}
