/* registry.c - tables that a host gave a context, by name. */
#include "base/registry.h"

#include "base/context.h"
#include "base/error.h"
#include "base/name.h"
#include "gm/extend.h"

#define NAME 32
#define MOST_BYTES 4096

struct gm_registry_entry {
    gm_registry_entry *next;
    char kind[NAME], name[NAME];
    void *table;
    size_t size; /* the table's first member */
};

const void *gm_context_registered(const gm_context *ctx, const char *kind, const char *name)
{
    if (!ctx || !kind || !name) return NULL;
    for (const gm_registry_entry *e = ctx->registry; e; e = e->next)
        if (!strcmp(e->kind, kind) && !strcmp(e->name, name)) return e->table;
    return NULL;
}

static gm_status check(gm_context *ctx, const char *kind, const char *name, size_t size)
{
    if (!gm_name_fits(kind, NAME))
        return gm_fail(ctx, GM_E_INVALID,
                       "register: kind is \"%.40s\", expected 1 to %d characters " GM_NAME_RULE,
                       kind, NAME - 1);
    if (!gm_name_fits(name, NAME))
        return gm_fail(ctx, GM_E_INVALID,
                       "register: name is \"%.40s\", expected 1 to %d characters " GM_NAME_RULE,
                       name, NAME - 1);
    if (size < sizeof size || size > MOST_BYTES)
        return gm_fail(ctx, GM_E_INVALID, "register: size of \"%s\" is %zu, expected %zu to %d",
                       name, size, sizeof size, MOST_BYTES);
    if (gm_context_registered(ctx, kind, name))
        return gm_fail(ctx, GM_E_INVALID,
                       "register: name is \"%s\", expected one that no %s of this context has",
                       name, kind);
    return GM_OK;
}

gm_status gm_context_register(gm_context *ctx, const char *kind, const char *name,
                              const void *table)
{
    if (!ctx || !kind || !name || !table)
        return gm_fail(ctx, GM_E_INVALID, "register: context, kind, name or table is NULL");
    size_t size;
    memcpy(&size, table, sizeof size);
    gm_status status;
    gm_registry_entry *entry = NULL;
    GM_TRY(check(ctx, kind, name, size));
    entry = gm_memory_get_zero(&ctx->memory, sizeof *entry);
    if (!entry) GM_TRY(gm_fail_memory(ctx, "register"));
    entry->size = size;
    entry->table = gm_memory_get(&ctx->memory, size);
    if (!entry->table) GM_TRY(gm_fail_memory(ctx, "register"));
    memcpy(entry->kind, kind, strlen(kind) + 1);
    memcpy(entry->name, name, strlen(name) + 1);
    memcpy(entry->table, table, size);
    entry->next = ctx->registry;
    ctx->registry = entry;
    return GM_OK;
out:
    gm_registry_free(entry, &ctx->memory);
    return status;
}

void gm_registry_free(gm_registry_entry *first, gm_memory *memory)
{
    while (first) {
        gm_registry_entry *next = first->next;
        gm_memory_put(memory, first->table, first->size);
        gm_memory_put(memory, first, sizeof *first);
        first = next;
    }
}
