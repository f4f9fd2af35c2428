/* idx.h - the reader of IDX files, also from memory, for the fuzzer. */
#ifndef GM_DATA_IDX_H
#define GM_DATA_IDX_H

#include "data/gzip_reader.h"
#include "gm/data.h"

gm_status gm_idx_read(gm_dataset **out, gm_context *ctx, gm_gzip_reader *in);

#endif
