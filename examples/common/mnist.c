/* mnist.c - handwritten digits as datasets scaled to [0, 1]. */
#define _POSIX_C_SOURCE 200809L

#include "mnist.h"

#include "message.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIDE 28

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* Finds FOLDER/name or FOLDER/name.gz. Returns 1 and its path, or 0. */
static int find_file(const char *folder, const char *name, char path[OPTIONS_PATH_SIZE])
{
    static const char *const endings[] = { "", ".gz" };
    for (int i = 0; i < 2; i++) {
        const int n = snprintf(path, OPTIONS_PATH_SIZE, "%s/%s%s", folder, name, endings[i]);
        if (n > 0 && n < OPTIONS_PATH_SIZE && is_file(path)) return 1;
    }
    return 0;
}

static int missing(const char *folder, const char *what)
{
    message("no %s in '%s': expected are train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and "
            "t10k-labels-idx1-ubyte, plain or with .gz; \"make data\" fetches them, --data names "
            "another folder",
            what, folder);
    return 2;
}

static int failed(gm_context *context, gm_status s)
{
    message("%s: %s", gm_status_name(s), gm_context_error(context));
    return 1;
}

/* 784 values a row? */
static int check_images(const gm_dataset *images, const char *path)
{
    const int64_t *shape = gm_dataset_row_shape(images);
    const int32_t rank = gm_dataset_row_rank(images);
    if (gm_dataset_row_size(images) == SIDE * SIDE) return OPTIONS_GO_ON;
    if (rank == 2)
        message("'%s' holds images of %" PRId64 " x %" PRId64 " pixels, this program takes %d x %d",
                path, shape[0], shape[1], SIDE, SIDE);
    else
        message("'%s' holds rows of %" PRId64
                " values, this program takes images of %d x %d pixels",
                path, gm_dataset_row_size(images), SIDE, SIDE);
    return 2;
}

/* Classes from 0 on? *s may fail, then the return value says nothing. */
static int check_labels(gm_dataset *labels, const char *path, int needs, gm_status *s)
{
    const int64_t rows = gm_dataset_rows(labels);
    const int highest = needs & MNIST_CLASSES ? 99 : 9;
    float low = INFINITY, high = -INFINITY;
    if (gm_dataset_row_size(labels) != 1) {
        message("'%s' holds rows of %" PRId64 " values, this program takes one label a row", path,
                gm_dataset_row_size(labels));
        return 2;
    }
    for (int64_t at = 0, n; at < rows; at += n) {
        gm_tensor *some = NULL;
        n = rows - at < 1000 ? rows - at : 1000;
        if ((*s = gm_dataset_read_tensor(&some, labels, at, n, 0))) return 1;
        for (int64_t i = 0; i < n; i++) {
            low = fminf(low, gm_tensor_read(some)[i]);
            high = fmaxf(high, gm_tensor_read(some)[i]);
        }
        gm_tensor_release(some);
    }
    if (low >= 0 && high <= (float)highest && !(needs & MNIST_CLASSES && low > 0))
        return OPTIONS_GO_ON;
    message("'%s' holds labels from %g to %g, this program takes classes from 0 to %d", path,
            (double)low, (double)high, highest);
    return 2;
}

/* One file of images, with its labels if labels_path is not NULL, scaled and with the row shape
 * that the program needs. */
static int open_images(gm_dataset **out, gm_context *context, const char *images_path,
                       const char *labels_path, int needs)
{
    static const int64_t row[] = { SIDE * SIDE }, image[] = { 1, SIDE, SIDE };
    const int images = (needs & MNIST_IMAGES) != 0;
    gm_dataset *raw = NULL, *labels = NULL, *shaped = NULL;
    int status = 1;
    gm_status s;
    *out = NULL;
    if ((s = gm_dataset_open_idx(&raw, context, images_path))) goto out;
    if ((status = check_images(raw, images_path)) != OPTIONS_GO_ON) goto out;
    if (labels_path != NULL) {
        if ((s = gm_dataset_open_idx(&labels, context, labels_path))) goto out;
        status = check_labels(labels, labels_path, needs, &s);
        if (s || status != OPTIONS_GO_ON) goto out;
        if (gm_dataset_rows(labels) != gm_dataset_rows(raw)) {
            message("'%s' holds %" PRId64 " labels, '%s' %" PRId64 " images", labels_path,
                    gm_dataset_rows(labels), images_path, gm_dataset_rows(raw));
            status = 2;
            goto out;
        }
        if ((s = gm_dataset_attach_labels(raw, labels))) goto out;
    }
    if ((s = gm_dataset_reshape(&shaped, raw, images ? 3 : 1, images ? image : row))) goto out;
    s = gm_dataset_scale(out, shaped, needs & MNIST_BYTES ? 1.0 : 1.0 / 255.0, 0.0);
out:
    gm_dataset_release(shaped);
    gm_dataset_release(labels);
    gm_dataset_release(raw);
    return s ? failed(context, s) : status;
}

/* Rows [begin, end), of them at most `limit` if that is not 0. */
static gm_status part(gm_dataset **out, int64_t *rows, gm_dataset *whole, int64_t begin,
                      int64_t end, int64_t limit)
{
    if (limit > 0 && end - begin > limit) end = begin + limit;
    const gm_status s = gm_dataset_range(out, whole, begin, end);
    *rows = s == GM_OK ? end - begin : 0;
    return s;
}

/* 8 tenths, 1 tenth, 1 tenth. */
static int open_one(struct mnist *m, gm_context *context, const struct options *o,
                    const char *images_path, const char *labels_path, int needs)
{
    gm_dataset *all = NULL;
    int status = OPTIONS_GO_ON;
    gm_status s;
    status = open_images(&all, context, images_path, labels_path, needs);
    if (status != OPTIONS_GO_ON) return status;
    const int64_t rows = gm_dataset_rows(all);
    const int64_t a = rows - 2 * (rows / 10), b = rows - rows / 10;
    if (rows < 10) {
        message("'%s' has %" PRId64 " images, at least 10 are needed to train, validate and test",
                images_path, rows);
        status = 2;
    } else if ((s = part(&m->train, &m->train_rows, all, 0, a, o->limit)) ||
               (s = part(&m->valid, &m->valid_rows, all, a, b, o->limit)) ||
               (s = part(&m->test, &m->test_rows, all, b, rows, o->limit))) {
        status = failed(context, s);
    } else if (!o->quiet) {
        message("note: no training file; of the %" PRId64 " images in '%s' %" PRId64
                " train, %" PRId64 " validate and %" PRId64 " test",
                rows, images_path, m->train_rows, m->valid_rows, m->test_rows);
    }
    gm_dataset_release(all);
    return status;
}

static int open_both(struct mnist *m, gm_context *context, const struct options *o,
                     const char *const paths[4], int needs)
{
    gm_dataset *train = NULL, *test = NULL;
    gm_status s = GM_OK;
    int status = open_images(&train, context, paths[0], paths[1], needs);
    if (status != OPTIONS_GO_ON) goto out;
    if ((status = open_images(&test, context, paths[2], paths[3], needs)) != OPTIONS_GO_ON)
        goto out;
    if ((s = part(&m->train, &m->train_rows, train, 0, gm_dataset_rows(train), o->limit))) goto out;
    s = part(&m->test, &m->test_rows, test, 0, gm_dataset_rows(test), o->limit);
out:
    gm_dataset_release(test);
    gm_dataset_release(train);
    return s ? failed(context, s) : status;
}

static int open_folder(struct mnist *m, gm_context *context, const struct options *o, int needs)
{
    static const char *const names[4] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" };
    char path[4][OPTIONS_PATH_SIZE];
    const char *paths[4];
    int found[4];
    const int labels = (needs & MNIST_LABELS) != 0;
    for (int i = 0; i < 4; i++) {
        found[i] = find_file(o->data, names[i], path[i]);
        paths[i] = i % 2 == 0 || labels ? path[i] : NULL;
    }
    snprintf(m->name, sizeof m->name, "%s%s",
             strstr(o->data, "fashion") != NULL ? "fashion-mnist" : "mnist",
             found[0] ? "" : "-10k");
    if (!found[2]) return missing(o->data, "test images");
    if (labels && !found[3]) return missing(o->data, "test labels");
    if (!found[0]) return open_one(m, context, o, paths[2], paths[3], needs);
    if (labels && !found[1]) return missing(o->data, "training labels");
    return open_both(m, context, o, paths, needs);
}

/* The last part of the path, up to its first dot. */
static void name_of_file(char *out, size_t room, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t length = strcspn(name, ".");
    if (length == 0) length = strlen(name);
    snprintf(out, room, "%.*s", (int)(length < room ? length : room - 1), name);
}

int mnist_open(struct mnist *m, gm_context *context, const struct options *o, int needs)
{
    struct stat info;
    int status;
    memset(m, 0, sizeof *m);
    m->path = o->data;
    if (stat(o->data, &info) != 0) {
        const int reason = errno;
        message("cannot open --data '%s': %s; \"make data\" fetches the digits into data/mnist",
                o->data, strerror(reason));
        return 2;
    }
    if (S_ISDIR(info.st_mode)) {
        status = open_folder(m, context, o, needs);
    } else if ((needs & MNIST_LABELS) != 0) {
        message(
            "--data '%s' is one file of images, but this program also needs their labels: name the "
            "folder",
            o->data);
        status = 2;
    } else {
        name_of_file(m->name, sizeof m->name, o->data);
        status = open_one(m, context, o, o->data, NULL, needs);
    }
    if (status != OPTIONS_GO_ON) mnist_close(m);
    return status;
}

void mnist_json(struct json *j, const struct mnist *m)
{
    json_data(j, m->path, m->train_rows, m->valid_rows, m->test_rows);
}

void mnist_close(struct mnist *m)
{
    gm_dataset_release(m->train);
    gm_dataset_release(m->valid);
    gm_dataset_release(m->test);
    memset(m, 0, sizeof *m);
}
