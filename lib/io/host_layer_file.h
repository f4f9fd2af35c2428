/* host_layer_file.h - layers of the host's types in an archive, through the context's registry. */
#ifndef GM_IO_HOST_LAYER_FILE_H
#define GM_IO_HOST_LAYER_FILE_H

#include "gm/layer_file.h"

/* Both GM_E_UNSUPPORTED: the type is not registered (it is in the line). */
gm_status gm_host_layer_save(const gm_layer *layer, gm_archive *archive, const char *prefix);
gm_status gm_host_layer_load(gm_layer **out, gm_archive *archive, const char *prefix,
                             const char *type);

#endif
