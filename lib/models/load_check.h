/* load_check.h - what a file may hold before a model is made of it. */
#ifndef GM_MODELS_LOAD_CHECK_H
#define GM_MODELS_LOAD_CHECK_H

#include "gm/archive.h"
#include "gm/model.h"

/* As gm_model_load_with says of its options; `path` names the file in error lines. GM_E_NUMERIC:
 * weights that are not finite, with tensor and place; GM_E_INVALID: more work than is allowed, with
 * key and value. */
gm_status gm_model_check_file(gm_context *ctx, gm_archive *archive, const char *path,
                              const gm_load_options *options);

#endif
