/* read.c - how rows come out: mapped down to the source, fetched, changed on the way up. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "data/dataset.h"

typedef struct read_job {
    const gm_dataset *ds;
    const int64_t *rows;
    int64_t pass;
    float *out;
    int fetched;         /* a callback has filled out already */
    _Atomic int64_t bad; /* the first row that failed, as a position in rows */
} read_job;

gm_status gm_dataset_check_finite(const gm_dataset *ds, gm_block *b)
{
    int64_t n = b->count * ds->row_size;
    if (ds->ctx->kernels->all_finite(b->out, n)) return GM_OK;
    int64_t at = 0;
    while (at < n - 1 && isfinite(b->out[at])) at++;
    b->bad = at / ds->row_size;
    return gm_fail(b->ctx, GM_E_NUMERIC, "%s: row %lld, column %lld is %g, expected a finite float",
                   ds->kind->name, (long long)b->rows[b->bad], (long long)(at % ds->row_size),
                   (double)b->out[at]);
}

static gm_status read_block(const gm_dataset *ds, gm_block *b, int fetched)
{
    if (!ds->parent) {
        if (fetched) return gm_dataset_check_finite(ds, b);
        return ds->kind->apply(ds, b);
    }
    int64_t mapped[GM_ROWS];
    gm_block below = *b;
    if (ds->kind->map) {
        ds->kind->map(ds, b->rows, b->count, mapped);
        below.rows = mapped;
    }
    gm_status status = read_block(ds->parent, &below, fetched);
    b->bad = below.bad;
    if (!status && ds->kind->apply) status = ds->kind->apply(ds, b);
    return status;
}

static void read_shard(void *arg, int64_t begin, int64_t end)
{
    read_job *job = arg;
    gm_block b = {
        job->rows + begin, end - begin, job->pass, job->out + begin * job->ds->row_size, NULL, 0
    };
    if (!read_block(job->ds, &b, job->fetched)) return;
    int64_t bad = begin + b.bad, known = atomic_load(&job->bad);
    while (bad < known && !atomic_compare_exchange_weak(&job->bad, &known, bad)) continue;
}

static const gm_dataset *source_of(const gm_dataset *ds)
{
    while (ds->parent) ds = ds->parent;
    return ds;
}

/* Asks the host for the rows, by their numbers in the source. */
static gm_status fetch(gm_dataset *ds, const int64_t *rows, int64_t count, int64_t pass, float *out)
{
    const gm_dataset *source = source_of(ds);
    gm_context *ctx = ds->ctx;
    int mapped = 0;
    for (const gm_dataset *d = ds; d->parent; d = d->parent) mapped |= d->kind->map != NULL;
    if (mapped) {
        if (ds->scratch_room < count) {
            int64_t *room = gm_memory_get(&ctx->memory, (size_t)count * sizeof *room);
            if (!room) return gm_fail_memory(ctx, "dataset_read");
            gm_memory_put(&ctx->memory, ds->scratch,
                          (size_t)ds->scratch_room * sizeof *ds->scratch);
            ds->scratch = room;
            ds->scratch_room = count;
        }
        memcpy(ds->scratch, rows, (size_t)count * sizeof *rows);
        for (const gm_dataset *d = ds; d->parent; d = d->parent)
            if (d->kind->map) d->kind->map(d, ds->scratch, count, ds->scratch);
        rows = ds->scratch;
    }
    /* The host's own line stands, if it left one. */
    char first = ctx->error[0];
    ctx->error[0] = '\0';
    gm_status status = source->of.callback.read(source->of.callback.user, rows, count, pass, out);
    if (status && !ctx->error[0])
        return gm_fail(ctx, status, "dataset_read: the host's callback returned %d", (int)status);
    if (!ctx->error[0]) ctx->error[0] = first;
    return status;
}

/* Workers do not write error lines: the first row that failed is read once more, alone, with a
 * place for one. */
static gm_status explain(gm_dataset *ds, const int64_t *rows, int64_t bad, int64_t pass, float *out,
                         int fetched)
{
    gm_block b = { rows + bad, 1, pass, out + bad * ds->row_size, ds->ctx, 0 };
    gm_status status = GM_OK;
    if (fetched) GM_TRY(fetch(ds, b.rows, 1, pass, b.out));
    GM_TRY(read_block(ds, &b, fetched));
    status = gm_fail(ds->ctx, GM_E_NUMERIC,
                     "dataset_read: row %lld was not usable, but was when read again: the data "
                     "changes while it is read",
                     (long long)rows[bad]);
out:
    return status;
}

static gm_status read_rows(gm_dataset *ds, const int64_t *rows, int64_t count, int64_t pass,
                           float *out)
{
    int fetched = source_of(ds)->kind == &gm_dataset_callback;
    if (fetched) {
        gm_status status = fetch(ds, rows, count, pass, out);
        if (status) return status;
    }
    /* The cut depends on the row's size alone. */
    int64_t grain = GM_ROWS_GRAIN / ds->row_size;
    if (grain < 1) grain = 1;
    if (grain > GM_ROWS) grain = GM_ROWS;
    read_job job = { ds, rows, pass, out, fetched, count };
    gm_team_range(ds->ctx->team, count, grain, read_shard, &job);
    int64_t bad = atomic_load(&job.bad);
    return bad < count ? explain(ds, rows, bad, pass, out, fetched) : GM_OK;
}

gm_status gm_dataset_read(gm_dataset *ds, const int64_t *rows, int64_t count, int64_t pass,
                          float *values)
{
    if (!ds) return GM_E_INVALID;
    if (count && (!rows || !values))
        return gm_fail(ds->ctx, GM_E_INVALID, "dataset_read: rows or values is NULL");
    if (pass < 0)
        return gm_fail(ds->ctx, GM_E_INVALID, "dataset_read: pass is %lld, expected at least 0",
                       (long long)pass);
    gm_status status = gm_dataset_check_rows(ds, "dataset_read", rows, count);
    if (status || !count) return status;
    if (ds->reading)
        return gm_fail(ds->ctx, GM_E_STATE,
                       "dataset_read: called from inside the callback of this dataset");
    gm_dataset_retain(ds); /* a callback may release it */
    ds->reading = 1;
    status = read_rows(ds, rows, count, pass, values);
    ds->reading = 0;
    gm_dataset_release(ds);
    return status;
}

gm_status gm_dataset_read_tensor(gm_tensor **out, gm_dataset *ds, int64_t begin, int64_t count,
                                 int64_t pass)
{
    if (out) *out = NULL;
    if (!out || !ds)
        return gm_fail(ds ? ds->ctx : NULL, GM_E_INVALID,
                       "dataset_read_tensor: out or dataset is NULL");
    if (begin < 0 || count < 0 || begin > ds->rows || count > ds->rows - begin)
        return gm_fail(ds->ctx, GM_E_INVALID,
                       "dataset_read_tensor: %lld rows from %lld on, there are %lld",
                       (long long)count, (long long)begin, (long long)ds->rows);
    gm_status status = GM_OK;
    gm_tensor *t = NULL;
    gm_dataset_retain(ds);
    int64_t *rows = NULL, shape[GM_MAX_ROW_RANK + 1] = { count };
    memcpy(shape + 1, ds->row_shape, sizeof ds->row_shape);
    GM_TRY(gm_tensor_create(&t, ds->ctx, ds->row_rank + 1, shape));
    if (count) {
        rows = gm_memory_get(&ds->ctx->memory, (size_t)count * sizeof *rows);
        if (!rows) GM_TRY(gm_fail_memory(ds->ctx, "dataset_read_tensor"));
        for (int64_t i = 0; i < count; i++) rows[i] = begin + i;
        GM_TRY(gm_dataset_read(ds, rows, count, pass, gm_tensor_data(t)));
    }
    *out = t;
    t = NULL;
out:
    if (rows) gm_memory_put(&ds->ctx->memory, rows, (size_t)count * sizeof *rows);
    gm_tensor_release(t);
    gm_dataset_release(ds);
    return status;
}

gm_status gm_dataset_mean(gm_dataset *ds, float *mean)
{
    if (!ds || !mean)
        return gm_fail(ds ? ds->ctx : NULL, GM_E_INVALID, "dataset_mean: dataset or mean is NULL");
    const int64_t size = ds->row_size;
    const int64_t most = ds->rows < GM_ROWS ? ds->rows : GM_ROWS;
    const size_t block_bytes = (size_t)(most * size) * sizeof(float);
    const size_t sum_bytes = (size_t)size * sizeof(double);
    gm_memory *m = &ds->ctx->memory;
    gm_status status = GM_OK;
    gm_dataset_retain(ds);
    float *block = gm_memory_get(m, block_bytes);
    double *sum = gm_memory_get_zero(m, sum_bytes);
    if (!block || !sum) GM_TRY(gm_fail_memory(ds->ctx, "dataset_mean"));
    for (int64_t begin = 0; begin < ds->rows; begin += most) {
        int64_t rows[GM_ROWS];
        const int64_t n = ds->rows - begin < most ? ds->rows - begin : most;
        for (int64_t i = 0; i < n; i++) rows[i] = begin + i;
        GM_TRY(gm_dataset_read(ds, rows, n, 0, block));
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < size; j++) sum[j] += (double)block[i * size + j];
    }
    for (int64_t j = 0; j < size; j++) mean[j] = (float)(sum[j] / (double)ds->rows);
out:
    gm_memory_put(m, block, block_bytes);
    gm_memory_put(m, sum, sum_bytes);
    gm_dataset_release(ds);
    return status;
}
