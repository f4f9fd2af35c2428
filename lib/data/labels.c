/* labels.c - a whole number per row, kept by the dataset it is attached to and found through its
 * views. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"

/* 2^24 - 1: up to here a float that is a whole number was not rounded to it. */
#define LARGEST 16777215.0

/* " (labels.gz)" for the ends of lines; nothing for a dataset that is of no file. */
#define SOURCE_TEXT 256
static const char *source_of(char text[SOURCE_TEXT], const gm_dataset *ds)
{
    const char *path = gm_dataset_path(ds);
    text[0] = '\0';
    if (path) (void)snprintf(text, SOURCE_TEXT, " (%s)", path);
    return text;
}

/* Reads labels block by block into `to`; *classes is the largest plus 1. */
static gm_status collect(gm_dataset *labels, int32_t *to, int64_t *classes)
{
    int64_t largest = 0;
    char source[SOURCE_TEXT];
    for (int64_t begin = 0; begin < labels->rows; begin += GM_ROWS) {
        int64_t rows[GM_ROWS];
        float values[GM_ROWS];
        const int64_t n = labels->rows - begin < GM_ROWS ? labels->rows - begin : GM_ROWS;
        for (int64_t i = 0; i < n; i++) rows[i] = begin + i;
        gm_status status = gm_dataset_read(labels, rows, n, 0, values);
        if (status) return status;
        for (int64_t i = 0; i < n; i++) {
            const double v = (double)values[i];
            if (!(v >= 0.0 && v <= LARGEST && v == floor(v)))
                return gm_fail(labels->ctx, GM_E_INVALID,
                               "dataset_attach_labels: row %lld is %g, expected whole numbers from "
                               "0 to 2^24 - 1%s",
                               (long long)rows[i], v, source_of(source, labels));
            to[begin + i] = (int32_t)v;
            if (to[begin + i] > largest) largest = to[begin + i];
        }
    }
    *classes = largest + 1;
    return GM_OK;
}

gm_status gm_dataset_attach_labels(gm_dataset *images, gm_dataset *labels)
{
    if (!images || !labels)
        return gm_fail(images   ? images->ctx
                       : labels ? labels->ctx
                                : NULL,
                       GM_E_INVALID, "dataset_attach_labels: images or labels is NULL");
    gm_context *ctx = images->ctx;
    char source[SOURCE_TEXT];
    if (labels->ctx != ctx)
        return gm_fail(ctx, GM_E_INVALID,
                       "dataset_attach_labels: images and labels are of different contexts");
    if (labels->row_size != 1)
        return gm_fail(ctx, GM_E_SHAPE,
                       "dataset_attach_labels: a row of labels has %lld values, expected 1%s",
                       (long long)labels->row_size, source_of(source, labels));
    if (labels->rows != images->rows)
        return gm_fail(ctx, GM_E_SHAPE, "dataset_attach_labels: %lld labels for %lld rows%s",
                       (long long)labels->rows, (long long)images->rows, source_of(source, labels));
    const size_t bytes = (size_t)images->rows * sizeof *images->labels;
    int32_t *copy = gm_memory_get(&ctx->memory, bytes);
    if (!copy) return gm_fail_memory(ctx, "dataset_attach_labels");
    const char *path = gm_dataset_path(labels);
    char *path_copy = path ? gm_memory_copy_text(&ctx->memory, path) : NULL;
    int64_t classes = 0;
    gm_status status = GM_OK;
    if (path && !path_copy) GM_TRY(gm_fail_memory(ctx, "dataset_attach_labels"));
    GM_TRY(collect(labels, copy, &classes));
    gm_memory_put(&ctx->memory, images->labels, bytes);
    gm_memory_put_text(&ctx->memory, images->labels_path);
    images->labels = copy;
    images->labels_path = path_copy;
    images->classes = classes;
    return GM_OK;
out:
    gm_memory_put(&ctx->memory, copy, bytes);
    gm_memory_put_text(&ctx->memory, path_copy);
    return status;
}

/* The nearest dataset on the way down that has labels. */
static const gm_dataset *labelled(const gm_dataset *ds)
{
    while (ds && !ds->labels) ds = ds->parent;
    return ds;
}

int32_t gm_dataset_has_labels(const gm_dataset *ds)
{
    return labelled(ds) != NULL;
}

int64_t gm_dataset_classes(const gm_dataset *ds)
{
    const gm_dataset *from = labelled(ds);
    return from ? from->classes : 0;
}

const char *gm_dataset_labels_path(const gm_dataset *ds)
{
    const gm_dataset *from = labelled(ds);
    return from ? from->labels_path : NULL;
}

gm_status gm_dataset_read_labels(gm_dataset *ds, const int64_t *rows, int64_t count,
                                 int64_t *labels)
{
    if (!ds) return GM_E_INVALID;
    if (count && (!rows || !labels))
        return gm_fail(ds->ctx, GM_E_INVALID, "dataset_read_labels: rows or labels is NULL");
    const gm_dataset *from = labelled(ds);
    if (!from) return gm_fail(ds->ctx, GM_E_STATE, "dataset_read_labels: no labels are attached");
    gm_status status = gm_dataset_check_rows(ds, "dataset_read_labels", rows, count);
    if (status || !count) return status;
    memmove(labels, rows, (size_t)count * sizeof *rows);
    for (const gm_dataset *d = ds; d != from; d = d->parent)
        if (d->kind->map) d->kind->map(d, labels, count, labels);
    for (int64_t i = 0; i < count; i++) labels[i] = from->labels[labels[i]];
    return GM_OK;
}
