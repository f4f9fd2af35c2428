/* sbn_chains.c - chains of Gibbs sampling that belong to the rows of a dataset and go on from epoch
 * to epoch: kept as bits, and in a file. */
#include <string.h>

#include "models/belief/sbn_net.h"
#include "models/family.h"

/* Bytes of a row: whether its chains have begun, then their states, eight units in each byte. */
static int64_t line_of(gm_sbn *sbn, int64_t k)
{
    return 1 + (k * gm_sbn_hidden_units(sbn) + 7) / 8;
}

void gm_sbn_chains_end(gm_context *ctx, gm_sbn_chains *c)
{
    gm_context_free(ctx, c->bytes, (size_t)(c->rows * c->line));
    *c = (gm_sbn_chains){ 0 };
}

gm_status gm_sbn_chains_open(gm_sbn *sbn, int64_t rows, int64_t k)
{
    gm_context *ctx = gm_sbn_model(sbn)->ctx;
    gm_sbn_chains *c = gm_sbn_kept(sbn);
    const int64_t line = line_of(sbn, k);
    if (c->rows == rows && c->line == line) return GM_OK;
    uint8_t *bytes =
        rows > INT64_MAX / line ? NULL : gm_context_allocate(ctx, (size_t)(rows * line));
    if (!bytes)
        return gm_model_fail(ctx, GM_E_NOMEM,
                             "sbn: no memory for the chains of %lld rows, %lld bytes each",
                             (long long)rows, (long long)line);
    memset(bytes, 0, (size_t)(rows * line));
    gm_sbn_chains_end(ctx, c);
    *c = (gm_sbn_chains){ bytes, rows, line, NULL };
    return GM_OK;
}

void gm_sbn_chains_resume(gm_sbn *sbn, const gm_batch *batch, int64_t k, float *states)
{
    const gm_sbn_chains *c = gm_sbn_kept(sbn);
    const int64_t each = k * gm_sbn_hidden_units(sbn);
    for (int64_t r = 0; r < batch->count; r++) {
        const uint8_t *line = c->bytes + batch->index[r] * c->line;
        for (int64_t i = 0; line[0] && i < each; i++)
            states[r * each + i] = (float)(line[1 + i / 8] >> (i % 8) & 1);
    }
}

void gm_sbn_chains_keep(gm_sbn *sbn, const gm_batch *batch, int64_t k)
{
    gm_sbn_chains *c = gm_sbn_kept(sbn);
    const int64_t each = k * gm_sbn_hidden_units(sbn);
    for (int64_t r = 0; c->states && r < batch->count; r++) {
        uint8_t *line = c->bytes + batch->index[r] * c->line;
        memset(line, 0, (size_t)c->line);
        line[0] = 1;
        for (int64_t i = 0; i < each; i++)
            line[1 + i / 8] = (uint8_t)(line[1 + i / 8] | (c->states[r * each + i] > 0) << (i % 8));
    }
    c->states = NULL;
}

gm_status gm_sbn_chains_put(gm_archive *archive, gm_sbn *sbn)
{
    const gm_sbn_chains *c = gm_sbn_kept(sbn);
    gm_status status = GM_OK;
    if (!c->rows) return status;
    GM_TRY(gm_archive_set_int(archive, "sbn.chains.rows", c->rows));
    GM_TRY(gm_archive_put_bytes(archive, "sbn.chains", c->bytes, (size_t)(c->rows * c->line)));
out:
    return status;
}

gm_status gm_sbn_chains_get(gm_archive *archive, gm_sbn *sbn, int64_t k)
{
    const void *bytes;
    size_t size;
    int64_t rows;
    const int64_t line = line_of(sbn, k);
    gm_status status = GM_OK;
    if (!gm_archive_has(archive, "sbn.chains.rows")) return status;
    GM_TRY(gm_archive_get_int(&rows, archive, "sbn.chains.rows"));
    GM_TRY(gm_archive_get_bytes(&bytes, &size, archive, "sbn.chains"));
    if (rows < 1 || rows != (int64_t)size / line || size % (size_t)line)
        GM_TRY(gm_model_fail(
            gm_archive_context(archive), GM_E_SHAPE,
            "sbn: load: sbn.chains has %lld bytes, which are not %lld rows of %lld bytes",
            (long long)size, (long long)rows, (long long)line));
    GM_TRY(gm_sbn_chains_open(sbn, rows, k));
    memcpy(gm_sbn_kept(sbn)->bytes, bytes, size);
out:
    return status;
}
