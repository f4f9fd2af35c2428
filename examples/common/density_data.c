/* density_data.c - NAME-{train,valid,test} files or MNIST's as rows of bits, classes or real
 * values. */
#define _POSIX_C_SOURCE 200809L

#include "density.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"
#include "mnist.h"

#define SIDE 28
#define PARTS 3
#define NAME_SIZE 64
#define BITS_SEED 20110405 /* fixed: the static bits are part of the data set */

static const char *const part_names[PARTS] = { "train", "valid", "test" };

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int ends_with(const char *text, size_t length, const char *end)
{
    const size_t n = strlen(end);
    return length >= n && memcmp(text + length - n, end, n) == 0;
}

/* Is the file's name NAME-part, with or without -idxN-ubyte and .gz? Returns the length of NAME, or
 * 0. */
static size_t name_length(const char *file, const char *part)
{
    size_t length = strlen(file);
    const size_t n = strlen(part);
    if (ends_with(file, length, ".gz")) length -= 3;
    if (ends_with(file, length, "-ubyte") && length > 11 &&
        memcmp(file + length - 11, "-idx", 4) == 0)
        length -= 11;
    if (length < n + 2 || !ends_with(file, length, part) || file[length - n - 1] != '-') return 0;
    return length - n - 1;
}

/* The file of `name`'s part in the folder, a plain one before a compressed one. 1 and its path, or
 * 0. */
static int find_part(const char *folder, const char *name, const char *part,
                     char path[OPTIONS_PATH_SIZE])
{
    const struct dirent *entry;
    int found = 0;
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        const size_t length = name_length(entry->d_name, part);
        const int packed = ends_with(entry->d_name, strlen(entry->d_name), ".gz");
        if (length != strlen(name) || memcmp(entry->d_name, name, length) != 0) continue;
        if (found && packed) continue;
        const int n = snprintf(path, OPTIONS_PATH_SIZE, "%s/%s", folder, entry->d_name);
        found = n > 0 && n < OPTIONS_PATH_SIZE;
    }
    if (dir) closedir(dir);
    return found;
}

/* How many names have a training file in the folder (2 stands for more); the first by alphabet into
 * `name`, another into `other`. */
static int list_names(const char *folder, char name[NAME_SIZE], char other[NAME_SIZE])
{
    const struct dirent *entry;
    int count = 0;
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        char here[NAME_SIZE];
        const size_t length = name_length(entry->d_name, part_names[0]);
        if (length == 0 || length >= sizeof here) continue;
        memcpy(here, entry->d_name, length);
        here[length] = '\0';
        if (count && (!strcmp(here, name) || (count > 1 && !strcmp(here, other)))) continue;
        if (!count++) {
            strcpy(name, here);
        } else {
            const int before = strcmp(here, name) < 0;
            strcpy(other, before ? name : here);
            if (before) strcpy(name, here);
            count = 2;
        }
    }
    if (dir) closedir(dir);
    return count;
}

/* Is there a file of MNIST's of this kind? */
static int holds(const char *folder, const char *kind)
{
    const struct dirent *entry;
    int found = 0;
    DIR *dir = opendir(folder);
    while (dir && !found && (entry = readdir(dir))) found = strstr(entry->d_name, kind) != NULL;
    if (dir) closedir(dir);
    return found;
}

static gm_status take(gm_dataset **out, gm_dataset *whole, int64_t begin, int64_t end,
                      int64_t limit)
{
    if (limit > 0 && end - begin > limit) end = begin + limit;
    return gm_dataset_range(out, whole, begin, end);
}

/* Grey values in [0, 1] as bits. The bits of a row depend on the seed and the row's place in
 * `grey`. */
static gm_status make_bits(gm_dataset **out, gm_dataset *grey, int seed, int dynamic)
{
    return gm_dataset_binarise(out, grey, BITS_SEED + (uint64_t)seed,
                               dynamic ? GM_BINARISE_DYNAMIC : GM_BINARISE_STATIC);
}

/* --- MNIST's files. */

/* Digits [begin, end) as bits that do not depend on where the range begins, or as class numbers. */
static gm_status mnist_part(gm_dataset **out, const struct density *d, gm_dataset *digits, int seed,
                            int dynamic, int64_t begin, int64_t end)
{
    gm_dataset *all = NULL;
    gm_status s = GM_OK;
    if (d->grey)
        gm_dataset_retain(all = digits);
    else
        s = make_bits(&all, digits, seed, dynamic);
    if (!s) s = take(out, all, begin, end, d->run->options.limit);
    gm_dataset_release(all);
    return s;
}

static int open_mnist(struct density *d, const char *path)
{
    struct mnist m;
    struct options o = d->run->options;
    gm_status s;
    o.data = path;
    o.limit = 0; /* a limit is one of each part, and validation is cut off here */
    const int labels = d->labels == DENSITY_LABELS_NEEDED ||
                       (d->labels && is_folder(path) && holds(path, "labels-idx1-ubyte"));
    const int needs = MNIST_ROWS + (labels ? MNIST_LABELS : 0) + (d->grey ? MNIST_BYTES : 0);
    const int status = mnist_open(&m, d->run->context, &o, needs);
    if (status != OPTIONS_GO_ON) return status;
    const int64_t rows = m.train_rows, cut = m.valid ? rows : rows - rows / 6;
    if (cut == rows && !m.valid) {
        message("%" PRId64 " training digits are too few to validate on a sixth of them", rows);
        mnist_close(&m);
        return 2;
    }
    snprintf(d->name, sizeof d->name, "%s", m.name);
    snprintf(d->path, sizeof d->path, "%s", path);
    if ((s = mnist_part(&d->train, d, m.train, 0, d->dynamic, 0, cut))) goto out;
    if (m.valid)
        s = mnist_part(&d->valid, d, m.valid, 1, 0, 0, m.valid_rows);
    else
        s = mnist_part(&d->valid, d, m.train, 0, 0, cut, rows);
    if (!s) s = mnist_part(&d->test, d, m.test, 2, 0, 0, m.test_rows);
out:
    mnist_close(&m);
    d->height = d->across = SIDE;
    d->classes = d->grey ? 256 : 2;
    return run_failed(d->run, s) ? 1 : OPTIONS_GO_ON;
}

/* --- NAME-train, NAME-valid, NAME-test. */

/* The largest value, and whether all are whole numbers from 0 on. */
static gm_status survey(gm_dataset *data, double *most, int *whole)
{
    const int64_t rows = gm_dataset_rows(data), width = gm_dataset_row_size(data);
    gm_status s = GM_OK;
    for (int64_t at = 0, n; !s && at < rows; at += n) {
        gm_tensor *some = NULL;
        n = rows - at < 256 ? rows - at : 256;
        if ((s = gm_dataset_read_tensor(&some, data, at, n, 0))) break;
        const float *v = gm_tensor_read(some);
        for (int64_t i = 0; i < n * width; i++) {
            if ((double)v[i] > *most) *most = (double)v[i];
            if (v[i] < 0 || v[i] != floorf(v[i])) *whole = 0;
        }
        gm_tensor_release(some);
    }
    return s;
}

/* Rows of one axis. */
static gm_status open_rows(gm_dataset **out, gm_context *ctx, const char *path)
{
    gm_dataset *raw = NULL;
    gm_status s = gm_dataset_open_idx(&raw, ctx, path);
    const int64_t size = gm_dataset_row_size(raw);
    if (!s) s = gm_dataset_reshape(out, raw, 1, &size);
    gm_dataset_release(raw);
    return s;
}

/* to_bits: the rows are grey bytes that become bits. */
static gm_status name_part(gm_dataset **out, const struct density *d, gm_dataset *rows, int part,
                           int to_bits)
{
    gm_dataset *grey = NULL, *all = NULL;
    gm_status s = GM_OK;
    if (to_bits) {
        if ((s = gm_dataset_scale(&grey, rows, 1.0 / 255.0, 0.0))) goto out;
        if ((s = make_bits(&all, grey, part, d->dynamic && part == 0))) goto out;
    } else {
        gm_dataset_retain(all = rows);
    }
    s = take(out, all, 0, gm_dataset_rows(all), d->run->options.limit);
out:
    gm_dataset_release(all);
    gm_dataset_release(grey);
    return s;
}

static int open_name(struct density *d, const char *folder, const char *name)
{
    char path[OPTIONS_PATH_SIZE];
    gm_dataset *rows[PARTS] = { NULL }, **const into[PARTS] = { &d->train, &d->valid, &d->test };
    const char *const sides = "rows of '%s' have %" PRId64 " values, those of %s-train %" PRId64;
    double most = 0;
    int whole = 1, status = OPTIONS_GO_ON;
    gm_status s = GM_OK;
    if (d->labels == DENSITY_LABELS_NEEDED) {
        message("--dataset '%s' has no labels, but this program needs them", name);
        return 2;
    }
    for (int i = 0; i < PARTS; i++) {
        if (!find_part(folder, name, part_names[i], path)) {
            message("no %s-%s in '%s': expected are %s-train, %s-valid and %s-test as IDX files, "
                    "plain or "
                    "with .gz; --data names another folder",
                    name, part_names[i], folder, name, name, name);
            status = 2;
            goto out;
        }
        if ((s = open_rows(&rows[i], d->run->context, path))) goto out;
        if ((s = survey(rows[i], &most, &whole))) goto out;
        if (gm_dataset_row_size(rows[i]) == gm_dataset_row_size(rows[0])) continue;
        message(sides, path, gm_dataset_row_size(rows[i]), name, gm_dataset_row_size(rows[0]));
        status = 2;
        goto out;
    }
    const int grey = whole && most > 1 && most <= 255;
    if (whole && most > 255) {
        message("values of '%s' go to %g, expected bits, bytes or real numbers", name, most);
        status = 2;
        goto out;
    }
    d->classes = !whole ? 0 : d->grey && grey ? 256 : 2;
    for (int i = 0; !s && i < PARTS; i++) s = name_part(into[i], d, rows[i], i, grey && !d->grey);
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->path, sizeof d->path, "%s", folder);
out:
    for (int i = 0; i < PARTS; i++) gm_dataset_release(rows[i]);
    return run_failed(d->run, s) ? 1 : status;
}

/* data/mnist's neighbour. */
static const char *uci_folder(const struct options *o, char path[OPTIONS_PATH_SIZE])
{
    snprintf(path, OPTIONS_PATH_SIZE, "%s", o->data_default);
    char *slash = strrchr(path, '/');
    if (slash) snprintf(slash + 1, OPTIONS_PATH_SIZE - (size_t)(slash + 1 - path), "uci");
    return path;
}

/* Where the data lie, and their name; NULL: MNIST's files. OPTIONS_GO_ON, or 2, reported. */
static int choose(const struct density *d, const char **folder, const char **name,
                  char found[OPTIONS_PATH_SIZE])
{
    const struct options *o = &d->run->options;
    const int digits = !d->dataset || !strcmp(d->dataset, "mnist");
    char first[NAME_SIZE], other[NAME_SIZE];
    *folder = d->folder ? d->folder : o->data;
    *name = digits ? NULL : d->dataset;
    if (!d->folder && !options_given(o, "data")) {
        if (!digits) *folder = uci_folder(o, found);
        return OPTIONS_GO_ON;
    }
    if (!is_folder(*folder)) {
        if (digits) return OPTIONS_GO_ON;
        message("'%s' is no folder, so there is no --dataset %s in it", *folder, d->dataset);
        return 2;
    }
    if (d->dataset) {
        if (find_part(*folder, d->dataset, part_names[0], found)) *name = d->dataset;
        return OPTIONS_GO_ON;
    }
    const int count = list_names(*folder, first, other);
    if (count == 1) {
        *name = strcpy(found, first);
        return OPTIONS_GO_ON;
    }
    if (count == 0 && holds(*folder, "images-idx3-ubyte")) return OPTIONS_GO_ON;
    if (count == 0)
        message(
            "no data in '%s': expected are NAME-train, NAME-valid and NAME-test as IDX files, or "
            "MNIST's, plain or with .gz",
            *folder);
    else
        message("'%s' has several data sets (%s, %s, ...): choose one with --dataset", *folder,
                first, other);
    return 2;
}

/* With the defaults of the data set, unless it is looked at beside another one (`folder`). */
static int open_data(struct density *d)
{
    char found[OPTIONS_PATH_SIZE];
    const char *folder, *name;
    int status = choose(d, &folder, &name, found);
    if (status == OPTIONS_GO_ON && !d->folder)
        status = options_take_defaults(&d->run->options, name ? name : "mnist");
    if (status != OPTIONS_GO_ON) return status;
    return name ? open_name(d, folder, name) : open_mnist(d, folder);
}

int density_open(struct density *d)
{
    const int status = open_data(d);
    if (status != OPTIONS_GO_ON) {
        density_close(d);
        return status;
    }
    struct options *o = &d->run->options;
    const int64_t rows = gm_dataset_rows(d->train);
    d->width = gm_dataset_row_size(d->train);
    if (!d->height) {
        const int square = d->width == SIDE * SIDE;
        d->height = square ? SIDE : 1;
        d->across = square ? SIDE : d->width;
    }
    if (o->batch > rows) o->batch = rows;
    if (!o->quiet)
        message("%s: %" PRId64 " rows train, %" PRId64 " validate, %" PRId64 " test; %" PRId64
                " %s a row",
                d->name, rows, gm_dataset_rows(d->valid), gm_dataset_rows(d->test), d->width,
                d->classes == 2 ? "bits"
                : d->classes    ? "bytes"
                                : "numbers");
    return OPTIONS_GO_ON;
}
