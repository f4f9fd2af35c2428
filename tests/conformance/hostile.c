/* hostile.c - a file that lies is refused, or what it gives can be used; without much memory. */
#include "hostile.h"

#include "allocator.h"

#define MOST_BYTES ((uint64_t)64 << 20) /* more than a thousand times what the file says */

typedef struct hoard {
    watched w;
    int refused; /* requests that would have been too much */
} hoard;

static void *hoard_allocate(void *user, size_t size, size_t align)
{
    hoard *h = user;
    if (size > MOST_BYTES || h->w.bytes + size > MOST_BYTES) {
        h->refused++;
        return NULL;
    }
    return watched_allocate(&h->w, size, align);
}

static void hoard_release(void *user, void *pointer, size_t size)
{
    watched_release(&((hoard *)user)->w, pointer, size);
}

typedef struct stage {
    hoard hoard;
    gm_context *ctx;
    hostile_load *load;
    const void *what;
    int every;
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
} stage;

static int stage_open(conformance *c, stage *s)
{
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    memset(s, 0, sizeof *s);
    (void)watched_begin(&s->hoard.w, -1);
    const gm_allocator host = { hoard_allocate, hoard_release, &s->hoard };
    options.allocator = &host;
    support_memory_folder();
    support_folder_make(s->folder);
    snprintf(s->path, sizeof s->path, "%s/model", s->folder);
    HOLDS(c, gm_context_create(&s->ctx, GM_HEADER_VERSION, &options) == GM_OK, "no context");
    return 1;
out:
    return 0;
}

static void stage_close(stage *s)
{
    gm_context_release(s->ctx);
    support_folder_remove(s->folder);
}

static int is_bad(gm_status status)
{
    return status == GM_E_FORMAT || status == GM_E_INVALID || status == GM_E_SHAPE ||
           status == GM_E_VERSION || status == GM_E_UNSUPPORTED || status == GM_E_NOMEM ||
           status == GM_E_IO || status == GM_E_STATE || status == GM_E_NUMERIC;
}

/* 1: loaded, 0: refused, -1: a note was made. */
static int load(conformance *c, stage *s, int run, const char *how, int64_t at)
{
    const int64_t blocks = s->hoard.w.live;
    s->hoard.refused = 0;
    const gm_status status = s->load(s->ctx, s->path, run, s->what);
    HOLDS(c, s->hoard.w.live == blocks && !s->hoard.w.faults,
          "%s %lld: %lld blocks left, %lld faults", how, (long long)at,
          (long long)(s->hoard.w.live - blocks), (long long)s->hoard.w.faults);
    HOLDS(c, !status || (is_bad(status) && gm_context_error(s->ctx)[0]), "%s %lld: %s: %s", how,
          (long long)at, gm_status_name(status), gm_context_error(s->ctx));
    HOLDS(c, run || !s->hoard.refused, "%s %lld: a file of few bytes asks for more than %llu: %s",
          how, (long long)at, (unsigned long long)MOST_BYTES, gm_context_error(s->ctx));
    return status == GM_OK;
out:
    return -1;
}

/* Where the header ends: its length is in the first eight bytes. */
static size_t header_of(const unsigned char *bytes, size_t size)
{
    size_t header = 8;
    for (int i = 0; i < 8; i++) header += (size_t)bytes[i] << (8 * i);
    return header < size ? header : size;
}

static size_t stride(const stage *s, size_t at, size_t header)
{
    return at < header ? (size_t)s->every : 97;
}

/* Cut short. */
static void cut(conformance *c, stage *s, const unsigned char *bytes, size_t size, size_t header)
{
    for (size_t at = 0; at < size; at += stride(s, at, header)) {
        support_file_write(s->path, bytes, at);
        const int answer = load(c, s, 1, "cut at byte", (int64_t)at);
        if (answer < 0) return;
        HOLDS(c, !answer, "a file cut at byte %zu of %zu is loaded", at, size);
    }
out:;
}

/* Bytes turned over, each in a way of its own. */
static void turn(conformance *c, stage *s, unsigned char *bytes, size_t size, size_t from,
                 size_t header, int checked)
{
    static const unsigned char ways[] = { 0x01, 0x80, 0xff, 0x20, 0x10, 0x04, 0x02 };
    for (size_t at = from; at < size; at += stride(s, at, header)) {
        const unsigned char held = bytes[at];
        bytes[at] = (unsigned char)(held ^ ways[at % sizeof ways]);
        support_file_write(s->path, bytes, size);
        bytes[at] = held;
        const int answer = load(c, s, 1, "turned at byte", (int64_t)at);
        if (answer < 0) return;
        HOLDS(c, !answer || !checked, "a file with byte %zu turned over, in a tensor, is loaded",
              at);
    }
out:;
}

/* With the checksums every byte of a tensor counts; without them files go further. */
static void turn_all(conformance *c, stage *s, unsigned char *bytes, size_t size, size_t header)
{
    turn(c, s, bytes, size, header, header, 1);
    HOLDS(c, support_forget_checksums(bytes, size) == (header < size),
          "checksums are there without tensors, or tensors without them");
    turn(c, s, bytes, size, 0, header, 0);
out:;
}

/* Each text of the file, in turn, something that it cannot or should not be. */
static void lie(conformance *c, stage *s, const unsigned char *bytes, size_t size)
{
    enum { FEW = 6 }; /* such numbers of samples or sweeps can be waited for */
    static const char *const lies[] = {
        "-1",
        "0",
        "",
        "x",
        "-9223372036854775808",
        "99999999999999999999",
        "1000000",
        "1500000000",
        "2147483647",
        "9223372036854775807",
        "1e308",
        "nan",
    };
    gm_archive *archive = NULL;
    char held[1024];
    support_file_write(s->path, bytes, size);
    SUCCEEDS(c, s->ctx, gm_archive_open(&archive, s->ctx, s->path));
    for (int64_t k = 0; k < gm_archive_text_count(archive); k++) {
        const char *key = gm_archive_text_key(archive, k), *text;
        SUCCEEDS(c, s->ctx, gm_archive_get_text(&text, archive, key));
        snprintf(held, sizeof held, "%s", text);
        if (strlen(text) >= sizeof held) continue;
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            SUCCEEDS(c, s->ctx, gm_archive_set_text(archive, key, lies[i]));
            SUCCEEDS(c, s->ctx, gm_archive_write(archive, s->path));
            if (load(c, s, i < FEW, key, (int64_t)i) < 0) goto out;
        }
        SUCCEEDS(c, s->ctx, gm_archive_set_text(archive, key, held));
    }
    SUCCEEDS(c, s->ctx, gm_archive_write(archive, s->path));
    HOLDS(c, load(c, s, 1, "put back", 0) == 1, "with all texts put back: %s",
          gm_context_error(s->ctx));
out:
    gm_archive_release(archive);
}

void hostile_files(conformance *c, const unsigned char *bytes, size_t size, int every,
                   hostile_load *load_it, const void *what)
{
    unsigned char *copy = malloc(size);
    const size_t header = header_of(bytes, size);
    stage s;
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    if (stage_open(c, &s)) {
        s.load = load_it;
        s.what = what;
        s.every = every;
        cut(c, &s, bytes, size, header);
        turn_all(c, &s, copy, size, header);
        lie(c, &s, bytes, size);
    }
    stage_close(&s);
    free(copy);
}
