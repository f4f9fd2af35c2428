/* serve.c - freezing a model, loading a frozen one and making readers, with each allocation failing
 * once. */
#include "gm/serve.h"
#include "families.h"
#include "sweep.h"

static const family_size small = { 6, 4, 2 };

/* The model itself is made once, with memory that does not fail; its file is in the folder. */
static void file_of(char path[SUPPORT_PATH + 64], const char *folder, int which)
{
    snprintf(path, SUPPORT_PATH + 64, "%s/%s.safetensors", folder, families[which].name);
}

static void prepare(const char *folder)
{
    char path[SUPPORT_PATH + 64];
    gm_context *ctx = support_context(5, 1);
    for (int i = 0; i < FAMILY_COUNT; i++) {
        gm_model *model = family_make(ctx, i, &small);
        file_of(path, folder, i);
        support_ok(ctx, gm_model_save(model, path));
        gm_model_release(model);
    }
    gm_context_release(ctx);
}

/* A model of the file is frozen; its file is frozen too; both get readers. */
static gm_status frozen_twice(sweep *s, int which)
{
    gm_status status;
    gm_model *model = NULL;
    gm_frozen *made = NULL, *loaded = NULL;
    gm_reader *one = NULL, *two = NULL;
    size_t bytes;
    char path[SUPPORT_PATH + 64];
    file_of(path, s->folder, which);
    MAKE(s, model, gm_model_load(&model, s->ctx, path));
    MAKE(s, made, gm_model_freeze(&made, model));
    MAKE(s, loaded, gm_frozen_load(&loaded, s->ctx, path));
    MAKE(s, one, gm_reader_create(&one, s->ctx, made, 3));
    DO(s, gm_reader_bytes(&bytes, s->ctx, loaded, 2));
    MAKE(s, two, gm_reader_create(&two, s->ctx, loaded, 2));
out:
    gm_model_release(model);
    gm_frozen_release(made);
    gm_frozen_release(loaded);
    gm_reader_release(one);
    gm_reader_release(two);
    return status;
}

#define FAMILY(i)                                                                                  \
    static gm_status family_##i(sweep *s)                                                          \
    {                                                                                              \
        return frozen_twice(s, i);                                                                 \
    }
/* clang-format off */
FAMILY(0) FAMILY(1) FAMILY(2) FAMILY(3) FAMILY(4) FAMILY(5) FAMILY(6)
FAMILY(7) FAMILY(8) FAMILY(9) FAMILY(10) FAMILY(11) FAMILY(12)
    /* clang-format on */

    /* A checkpoint is read into memory. */
    static gm_status checkpoint(sweep *s)
{
    gm_status status;
    gm_model *model = NULL;
    gm_frozen *frozen = NULL;
    char path[SUPPORT_PATH + 64];
    file_of(path, s->folder, FAMILY_COUNT - 2);
    MAKE(s, model, gm_model_load(&model, s->ctx, path));
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", s->folder);
    DO(s, gm_model_save_checkpoint(model, path));
    MAKE(s, frozen, gm_frozen_load(&frozen, s->ctx, path));
out:
    gm_model_release(model);
    gm_frozen_release(frozen);
    return status;
}

#define ROW(i, name)                                                                               \
    {                                                                                              \
        name, family_##i, 1, 0                                                                     \
    }
static const sweep_scenario all[] = {
    ROW(0, "generator"), ROW(1, "vae"),
    ROW(2, "gan"),       ROW(3, "autoencoder"),
    ROW(4, "gmmn"),      ROW(5, "linear_ar"),
    ROW(6, "neural_ar"), ROW(7, "made"),
    ROW(8, "nade"),      ROW(9, "pixelcnn"),
    ROW(10, "sbn"),      ROW(11, "rbm"),
    ROW(12, "dbn"),      { "checkpoint", checkpoint, 1, 0 },
};
_Static_assert(sizeof all / sizeof *all == sizeof families / sizeof *families + 1, "all families");

Suite *gm_suite(void)
{
    return SWEEP_SUITE("oom: serve", all, prepare, NULL);
}
