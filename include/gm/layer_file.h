/* gm/layer_file.h - layers and parameters in an archive (gm/archive.h), so in a safetensors file.
 *
 * Under a prefix ("", "encoder."), a layer is texts "<prefix>type", "<prefix>in", ... and arrays
 * "<prefix>weight", ...; a sequence is "<prefix>type", "<prefix>count" and its parts under
 * "<prefix>0.", "<prefix>1.", ... A layer that is in a sequence a second time is stored once:
 * "<prefix>3.same" then names the place of the first ("0." under the same prefix).
 *
 * Every function: GM_E_INVALID for NULL, or a prefix of more than 63 characters; GM_E_NOMEM. prefix
 * NULL is "". Everything is borrowed for the call, and copied.
 */
#ifndef GM_LAYER_FILE_H
#define GM_LAYER_FILE_H

#include "gm/archive.h"
#include "gm/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stores architecture, parameters and kept statistics. After a failure the archive may hold a part
 * of them. GM_E_UNSUPPORTED: a host's layer is in it whose type is not registered (it is in the
 * line); GM_E_INVALID also: a name is taken already, another context; the error that a sequence
 * keeps; what a host's save returned. */
GM_API gm_status gm_archive_put_layer(gm_archive *archive, const char *prefix,
                                      const gm_layer *layer);

/* Makes the layer that was stored, in the archive's context: without the host's help, but for its
 * own types, which it has registered. Draws nothing from any random stream. The archive is not
 * trusted: stored sizes are compared with the stored arrays before memory is taken, and nesting and
 * the number of parts are limited as in gm_sequence_add. *out is NULL after a failure. GM_E_FORMAT:
 * entries missing, out of range, or not fitting each other; GM_E_UNSUPPORTED: a type of layer that
 * neither the library knows nor the host registered (it is in the line); what a host's load
 * returned. */
GM_API gm_status gm_archive_get_layer(gm_layer **out, gm_archive *archive, const char *prefix);

/* How layers of a host's type (gm_layer_create_host) get into files and out of them. */
typedef struct gm_host_layer_type {
    size_t size;
    const char *type; /* as gm_host_layer's; copied */
    /* Puts what load needs under prefix + a name of the host's ("type" and "same" are the
     * library's): sizes as texts, parameters with gm_archive_put_params, inner layers with
     * gm_archive_put_layer under a longer prefix (one that is a part elsewhere too becomes a layer
     * of its own in the file). user: the layer's own. */
    gm_status (*save)(void *user, const gm_layer *layer, gm_archive *archive, const char *prefix);
    /* Makes a layer of this type in the archive's context out of it. Nothing in the archive is to
     * be trusted: sizes are to be compared with the stored arrays (gm_archive_get), or bounded. */
    gm_status (*load)(void *shared, gm_archive *archive, const char *prefix, gm_layer **layer);
    void *shared; /* for load */
} gm_host_layer_type;

#define GM_HOST_LAYER_TYPE_INIT                                                                    \
    {                                                                                              \
        sizeof(gm_host_layer_type), NULL, NULL, NULL, NULL                                         \
    }

/* Lets layers of this type be saved and loaded in this context, alone or inside a model of any
 * family. The table is copied, and stays until the context goes; what it points to must live as
 * long. A callback that fails returns a status, with a line by gm_context_fail or of the call that
 * failed. GM_E_INVALID also: an unknown size, save or load NULL (the line names it), a bad type, or
 * one that is a built-in layer's or registered already. */
GM_API gm_status gm_context_register_layer(gm_context *context,
                                           const gm_host_layer_type *layer_type);

/* Stores the values of all parameters under prefix + the name in the set. GM_E_INVALID also: a name
 * is taken. */
GM_API gm_status gm_archive_put_params(gm_archive *archive, const char *prefix,
                                       const gm_params *params);

/* Reads the values back into parameters of the same names and shapes; gradients stay. All or
 * nothing. GM_E_FORMAT: a name is missing; GM_E_SHAPE: another shape (both are in the line). */
GM_API gm_status gm_archive_get_params(gm_archive *archive, const char *prefix, gm_params *params);

#ifdef __cplusplus
}
#endif

#endif
