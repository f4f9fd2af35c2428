/* rehearse.h - all reading verbs of a model once, so that its memory is there. */
#ifndef GM_SERVE_REHEARSE_H
#define GM_SERVE_REHEARSE_H

#include "models/family.h"

/* Calls every verb that a reader has with `rows` rows, the model's parts included. Its random
 * stream, labels and log Z are as before. GM_E_NOMEM; other failures of verbs are theirs, and come
 * again when the host calls them. */
gm_status gm_rehearse(gm_model *model, int64_t rows);

/* Calls `use` for a model and for the models that are parts of it. */
void gm_each_part(gm_model *model, void (*use)(void *user, gm_model *part, int64_t rows),
                  void *user, int64_t rows);

#endif
