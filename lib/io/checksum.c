/* checksum.c - CRC-32 of tensors (zlib's): every flipped bit, every burst of 32, and all but one in
 * 2^32 of other damages. */
#include "io/checksum.h"

#include <string.h>
#include <zlib.h>

#include "base/bytes.h"

#define DIGITS 8

uint32_t gm_checksum_of(const gm_archive_tensor *t)
{
    unsigned char size[8];
    uLong crc = crc32_z(0, (const unsigned char *)t->name, strlen(t->name) + 1);
    crc = crc32_z(crc, (const unsigned char *)t->type, strlen(t->type) + 1);
    for (int32_t i = 0; i < t->rank; i++) {
        gm_store_le64(size, (uint64_t)t->shape[i]);
        crc = crc32_z(crc, size, sizeof size);
    }
    return (uint32_t)crc32_z(crc, t->bytes, (size_t)t->size);
}

/* Eight digits as put_checksums of archive_write.c writes them. */
static int read_digits(const char *p, uint32_t *out)
{
    static const char digits[] = "0123456789abcdef";
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        const char *at = p[i] ? strchr(digits, p[i]) : NULL;
        if (!at) return 0;
        *out = *out << 4 | (uint32_t)(at - digits);
    }
    return 1;
}

static gm_status compare(gm_archive *a, const char *text)
{
    const int64_t length = (int64_t)strlen(text), one = DIGITS + 1;
    if ((length + 1) % one || (length + 1) / one != a->tensor_count)
        return gm_fail(
            a->ctx, GM_E_FORMAT,
            "%s: \"%s\" has %lld characters, expected %d digits for each of %lld tensors", a->name,
            GM_CHECKSUM_KEY, (long long)length, DIGITS, (long long)a->tensor_count);
    for (int64_t i = 0; i < a->tensor_count; i++) {
        const gm_archive_tensor *t = &a->tensors[i];
        const char *p = text + i * one;
        uint32_t wanted, found = gm_checksum_of(t);
        if (!read_digits(p, &wanted) || (p[DIGITS] && p[DIGITS] != ' '))
            return gm_fail(
                a->ctx, GM_E_FORMAT,
                "%s: \"%s\" is \"%.9s\" for tensor %.128s, expected 8 digits and a blank", a->name,
                GM_CHECKSUM_KEY, p, t->name);
        if (wanted != found)
            return gm_fail(a->ctx, GM_E_FORMAT,
                           "%s: tensor %.128s is damaged: its checksum is %08lx, expected %08lx",
                           a->name, t->name, (unsigned long)found, (unsigned long)wanted);
    }
    return GM_OK;
}

gm_status gm_checksum_check(gm_archive *a)
{
    int64_t at = 0;
    while (at < a->text_count && strcmp(a->texts[at].key, GM_CHECKSUM_KEY)) at++;
    if (at == a->text_count) return GM_OK;
    const gm_archive_text found = a->texts[at];
    /* A reader's archive is a frozen model's file, which was compared when the model was frozen:
     * its pages stay untouched until they are needed. */
    const gm_status status = a->lent && a->ctx->parent ? GM_OK : compare(a, found.text);
    memmove(a->texts + at, a->texts + at + 1, (size_t)(a->text_count - at - 1) * sizeof *a->texts);
    a->text_count--;
    gm_memory_put_text(&a->ctx->memory, found.key);
    gm_memory_put_text(&a->ctx->memory, found.text);
    return status;
}
