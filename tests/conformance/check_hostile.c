/* check_hostile.c - files of models that lie. */
#include "hostile.h"

static gm_status load(gm_context *ctx, const char *path, int run, const void *what)
{
    const int64_t label = 0;
    float row[MAKER_BITS] = { 0 };
    gm_model *model = NULL;
    double log_p;
    const gm_status status = gm_model_load(&model, ctx, path);
    (void)what;
    ck_assert(!status == !!model);
    if (run && model && gm_model_row_size(model) == MAKER_BITS) {
        if (gm_model_labels(model)) (void)gm_model_set_labels(model, &label, 1);
        (void)gm_model_log_prob(model, row, 1, &log_p);
        (void)gm_model_step(model, row, 1, NULL, 0, NULL);
        (void)conformance_sample(model, 1, row);
    }
    gm_model_release(model);
    return status;
}

/* A checkpoint after one step. Each byte, for the first model of a family. */
void check_hostile(conformance *c)
{
    const int first = c->maker == makers || strcmp(c->maker[-1].family, c->maker->family);
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    unsigned char *bytes = NULL;
    size_t size = 0;
    subject s;
    conformance_rows(rows);
    if (!subject_make(c, &s, 1) || !subject_set_labels(c, &s, 0)) goto out;
    if (CAN(&s, FIT))
        SUCCEEDS(c, s.ctx, gm_model_step(s.model, rows, CONFORMANCE_ROWS, NULL, 0, NULL));
    bytes = conformance_bytes(c, s.model, 1, &size);
    if (bytes) hostile_files(c, bytes, size, first ? 1 : 5, load, NULL);
out:
    subject_release(&s);
    free(bytes);
}
