/* classify.c - a trained classifier of digits, from a file or at hand. */
#define _POSIX_C_SOURCE 200809L

#include "classify.h"

#include "message.h"

#include "gm/archive.h"
#include "gm/extend.h"
#include "gm/layer_file.h"
#include "gm/ops.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define GROUP 500 /* rows at a time */
#define MOST_ROW ((int64_t)1 << 24)

/* A file that is not there is a mistake in the command. */
static int find(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || access(path, R_OK) != 0) {
        const int reason = errno;
        message("cannot open the classifier '%s': %s; the program classifier makes one", path,
                strerror(reason));
        return 2;
    }
    if (!S_ISREG(info.st_mode)) {
        message("'%s' is no file; name the model.safetensors that the program classifier saved",
                path);
        return 2;
    }
    return OPTIONS_GO_ON;
}

static int foreign(const char *path, const char *why)
{
    message(
        "'%s' is no classifier: %s; name the model.safetensors that the program classifier saved",
        path, why);
    return 2;
}

/* What the file says about itself; NULL, or what is wrong. */
static const char *read_sizes(gm_archive *archive, int64_t *row_size, int64_t *classes)
{
    const char *kind = NULL;
    int64_t format = 0;
    if (gm_archive_get_text(&kind, archive, "kind") || strcmp(kind, "classifier") != 0)
        return "nothing in it says so";
    if (gm_archive_get_int(&format, archive, "classifier.format") || format != FORMAT)
        return "another version of the program saved it";
    if (gm_archive_get_int(row_size, archive, "classifier.row_size") || *row_size < 1 ||
        *row_size > MOST_ROW)
        return "classifier.row_size is missing or out of range";
    if (gm_archive_get_int(classes, archive, "classifier.classes") || *classes < 1 ||
        *classes > CLASSIFY_MOST)
        return "classifier.classes is missing or out of range";
    return NULL;
}

int classify_open(struct classifier *c, gm_context *context, const char *path)
{
    gm_archive *archive = NULL;
    gm_layer *net = NULL;
    int64_t row_size = 0, classes = 0, shape[GM_MAX_RANK];
    int32_t rank = 0;
    int status = find(path);
    gm_status s;
    memset(c, 0, sizeof *c);
    if (status != OPTIONS_GO_ON) return status;

    if ((s = gm_archive_open(&archive, context, path))) goto out;
    const char *wrong = read_sizes(archive, &row_size, &classes);
    if (wrong != NULL) {
        status = foreign(path, wrong);
        goto out;
    }
    if ((s = gm_archive_get_layer(&net, archive, "net."))) goto out;
    const int64_t rows[2] = { 2, row_size };
    if ((s = gm_layer_output(net, 2, rows, &rank, shape))) goto out;
    if (rank != 2 || shape[0] != 2 || shape[1] != classes) {
        status = foreign(path, "its network does not give one value for each class");
        goto out;
    }
    s = classify_wrap(c, net, row_size, classes);
out:
    gm_layer_release(net);
    gm_archive_release(archive);
    if (s == GM_E_NOMEM) {
        message("%s: %s", gm_status_name(s), gm_context_error(context));
        return 1;
    }
    return s ? foreign(path, gm_context_error(context)) : status;
}

gm_status classify_wrap(struct classifier *c, gm_layer *net, int64_t row_size, int64_t classes)
{
    memset(c, 0, sizeof *c);
    const gm_status s = gm_tape_create(&c->tape, gm_layer_context(net), NULL);
    if (s) return s;
    gm_tape_set_mode(c->tape, GM_TAPE_CONSTANT); /* nothing is learnt, nothing dropped */
    gm_layer_retain(net);
    c->net = net;
    c->row_size = row_size;
    c->classes = classes;
    return GM_OK;
}

void classify_close(struct classifier *c)
{
    gm_tape_release(c->tape);
    gm_layer_release(c->net);
    memset(c, 0, sizeof *c);
}

gm_status classify_save(const struct classifier *c, const char *path)
{
    gm_archive *archive = NULL;
    gm_status s;
    if ((s = gm_archive_create(&archive, gm_layer_context(c->net)))) goto out;
    if ((s = gm_archive_set_text(archive, "kind", "classifier"))) goto out;
    if ((s = gm_archive_set_int(archive, "classifier.format", FORMAT))) goto out;
    if ((s = gm_archive_set_int(archive, "classifier.row_size", c->row_size))) goto out;
    if ((s = gm_archive_set_int(archive, "classifier.classes", c->classes))) goto out;
    if ((s = gm_archive_put_layer(archive, "net.", c->net))) goto out;
    s = gm_archive_write(archive, path);
out:
    gm_archive_release(archive);
    return s;
}

gm_status classify_log_probs(struct classifier *c, const float *rows, int64_t count, float *out)
{
    for (int64_t begin = 0; begin < count; begin += GROUP) {
        const int64_t n = count - begin < GROUP ? count - begin : GROUP;
        const int64_t shape[2] = { n, c->row_size };
        gm_tape_reset(c->tape);
        const gm_var x = gm_input_array(c->tape, 2, shape, rows + begin * c->row_size);
        const gm_var p = gm_log_softmax(c->tape, gm_apply(c->tape, c->net, x));
        const gm_status s = gm_read(c->tape, p, n * c->classes, out + begin * c->classes);
        if (s) return s;
    }
    return GM_OK;
}

gm_status classify_rows(struct classifier *c, const float *rows, int64_t count, int *labels,
                        double *confidence)
{
    float p[GROUP * CLASSIFY_MOST];
    for (int64_t begin = 0; begin < count; begin += GROUP) {
        const int64_t n = count - begin < GROUP ? count - begin : GROUP;
        const gm_status s = classify_log_probs(c, rows + begin * c->row_size, n, p);
        if (s) return s;
        for (int64_t i = 0; i < n; i++) {
            const float *row = p + i * c->classes;
            int best = 0;
            for (int k = 1; k < c->classes; k++)
                if (row[k] > row[best]) best = k;
            if (labels) labels[begin + i] = best;
            if (confidence) confidence[begin + i] = exp((double)row[best]);
        }
    }
    return GM_OK;
}

gm_status classify_features(struct classifier *c, const float *rows, int64_t count, float **out,
                            int64_t *width)
{
    gm_context *context = gm_layer_context(c->net);
    const int64_t parts = gm_sequence_count(c->net);
    float *values = NULL;
    gm_status s = GM_OK;
    *out = NULL;
    if (parts < 2)
        return gm_context_fail(context, GM_E_UNSUPPORTED,
                               "the classifier's network has no layer before its last one");
    for (int64_t begin = 0; begin < count && !s; begin += GROUP) {
        const int64_t n = count - begin < GROUP ? count - begin : GROUP;
        const int64_t shape[2] = { n, c->row_size };
        gm_tape_reset(c->tape);
        gm_var x = gm_input_array(c->tape, 2, shape, rows + begin * c->row_size);
        for (int64_t i = 0; i + 1 < parts; i++)
            x = gm_apply(c->tape, gm_sequence_get(c->net, i), x);
        if ((s = gm_tape_status(c->tape))) break;
        *width = gm_count(c->tape, x) / n;
        if (values == NULL) values = malloc((size_t)(count * *width) * sizeof *values);
        if (values == NULL)
            s = gm_context_fail(context, GM_E_NOMEM, "no memory for features");
        else
            s = gm_read(c->tape, x, n * *width, values + begin * *width);
    }
    if (s)
        free(values);
    else
        *out = values;
    return s;
}

gm_status classify_report(struct classifier *c, const float *rows, int64_t count,
                          struct classify_report *out)
{
    int labels[GROUP];
    double confidence[GROUP];
    const double each = 1.0 / (double)count;
    int64_t found[CLASSIFY_MOST] = { 0 }, sure = 0;
    memset(out, 0, sizeof *out);
    out->rows = count;
    out->classes = c->classes;
    for (int64_t begin = 0; begin < count; begin += GROUP) {
        const int64_t n = count - begin < GROUP ? count - begin : GROUP;
        const gm_status s = classify_rows(c, rows + begin * c->row_size, n, labels, confidence);
        if (s) return s;
        for (int64_t i = 0; i < n; i++) {
            found[labels[i]]++;
            sure += confidence[i] >= CLASSIFY_SURE;
            out->confidence += confidence[i] * each;
        }
    }
    for (int k = 0; k < c->classes; k++) {
        out->share[k] = (double)found[k] * each;
        if (found[k] < found[out->smallest_class]) out->smallest_class = k;
    }
    out->smallest_share = out->share[out->smallest_class];
    out->sure = (double)sure * each;
    return GM_OK;
}

void classify_json(struct json *j, const struct classify_report *report)
{
    for (int k = 0; k < report->classes; k++) {
        char key[32];
        snprintf(key, sizeof key, "share_%d", k);
        json_number(j, key, report->share[k]);
    }
    json_number(j, "smallest_share", report->smallest_share);
    json_whole(j, "smallest_class", report->smallest_class);
    json_number(j, "sure", report->sure);
}
