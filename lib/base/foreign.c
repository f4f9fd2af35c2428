/* foreign.c - files of other kinds by their first bytes, which are mostly those that file(1) knows.
 */
#include "base/foreign.h"

#include <string.h>

#include "base/error.h"

typedef struct beginning {
    const char *bytes;
    int64_t count;
    const char *kind;
} beginning;

#define BEGINNING(bytes, kind)                                                                     \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, kind                                                             \
    }

static const beginning beginnings[] = {
    BEGINNING("version https://git-lfs.github.com/",
              "a git-LFS pointer, not the content (git lfs pull fetches it)"),
    BEGINNING("version https://hawser.github.com/",
              "a git-LFS pointer, not the content (git lfs pull fetches it)"),
    BEGINNING("/annex/objects/", "a git-annex pointer, not the content (git annex get fetches it)"),
    BEGINNING("PK\003\004", "a zip archive (torch.save and numpy.savez write such)"),
    BEGINNING("PK\005\006", "an empty zip archive"),
    BEGINNING("\037\213", "compressed with gzip"),
    BEGINNING("BZh", "compressed with bzip2"),
    BEGINNING("\3757zXZ\0", "compressed with xz"),
    BEGINNING("\050\265\057\375", "compressed with zstd"),
    BEGINNING("\004\042\115\030", "compressed with lz4"),
    BEGINNING("\x93NUMPY", "a NumPy array (.npy)"),
    BEGINNING("\x89HDF\r\n\032\n", "an HDF5 file"),
    BEGINNING("\x89PNG\r\n\032\n", "a PNG picture"),
    BEGINNING("\377\330\377", "a JPEG picture"),
    BEGINNING("GIF8", "a GIF picture"),
    BEGINNING("MATLAB 5.0 MAT-file", "a MATLAB file"),
    BEGINNING("GGUF", "a GGUF file"),
    BEGINNING("PAR1", "a Parquet file"),
    BEGINNING("%PDF-", "a PDF document"),
    BEGINNING("<?xml", "an XML document"),
};

/* The bytes begin with the text, whose letters are small, in whatever case. */
static int begins_with(const unsigned char *bytes, int64_t count, const char *text)
{
    for (int64_t i = 0; text[i]; i++) {
        if (i >= count) return 0;
        const int c = bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] - 'A' + 'a' : bytes[i];
        if (c != text[i]) return 0;
    }
    return 1;
}

/* After a byte order mark, blanks and comments, as browsers do. */
static int is_web_page(const unsigned char *p, int64_t n)
{
    int64_t at = n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3) ? 3 : 0;
    for (;;) {
        while (at < n && strchr(" \t\r\n", p[at]) && p[at]) at++;
        if (!begins_with(p + at, n - at, "<!--")) break;
        while (at < n && !begins_with(p + at, n - at, "-->")) at++;
        at += 3;
        if (at >= n) return 1;
    }
    return begins_with(p + at, n - at, "<!doctype html") || begins_with(p + at, n - at, "<html") ||
           begins_with(p + at, n - at, "<head") || begins_with(p + at, n - at, "<body");
}

/* PROTO 2 to 5 and an operation. Small whole numbers of 8 bytes begin so too, and are recognised by
 * their high bytes, unless a frame (protocol 4) begins. */
static int is_pickle(const unsigned char *p, int64_t n)
{
    if (n < 3 || p[0] != 0x80 || p[1] < 2 || p[1] > 5) return 0;
    return n < 8 || p[2] == 0x95 || p[4] || p[5] || p[6] || p[7];
}

static int is_tar(const unsigned char *p, int64_t n)
{
    return n >= 262 && !memcmp(p + 257, "ustar", 5);
}

/* Deflate with a window of 32 KB, and a checksum over both bytes (RFC 1950). */
static int is_zlib(const unsigned char *p, int64_t n)
{
    return n >= 2 && p[0] == 0x78 && (p[0] * 256 + p[1]) % 31 == 0;
}

static int is_idx(const unsigned char *p, int64_t n)
{
    return n >= 8 && !p[0] && !p[1] && p[2] >= 8 && p[2] <= 14 && p[2] != 10 && p[3] && p[3] < 5;
}

static int is_safetensors(const unsigned char *p, int64_t n)
{
    return n >= 10 && !p[5] && !p[6] && !p[7] && p[8] == '{' && (p[9] == '"' || p[9] == '}');
}

const char *gm_foreign_kind(const unsigned char *bytes, int64_t count)
{
    if (count < 1) return "an empty file";
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        const beginning *b = &beginnings[i];
        if (count >= b->count && !memcmp(bytes, b->bytes, (size_t)b->count)) return b->kind;
    }
    if (is_web_page(bytes, count)) return "a web page (HTML)";
    if (is_pickle(bytes, count)) return "a Python pickle";
    if (is_tar(bytes, count)) return "a tar archive";
    if (is_zlib(bytes, count)) return "compressed with zlib";
    if (is_idx(bytes, count)) return "an IDX file";
    if (is_safetensors(bytes, count)) return "a safetensors file";
    return NULL;
}

gm_status gm_foreign_check(gm_context *ctx, const char *path, const unsigned char *bytes,
                           int64_t count, const char *expected)
{
    const char *kind = gm_foreign_kind(bytes, count);
    if (!kind || !strcmp(kind, expected)) return GM_OK; /* the latter: damaged, or cut short */
    return gm_fail(ctx, GM_E_FORMAT, "%s: is %s, expected %s", path, kind, expected);
}
