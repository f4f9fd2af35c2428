/* registry.h - tables that a host gave a context, by name. */
#ifndef GM_BASE_REGISTRY_H
#define GM_BASE_REGISTRY_H

#include "base/memory.h"

typedef struct gm_registry_entry gm_registry_entry;

void gm_registry_free(gm_registry_entry *first, gm_memory *memory);

#endif
