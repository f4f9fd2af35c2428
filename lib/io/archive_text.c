/* archive_text.c - the texts of an archive. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "io/archive.h"
#include "io/checksum.h"

gm_status gm_archive_room_text(gm_archive *a)
{
    if (a->text_count < a->text_room) return GM_OK;
    const int64_t room = a->text_room ? 2 * a->text_room : 16;
    gm_archive_text *p = gm_memory_grow(&a->ctx->memory, a->texts, (size_t)a->text_room * sizeof *p,
                                        (size_t)room * sizeof *p);
    if (!p) return gm_fail_memory(a->ctx, "archive");
    a->texts = p;
    a->text_room = room;
    return GM_OK;
}

static int64_t place_of(const gm_archive *a, const char *key, int *found)
{
    int64_t low = 0, high = a->text_count;
    *found = 0;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(a->texts[middle].key, key);
        if (order == 0) *found = 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

gm_status gm_archive_set_text(gm_archive *a, const char *key, const char *text)
{
    static const char what[] = "archive_set_text";
    if (!a || !key || !text)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "%s: archive, key or text is NULL", what);
    gm_context *ctx = a->ctx;
    if (!key[0]) return gm_fail(ctx, GM_E_INVALID, "%s: the key is empty", what);
    if (!strcmp(key, GM_CHECKSUM_KEY))
        return gm_fail(ctx, GM_E_INVALID, "%s: the key %s belongs to the format", what, key);
    if (!gm_utf8_valid(key)) return gm_fail(ctx, GM_E_INVALID, "%s: the key is not UTF-8", what);
    if (!gm_utf8_valid(text))
        return gm_fail(ctx, GM_E_INVALID, "%s: the text of %s is not UTF-8", what, key);
    gm_status status = GM_OK;
    char *new_key = NULL, *new_text = gm_memory_copy_text(&ctx->memory, text);
    int found;
    const int64_t at = place_of(a, key, &found);
    if (!new_text) GM_TRY(gm_fail_memory(ctx, what));
    if (!found) {
        new_key = gm_memory_copy_text(&ctx->memory, key);
        if (!new_key) GM_TRY(gm_fail_memory(ctx, what));
        GM_TRY(gm_archive_room_text(a));
        memmove(a->texts + at + 1, a->texts + at, (size_t)(a->text_count - at) * sizeof *a->texts);
        a->texts[at].key = new_key;
        a->texts[at].text = NULL;
        a->text_count++;
    }
    gm_memory_put_text(&ctx->memory, a->texts[at].text);
    a->texts[at].text = new_text;
    return GM_OK;
out:
    gm_memory_put_text(&ctx->memory, new_key);
    gm_memory_put_text(&ctx->memory, new_text);
    return status;
}

gm_status gm_archive_set_int(gm_archive *a, const char *key, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return gm_archive_set_text(a, key, text);
}

gm_status gm_archive_set_real(gm_archive *a, const char *key, double value)
{
    char text[GM_NUMBER_TEXT];
    return gm_archive_set_text(a, key, gm_number_format(text, value));
}

gm_status gm_archive_get_text(const char **out, gm_archive *a, const char *key)
{
    if (out) *out = NULL;
    if (!a || !key || !out)
        return gm_fail(a ? a->ctx : NULL, GM_E_INVALID, "archive_get: archive, key or out is NULL");
    int found;
    const int64_t at = place_of(a, key, &found);
    if (!found) return gm_fail(a->ctx, GM_E_FORMAT, "%s: has no text \"%s\"", a->name, key);
    *out = a->texts[at].text;
    return GM_OK;
}

gm_status gm_archive_get_int(int64_t *out, gm_archive *a, const char *key)
{
    const char *text = NULL;
    if (out) *out = 0;
    gm_status status = gm_archive_get_text(out ? &text : NULL, a, key);
    if (status) return status;
    if (!gm_number_parse_int(text, out))
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: \"%s\" is \"%.64s\", expected a whole number",
                       a->name, key, text);
    return GM_OK;
}

gm_status gm_archive_get_real(double *out, gm_archive *a, const char *key)
{
    const char *text = NULL;
    if (out) *out = 0.0;
    gm_status status = gm_archive_get_text(out ? &text : NULL, a, key);
    if (status) return status;
    if (!gm_number_parse(text, out))
        return gm_fail(a->ctx, GM_E_FORMAT, "%s: \"%s\" is \"%.64s\", expected a number", a->name,
                       key, text);
    return GM_OK;
}

int32_t gm_archive_has(const gm_archive *a, const char *key)
{
    int found = 0;
    if (a && key) place_of(a, key, &found);
    return found;
}

int64_t gm_archive_text_count(const gm_archive *a)
{
    return a ? a->text_count : 0;
}

const char *gm_archive_text_key(const gm_archive *a, int64_t index)
{
    return a && index >= 0 && index < a->text_count ? a->texts[index].key : NULL;
}
