/* frozen.h - what frozen models and their readers need of a model: its archive, and what a reader
 * refuses. */
#ifndef GM_MODELS_FROZEN_H
#define GM_MODELS_FROZEN_H

#include "models/family.h"

/* What gm_model_save writes, or gm_model_save_checkpoint, as an archive of the caller's; its
 * failures, which name `verb`. And the model in an archive; `path` names it in error lines. */
gm_status gm_model_archive(gm_archive **out, gm_model *model, const char *verb, int checkpoint);
gm_status gm_model_from_archive(gm_model **out, gm_context *ctx, gm_archive *archive,
                                const char *path);

/* GM_E_STATE for a reader, whose weights stay as they are. */
gm_status gm_model_check_trains(gm_model *model, const char *verb);
/* GM_E_INVALID: more rows than a reader's memory is for. */
gm_status gm_model_check_count(gm_model *model, const char *verb, int64_t count);
/* Where objects are made that belong to a model: not in a reader's own context, which is full. */
gm_context *gm_model_host(const gm_model *model);
#endif
