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
 * of them. GM_E_UNSUPPORTED: a host's layer is in it (its type is in the line); GM_E_INVALID also:
 * a name is taken already, another context; the error that a sequence keeps. */
GM_API gm_status gm_archive_put_layer(gm_archive *archive, const char *prefix,
                                      const gm_layer *layer);

/* Makes the layer that was stored, without the host's help, in the archive's context. Draws nothing
 * from any random stream. The archive is not trusted: stored sizes are compared with the stored
 * arrays before memory is taken, and nesting and the number of parts are limited as in
 * gm_sequence_add. *out is NULL after a failure. GM_E_FORMAT: entries missing, out of range, or not
 * fitting each other; GM_E_UNSUPPORTED: a type of layer that this library does not know (it is in
 * the line). */
GM_API gm_status gm_archive_get_layer(gm_layer **out, gm_archive *archive, const char *prefix);

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
