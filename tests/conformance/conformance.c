/* conformance.c - what the checks share: the subject, its data, and files as bytes. */
#include "conformance.h"

#include <stdarg.h>

#include "models/family.h"

const conformance_verbs conformance_library = { gm_model_step, gm_model_fit, conformance_evaluate,
                                                gm_model_log_prob_estimate };

const conformance_check conformance_checks[] = {
    { "likelihood", check_likelihood },
    { "labels", check_labels },
    { "random stream", check_stream },
    { "cancel", check_cancel },
    { "calls inside calls", check_nested },
    { "way back", check_way_back },
    { "numeric", check_numeric },
    { "refusals", check_refusals },
    { "refusals of labels", check_label_refusals },
    { "files", check_files },
    { "resume", check_resume },
    { "threads", check_threads },
    { "order of release", check_release },
};
const int conformance_check_count = (int)(sizeof conformance_checks / sizeof *conformance_checks);

gm_status conformance_evaluate(gm_model *model, gm_dataset *data, int64_t batch, int64_t limit,
                               gm_metric *metrics, int32_t room, int32_t *metric_count)
{
    gm_model_evaluate_options o = GM_MODEL_EVALUATE_OPTIONS_INIT;
    o.batch = batch;
    o.limit = limit;
    return gm_model_evaluate(model, data, &o, metrics, room, metric_count);
}

gm_status conformance_sample(gm_model *model, int64_t count, float *rows)
{
    return gm_model_sample_into(model, count, NULL, rows);
}

void conformance_note(conformance *c, const char *file, int line, const char *format, ...)
{
    va_list args;
    if (c->failure[0]) return;
    const int used = snprintf(c->failure, sizeof c->failure, "%s: %s:%d: ", c->maker->name,
                              strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
    va_start(args, format);
    vsnprintf(c->failure + used, sizeof c->failure - (size_t)used, format, args);
    va_end(args);
}

int64_t conformance_label(int64_t row)
{
    return row * row % MAKER_CLASSES;
}

/* Rows that differ, in an order of no pattern that a batch could share. */
void conformance_rows(float rows[CONFORMANCE_ROWS * MAKER_BITS])
{
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++)
        for (int64_t k = 0; k < MAKER_BITS; k++)
            rows[i * MAKER_BITS + k] = (float)((i * 37 + 11) % MAKER_STATES >> k & 1);
}

gm_dataset *conformance_data(conformance *c, gm_context *ctx, int labelled)
{
    static const int64_t shape[2] = { CONFORMANCE_ROWS, MAKER_BITS },
                         one[2] = { CONFORMANCE_ROWS, 1 };
    float rows[CONFORMANCE_ROWS * MAKER_BITS], labels[CONFORMANCE_ROWS];
    gm_dataset *data = NULL, *of = NULL;
    conformance_rows(rows);
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) labels[i] = (float)conformance_label(i);
    SUCCEEDS(c, ctx, gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    if (labelled) {
        SUCCEEDS(c, ctx, gm_dataset_from_memory(&of, ctx, 2, one, labels));
        SUCCEEDS(c, ctx, gm_dataset_attach_labels(data, of));
    }
    gm_dataset_release(of);
    return data;
out:
    gm_dataset_release(of);
    gm_dataset_release(data);
    return NULL;
}

int subject_make(conformance *c, subject *s, int32_t threads)
{
    memset(s, 0, sizeof *s);
    s->ctx = support_context(71, threads);
    SUCCEEDS(c, s->ctx, maker_make(&s->model, c->maker, s->ctx, NULL));
    s->data = conformance_data(c, s->ctx, c->maker->labels > 0);
    return s->data != NULL;
out:
    return 0;
}

int subject_set_labels(conformance *c, subject *s, int other)
{
    int64_t labels[CONFORMANCE_ROWS];
    if (!c->maker->labels) return 1;
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++)
        labels[i] = (conformance_label(i) + other) % MAKER_CLASSES;
    SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, labels, CONFORMANCE_ROWS));
    return 1;
out:
    return 0;
}

void subject_release(subject *s)
{
    gm_dataset_release(s->data);
    gm_model_release(s->model);
    gm_context_release(s->ctx);
    memset(s, 0, sizeof *s);
}

unsigned char *conformance_bytes(conformance *c, gm_model *model, int checkpoint, size_t *size)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    unsigned char *bytes = NULL;
    FILE *f = NULL;
    long length;
    *size = 0;
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    SUCCEEDS(c, gm_model_context(model),
             checkpoint ? gm_model_save_checkpoint(model, path) : gm_model_save(model, path));
    f = fopen(path, "rb");
    HOLDS(c, f && !fseek(f, 0, SEEK_END) && (length = ftell(f)) > 0, "%s cannot be read", path);
    rewind(f);
    bytes = malloc((size_t)length);
    HOLDS(c, bytes && fread(bytes, 1, (size_t)length, f) == (size_t)length, "%s cannot be read",
          path);
    *size = (size_t)length;
out:
    if (f) fclose(f);
    support_folder_remove(folder);
    return bytes;
}

int conformance_same(conformance *c, gm_model *a, gm_model *b, int checkpoint)
{
    size_t size[2];
    unsigned char *one = conformance_bytes(c, a, checkpoint, &size[0]);
    unsigned char *other = conformance_bytes(c, b, checkpoint, &size[1]);
    const int same = one && other && size[0] == size[1] && !memcmp(one, other, size[0]);
    free(one);
    free(other);
    return same;
}
