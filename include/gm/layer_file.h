/* gm/layer_file.h - layers and parameters in an archive (gm/archive.h), and so in a safetensors
 * file.
 *
 * Under a prefix ("", "encoder."), a layer is stored as texts "<prefix>type", "<prefix>in", ... and
 * arrays "<prefix>weight", ...; a sequence as "<prefix>type", "<prefix>count" and its parts under
 * "<prefix>0.", "<prefix>1.", ... A layer that occurs in a sequence more than once is stored once:
 * "<prefix>3.same" then names its first place ("0." under the same prefix).
 *
 * Statuses of every function: GM_E_INVALID for NULL, or a prefix of more than 63 characters;
 * GM_E_NOMEM. A NULL prefix is "". Arguments are borrowed for the call, and what is kept is copied.
 */
#ifndef GM_LAYER_FILE_H
#define GM_LAYER_FILE_H

#include "gm/archive.h"
#include "gm/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stores architecture, parameters and state (gm_layer_state). After a failure the archive may hold
 * a part of them. GM_E_UNSUPPORTED: it contains a host's layer whose type is not registered (the
 * type is in the line); GM_E_INVALID also: a name is taken already, another context; the error that
 * a sequence keeps; what a host's save callback returned. */
GM_API gm_status gm_archive_put_layer(gm_archive *archive, const char *prefix,
                                      const gm_layer *layer);

/* Makes the stored layer anew in the archive's context. The host need not know its architecture; it
 * only has to register layer types of its own first. Draws nothing from any random stream. The
 * archive is not trusted: stored sizes are compared with the stored arrays before memory is taken,
 * and nesting and the number of parts are limited as in gm_sequence_add. *out is NULL after a
 * failure. GM_E_FORMAT: entries missing, out of range, or not fitting each other; GM_E_UNSUPPORTED:
 * a type of layer that is neither built in nor registered (it is in the line); what a host's load
 * callback returned. */
GM_API gm_status gm_archive_get_layer(gm_layer **out, gm_archive *archive, const char *prefix);

/* How layers of a host's type (gm_layer_create_host) are saved to files and loaded from them. */
typedef struct gm_host_layer_type {
    size_t size;
    const char *type; /* as gm_host_layer's; copied */
    /* Puts what load needs into the archive, under prefix + a name that the host chooses ("type"
     * and "same" are reserved): sizes as texts, parameters with gm_archive_put_params, inner layers
     * with gm_archive_put_layer under a longer prefix (one that is also part of another layer
     * becomes a separate copy in the file). user: the layer's own pointer. */
    gm_status (*save)(void *user, const gm_layer *layer, gm_archive *archive, const char *prefix);
    /* Makes a layer of this type from the archive, in the archive's context. Do not trust the
     * archive: compare sizes with the stored arrays (gm_archive_get), or bound them. */
    gm_status (*load)(void *shared, gm_archive *archive, const char *prefix, gm_layer **layer);
    void *shared; /* passed to load */
} gm_host_layer_type;

#define GM_HOST_LAYER_TYPE_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_host_layer_type), NULL, NULL, NULL, NULL                                         \
    }

/* Lets layers of this type be saved and loaded in this context, alone or inside a model of any
 * family. The table is copied and stays registered as long as the context exists; what it points to
 * must stay valid as long. A callback that fails returns a status, with an error line set by
 * gm_context_fail or by the library call that failed. GM_E_INVALID also: an unknown size, save or
 * load NULL (the line names it), a type with characters that are not allowed, one of a built-in
 * layer, or one that is registered already. */
GM_API gm_status gm_context_register_layer(gm_context *context,
                                           const gm_host_layer_type *layer_type);

/* Stores the values of all parameters under prefix + their name in the set. GM_E_INVALID also: a
 * name is taken already. */
GM_API gm_status gm_archive_put_params(gm_archive *archive, const char *prefix,
                                       const gm_params *params);

/* Reads the values back into parameters of the same names and shapes; gradients are left alone.
 * Either all values are set or none. GM_E_FORMAT: a name is missing; GM_E_SHAPE: another shape
 * (both are in the line). */
GM_API gm_status gm_archive_get_params(gm_archive *archive, const char *prefix, gm_params *params);

#ifdef __cplusplus
}
#endif

#endif
