/* labels.c - conditional models: where labels come from, and how a network sees them. */
#include "gm/ops.h"
#include "models/family.h"
#include "models/frozen.h"

#define LABELS_AT_ONCE 256

int64_t gm_model_labels(const gm_model *model)
{
    return model ? model->classes : 0;
}

/* Checks, and converts if out is given. */
static gm_status convert(gm_model *model, const int64_t *labels, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] >= model->classes)
            return gm_model_fail(model->ctx, GM_E_INVALID,
                                 "%s: label at %lld is %lld, expected 0 to %lld",
                                 model->family->name, (long long)i, (long long)labels[i],
                                 (long long)model->classes - 1);
        if (out) out[i] = (float)labels[i];
    }
    return GM_OK;
}

/* Room for `count` labels; those there are stay until these are known to fit. */
static gm_status reserve(gm_model *model, int64_t count)
{
    if (count <= model->label_room) return GM_OK;
    float *labels = NULL;
    if ((uint64_t)count <= SIZE_MAX / sizeof *labels)
        labels = gm_context_allocate(model->ctx, (size_t)count * sizeof *labels);
    if (!labels)
        return gm_model_fail(model->ctx, GM_E_NOMEM, "%s: no memory for %lld labels",
                             model->family->name, (long long)count);
    for (int64_t i = 0; i < model->label_count; i++) labels[i] = model->labels[i];
    gm_context_free(model->ctx, model->labels, (size_t)model->label_room * sizeof *labels);
    model->labels = labels;
    model->label_room = count;
    return GM_OK;
}

gm_status gm_model_set_labels(gm_model *model, const int64_t *labels, int64_t count)
{
    if (!model) return GM_E_INVALID;
    if (!model->classes)
        return gm_model_fail(model->ctx, GM_E_UNSUPPORTED, "%s: this model takes no labels",
                             model->family->name);
    if (!labels || count < 1)
        return gm_model_fail(model->ctx, GM_E_INVALID,
                             "%s: set_labels: labels is %s, count is %lld, expected at least 1",
                             model->family->name, labels ? "given" : "NULL", (long long)count);
    gm_status status;
    GM_TRY(gm_model_check_idle(model, "set_labels"));
    GM_TRY(gm_model_check_count(model, "set_labels", count));
    GM_TRY(convert(model, labels, count, NULL));
    GM_TRY(reserve(model, count));
    GM_TRY(convert(model, labels, count, model->labels));
    model->label_count = count;
out:
    return status;
}

gm_status gm_model_labels_for(gm_model *model, const char *verb, int64_t count, const float **out)
{
    gm_status status;
    *out = NULL;
    GM_TRY(gm_model_check_count(model, verb, count));
    if (!model->classes) return GM_OK;
    if (!model->label_count)
        GM_TRY(gm_model_fail(
            model->ctx, GM_E_STATE,
            "%s: %s: this model takes labels of %lld classes, and gm_model_set_labels gave none",
            model->family->name, verb, (long long)model->classes));
    if (model->label_count != 1 && model->label_count != count)
        GM_TRY(gm_model_fail(model->ctx, GM_E_SHAPE,
                             "%s: %s: %lld rows, but %lld labels are set, expected one for "
                             "each row, or a single one",
                             model->family->name, verb, (long long)count,
                             (long long)model->label_count));
    float *labels = gm_model_take(
        model, (uint64_t)count <= SIZE_MAX / sizeof *labels ? (size_t)count * sizeof *labels : 0);
    if (!labels)
        GM_TRY(gm_model_fail(model->ctx, GM_E_NOMEM, "%s: %s: no memory for %lld labels",
                             model->family->name, verb, (long long)count));
    for (int64_t i = 0; i < count; i++) labels[i] = model->labels[model->label_count > 1 ? i : 0];
    *out = labels;
out:
    return status;
}

/* The lowest label tells those that count from 1. */
static gm_status refuse_classes(gm_model *model, gm_dataset *data, const char *verb)
{
    const char *path = gm_dataset_labels_path(data);
    int64_t lowest = gm_dataset_classes(data) - 1, label;
    for (int64_t row = 0; row < gm_dataset_rows(data); row++) {
        const gm_status status = gm_dataset_read_labels(data, &row, 1, &label);
        if (status) return status;
        if (label < lowest) lowest = label;
    }
    return gm_model_fail(model->ctx, GM_E_INVALID,
                         "%s: %s: the dataset's labels go from %lld to %lld, the model takes 0 to "
                         "%lld%s%s%s",
                         model->family->name, verb, (long long)lowest,
                         (long long)gm_dataset_classes(data) - 1, (long long)model->classes - 1,
                         path ? " (" : "", path ? path : "", path ? ")" : "");
}

gm_status gm_model_check_labels(gm_model *model, gm_dataset *data, const char *verb)
{
    if (!model->classes) return GM_OK;
    if (!gm_dataset_has_labels(data))
        return gm_model_fail(
            model->ctx, GM_E_STATE,
            "%s: %s: this model takes labels of %lld classes, the dataset has none",
            model->family->name, verb, (long long)model->classes);
    if (gm_dataset_classes(data) > model->classes) return refuse_classes(model, data, verb);
    return GM_OK;
}

gm_status gm_model_read_labels(gm_model *model, gm_dataset *data, const int64_t *rows,
                               int64_t count, float *out)
{
    int64_t whole[LABELS_AT_ONCE];
    gm_status status = GM_OK;
    for (int64_t done = 0; done < count;) {
        int64_t n = count - done < LABELS_AT_ONCE ? count - done : LABELS_AT_ONCE;
        GM_TRY(gm_dataset_read_labels(data, rows + done, n, whole));
        GM_TRY(convert(model, whole, n, out + done));
        done += n;
    }
out:
    return status;
}

gm_var gm_model_label_var(gm_tape *tape, const float *labels, int64_t count)
{
    return labels ? gm_input_array(tape, 1, &count, labels) : GM_NO_VAR;
}

gm_var gm_model_join_label(gm_tape *tape, gm_var x, gm_var labels, int64_t classes)
{
    if (!labels.recording || gm_tape_status(tape)) return x;
    gm_var hot = gm_one_hot(tape, labels, classes);
    int32_t rank = gm_rank(tape, x);
    int64_t n = rank > 0 ? gm_shape(tape, x)[0] : 0, m = gm_count(tape, labels);
    if (m && n != m && n % m == 0) hot = gm_repeat_rows(tape, hot, n / m);
    if (rank == 4) {
        int64_t ends[4] = { -1, classes, 1, 1 };
        int64_t plane[4] = { 1, 1, gm_shape(tape, x)[2], gm_shape(tape, x)[3] };
        hot = gm_add(tape, gm_reshape(tape, hot, 4, ends), gm_constant(tape, 4, plane, 0));
    }
    gm_var both[2] = { x, hot };
    return gm_concat(tape, both, 2, 1);
}
