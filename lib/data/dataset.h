/* dataset.h - the inside of a dataset: a source, or a view that maps rows or changes values. */
#ifndef GM_DATA_DATASET_H
#define GM_DATA_DATASET_H

#include "base/context.h"
#include "base/error.h"
#include "gm/data.h"
#include "kernels/kernels.h"

/* Rows that go through the chain of views together: their mapped numbers lie on the stack. */
#define GM_ROWS 64
/* Values that make a block worth a worker's while. */
#define GM_ROWS_GRAIN 16384

/* A block of rows on its way out. `rows` are the numbers that the layer at hand knows them by. */
typedef struct gm_block {
    const int64_t *rows;
    int64_t count, pass;
    float *out;
    gm_context *ctx; /* where an error line goes; NULL in workers, which must not write there */
    int64_t bad;     /* set on failure: position in the block of the first row that failed */
} gm_block;

/* A kind of layer. Every function may be NULL. */
typedef struct gm_dataset_kind {
    const char *name;
    /* A view's: parent[i] = the parent's number of rows[i]; the arrays may be the same. */
    void (*map)(const gm_dataset *ds, const int64_t *rows, int64_t count, int64_t *parent);
    /* A source's: writes the rows; a view's: changes them in place. */
    gm_status (*apply)(const gm_dataset *ds, gm_block *b);
    void (*destroy)(gm_dataset *ds);
} gm_dataset_kind;

struct gm_dataset {
    gm_context *ctx; /* retained */
    int64_t owners;
    const gm_dataset_kind *kind;
    gm_dataset *parent; /* retained; NULL for a source */
    int32_t depth;      /* views below */
    int32_t row_rank;
    int64_t row_shape[GM_MAX_ROW_RANK];
    int64_t row_size;
    int64_t rows;
    double bound; /* no value is larger in size; INFINITY: not known, so that a scale has to look */
    char *path;   /* a source's: the file that it was read from; NULL: of none */
    int32_t *labels; /* attached here; NULL: see the parent */
    char *labels_path;
    int64_t classes;
    int64_t *scratch; /* mapped rows for a callback */
    int64_t scratch_room;
    int32_t reading; /* gm_dataset_read is at work */
    union {
        struct {
            const float *data;
            size_t bytes; /* owned; 0: wrapped */
            void (*release)(void *user, const float *data);
            void *user;
        } floats;
        struct {
            const uint8_t *data;
            size_t bytes;
            float scale, shift;
        } bytes;
        struct {
            gm_status (*read)(void *user, const int64_t *rows, int64_t count, int64_t pass,
                              float *out);
            void (*release)(void *user);
            void *user;
        } callback;
        struct {
            int64_t *rows;
            size_t bytes;
        } subset;
        struct {
            int64_t begin;
        } range;
        struct {
            float factor, shift;
        } scale;
        struct {
            float at;
        } threshold;
        struct {
            uint64_t key;
            int32_t mode;
        } binarise;
    } of;
};

extern const gm_dataset_kind gm_dataset_callback;

/* A source's handle, with its shape checked and *count values in all; kind and `of` are still to be
 * set. */
gm_status gm_dataset_make_source(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                 const int64_t *shape, int64_t *count);
/* Sources that take over memory of the context: `bytes` of it at data. On failure it stays the
 * caller's. The value of a byte is byte * scale + shift. */
gm_status gm_dataset_adopt_floats(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                  const int64_t *shape, const float *data, size_t bytes);
gm_status gm_dataset_adopt_bytes(gm_dataset **out, gm_context *ctx, const char *what, int32_t rank,
                                 const int64_t *shape, const uint8_t *data, size_t bytes,
                                 float scale, float shift);
/* A view's handle, with the parent's shape and rows. */
gm_status gm_dataset_make_view(gm_dataset **out, gm_dataset *parent, const char *what,
                               const gm_dataset_kind *kind);

/* The file of a source. GM_E_NOMEM. */
gm_status gm_dataset_set_path(gm_dataset *ds, const char *path);

/* GM_E_INVALID unless all rows exist. */
gm_status gm_dataset_check_rows(const gm_dataset *ds, const char *what, const int64_t *rows,
                                int64_t count);
/* GM_E_NUMERIC, with the place, unless all of the block is finite. */
gm_status gm_dataset_check_finite(const gm_dataset *ds, gm_block *b);

#endif
