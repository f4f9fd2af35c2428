/* test_context.c - statuses, versions, options, the allocator, the error line, and who may go
 * before whom. */
#include <limits.h>

#include "allocator.h"
#include "gm/extend.h"
#include "gm/params.h"
#include "gm/rng.h"
#include "gm/tape.h"
#include "gm/tensor.h"
#include "support.h"

START_TEST(statuses_have_names)
{
    static const struct {
        gm_status status;
        int32_t number;
        const char *name;
    } all[] = {
        { GM_OK, 0, "GM_OK" },
        { GM_E_NOMEM, -1, "GM_E_NOMEM" },
        { GM_E_INVALID, -2, "GM_E_INVALID" },
        { GM_E_SHAPE, -3, "GM_E_SHAPE" },
        { GM_E_STALE, -4, "GM_E_STALE" },
        { GM_E_STATE, -5, "GM_E_STATE" },
        { GM_E_UNSUPPORTED, -6, "GM_E_UNSUPPORTED" },
        { GM_E_IO, -7, "GM_E_IO" },
        { GM_E_FORMAT, -8, "GM_E_FORMAT" },
        { GM_E_VERSION, -9, "GM_E_VERSION" },
        { GM_E_NUMERIC, -10, "GM_E_NUMERIC" },
        { GM_E_CANCELLED, -11, "GM_E_CANCELLED" },
        { GM_E_INTERNAL, -12, "GM_E_INTERNAL" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_int_eq(all[i].status, all[i].number);
        ck_assert_str_eq(gm_status_name(all[i].status), all[i].name);
    }
    ck_assert_str_eq(gm_status_name(1), "GM_E_UNKNOWN");
    ck_assert_str_eq(gm_status_name(-13), "GM_E_UNKNOWN");
    ck_assert_str_eq(gm_status_name(INT32_MIN), "GM_E_UNKNOWN");
}
END_TEST

START_TEST(version_number_and_text_agree)
{
    char text[32];
    int32_t v = gm_version();
    ck_assert_int_eq(v, GM_HEADER_VERSION);
    snprintf(text, sizeof text, "%d.%d.%d", v / 1000000, v / 1000 % 1000, v % 1000);
    ck_assert_str_eq(gm_version_text(), text);
}
END_TEST

START_TEST(create_refuses_other_versions)
{
    static const int32_t refused[] = { -1, INT32_MIN, INT32_MAX, GM_HEADER_VERSION + 1000,
                                       GM_HEADER_VERSION + 1000000 };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        gm_context *ctx = (gm_context *)&refused;
        ck_assert_int_eq(gm_context_create(&ctx, refused[i], NULL), GM_E_VERSION);
        ck_assert_ptr_null(ctx);
    }
    /* An older minor version, and a newer patch, fit. */
    static const int32_t fit[] = { GM_HEADER_VERSION, GM_HEADER_VERSION + 1,
                                   GM_VERSION_MAJOR * 1000000 };
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++) {
        gm_context *ctx = NULL;
        ck_assert_int_eq(gm_context_create(&ctx, fit[i], NULL), GM_OK);
        ck_assert_ptr_nonnull(ctx);
        gm_context_release(ctx);
    }
}
END_TEST

START_TEST(defaults_are_seed_0_and_one_thread)
{
    gm_context *ctx = NULL;
    ck_assert_int_eq(gm_context_create(NULL, GM_HEADER_VERSION, NULL), GM_E_INVALID);
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, NULL), GM_OK);
    ck_assert_int_eq(gm_context_threads(ctx), 1);
    ck_assert_uint_eq(gm_context_seed(ctx), 0);
    ck_assert_str_eq(gm_context_error(ctx), "");
    gm_context_release(ctx);
    ck_assert_int_eq(gm_context_threads(NULL), 0);
    ck_assert_uint_eq(gm_context_seed(NULL), 0);
    ck_assert_ptr_nonnull(gm_context_error(NULL));
    gm_context_retain(NULL);
    gm_context_release(NULL);
}
END_TEST

START_TEST(thread_counts_have_limits)
{
    static const int32_t bad[] = { 0, -1, INT32_MIN, 257, 10000, INT32_MAX };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = (gm_context *)&o;
        o.threads = bad[i];
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_E_INVALID);
        ck_assert_ptr_null(ctx);
        if (bad[i] == 0) continue; /* 0 is legal for blas_threads: leave it alone */
        o.threads = 1;
        o.blas_threads = bad[i];
        ctx = (gm_context *)&o;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_E_INVALID);
        ck_assert_ptr_null(ctx);
    }
    static const int32_t good[] = { 1, 2, 7, 256 };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        gm_context *ctx = support_context(UINT64_MAX, good[i]);
        ck_assert_int_eq(gm_context_threads(ctx), good[i]);
        ck_assert_uint_eq(gm_context_seed(ctx), UINT64_MAX);
        gm_context_release(ctx);
    }
}
END_TEST

/* The options struct of a newer library. */
typedef struct longer_options {
    gm_context_options known;
    unsigned char later[24];
} longer_options;

START_TEST(unknown_option_bytes_must_be_zero)
{
    static const gm_context_options init = GM_CONTEXT_OPTIONS_INIT;
    longer_options o;
    gm_context *ctx = NULL;
    memset(&o, 0, sizeof o);
    o.known = init;
    o.known.size = sizeof o;
    o.known.seed = 9;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o.known), GM_OK);
    ck_assert_uint_eq(gm_context_seed(ctx), 9);
    gm_context_release(ctx);
    for (size_t i = 0; i < sizeof o.later; i++) {
        o.later[i] = 1;
        ctx = (gm_context *)&o;
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o.known), GM_E_INVALID);
        ck_assert_ptr_null(ctx);
        o.later[i] = 0;
    }
}
END_TEST

START_TEST(shorter_options_fill_their_part)
{
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.size = offsetof(gm_context_options, threads);
    o.seed = 11;
    o.threads = -5; /* behind the end of this caller's struct */
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    ck_assert_uint_eq(gm_context_seed(ctx), 11);
    ck_assert_int_eq(gm_context_threads(ctx), 1);
    gm_context_release(ctx);
    static const size_t bad[] = { 0,
                                  1,
                                  sizeof(size_t) - 1,
                                  sizeof(size_t) + 1,
                                  offsetof(gm_context_options, threads) - 4,
                                  offsetof(gm_context_options, log) + 4,
                                  sizeof o - 1,
                                  4097,
                                  SIZE_MAX };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.size = bad[i];
        ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_E_INVALID);
        ck_assert_ptr_null(ctx);
    }
}
END_TEST

START_TEST(options_read_follows_the_rule)
{
    typedef struct host_options {
        size_t size;
        double a, b;
    } host_options;
    typedef struct newer_options {
        host_options known;
        int64_t later;
    } newer_options;
    gm_context *ctx = support_context(0, 1);
    host_options into = { sizeof into, 1, 2 };
    ck_assert_int_eq(gm_options_read(ctx, "thing", &into, sizeof into, NULL), GM_OK);
    ck_assert(into.a == 1 && into.b == 2 && into.size == sizeof into);
    host_options older = { offsetof(host_options, b), 5, 6 };
    ck_assert_int_eq(gm_options_read(ctx, "thing", &into, sizeof into, &older), GM_OK);
    ck_assert(into.a == 5 && into.b == 2 && into.size == sizeof into);
    newer_options newer = { { sizeof newer, 7, 8 }, 0 };
    ck_assert_int_eq(gm_options_read(ctx, "thing", &into, sizeof into, &newer), GM_OK);
    ck_assert(into.a == 7 && into.b == 8 && into.size == sizeof into);
    newer.later = 1;
    newer.known.a = 9;
    support_fails(ctx, gm_options_read(ctx, "thing", &into, sizeof into, &newer), GM_E_INVALID,
                  "thing");
    ck_assert(into.a == 7); /* untouched */
    const size_t halves[] = { sizeof(size_t) + 4, offsetof(host_options, b) + 1, sizeof older - 4 };
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        char text[40];
        older.size = halves[i]; /* ends within a member */
        snprintf(text, sizeof text, "size is %zu", halves[i]);
        support_fails(ctx, gm_options_read(ctx, "thing", &into, sizeof into, &older), GM_E_INVALID,
                      text);
        ck_assert(into.a == 7 && into.b == 8);
    }
    older.size = 3;
    support_fails(ctx, gm_options_read(ctx, "thing", &into, sizeof into, &older), GM_E_INVALID,
                  "size is 3");
    support_fails(ctx, gm_options_read(ctx, NULL, NULL, 8, &older), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_options_read(NULL, "thing", &into, sizeof into, &older), GM_E_INVALID);
    gm_context_release(ctx);
}
END_TEST

START_TEST(allocator_sees_every_byte)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &a;
    o.threads = 3;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    memset(&a, 0, sizeof a); /* it was copied */
    gm_memory_counters before, during, after;
    gm_context_memory(&before, ctx);
    ck_assert_int_eq((int64_t)before.allocations - (int64_t)before.releases, w.live);
    ck_assert_uint_eq(before.bytes, w.bytes);
    void *p = gm_context_allocate(ctx, 1000), *q = gm_context_allocate(ctx, 1);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(q);
    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    ck_assert_uint_eq((uintptr_t)q % 64, 0);
    gm_context_memory(&during, ctx);
    ck_assert_uint_eq(during.allocations, before.allocations + 2);
    ck_assert_uint_eq(during.bytes, before.bytes + 1001);
    gm_context_free(ctx, p, 1000);
    gm_context_free(ctx, q, 1);
    gm_context_free(ctx, NULL, 77);
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(after.bytes, before.bytes);
    ck_assert_uint_eq(after.releases, before.releases + 2);
    ck_assert_uint_ge(after.peak_bytes, before.bytes + 1001);
    ck_assert_ptr_null(gm_context_allocate(ctx, 0));
    ck_assert_ptr_null(gm_context_allocate(ctx, SIZE_MAX));
    ck_assert_ptr_null(gm_context_allocate(NULL, 8));
    gm_context_free(NULL, NULL, 8);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
    gm_context_memory(&after, NULL);
    ck_assert(!after.allocations && !after.releases && !after.bytes && !after.peak_bytes);
    gm_context_memory(NULL, NULL);
}
END_TEST

START_TEST(half_an_allocator_is_refused)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1), half = a;
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &half;
    half.allocate = NULL;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_E_INVALID);
    half = a;
    half.release = NULL;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_E_INVALID);
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(w.calls, 0);
}
END_TEST

/* What the log callback got. */
typedef struct told {
    int32_t level, lines;
    char line[512];
} told;

static void tell(void *user, int32_t level, const char *line)
{
    told *t = user;
    t->level = level;
    t->lines++;
    snprintf(t->line, sizeof t->line, "%s", line);
}

static void refused_with(int32_t version, const gm_context_options *options, gm_status status,
                         const char *text)
{
    told *t = options->log_user;
    gm_context *ctx = (gm_context *)t;
    memset(t, 0, sizeof *t);
    ck_assert_int_eq(gm_context_create(&ctx, version, options), status);
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(t->lines, text ? 1 : 0);
    if (!text) return;
    ck_assert_int_eq(t->level, GM_LOG_ERROR);
    ck_assert_msg(support_says(t->line, text), "no \"%s\" in \"%s\"", text, t->line);
}

START_TEST(create_says_why_it_fails)
{
    told t;
    watched w;
    gm_allocator a = watched_begin(&w, -1), half = a;
    longer_options longer;
    char text[64];
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.log = tell;
    o.log_user = &t;
    const gm_context_options init = o;

    snprintf(text, sizeof text, "header_version is %d", GM_HEADER_VERSION + 1000000);
    refused_with(GM_HEADER_VERSION + 1000000, &o, GM_E_VERSION, text);
    snprintf(text, sizeof text, "(%d)", GM_HEADER_VERSION);
    refused_with(-1, &o, GM_E_VERSION, text);
    memset(&longer, 0, sizeof longer);
    longer.known = init;
    longer.known.size = sizeof longer;
    refused_with(GM_HEADER_VERSION + 1000000, &longer.known, GM_E_VERSION, "header_version");
    longer.later[3] = 1;
    snprintf(text, sizeof text, "byte %zu", sizeof o + 3);
    refused_with(GM_HEADER_VERSION, &longer.known, GM_E_INVALID, text);
    o.threads = 257;
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, "threads is 257");
    o = init;
    o.blas_threads = -2;
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, "blas_threads is -2");
    o = init;
    o.allocator = &half;
    half.allocate = NULL;
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, "allocate is NULL");
    half = a;
    half.release = NULL;
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, "release is NULL");
    o.allocator = &a;
    o.threads = 3;
    for (int64_t n = 0; n < 3; n++) { /* the context, the team, its workers */
        w.calls = 0;
        w.fail_at = n;
        refused_with(GM_HEADER_VERSION, &o, GM_E_NOMEM, "no memory");
        ck_assert(watched_clean(&w));
    }
    ck_assert_int_eq(gm_context_create(NULL, GM_HEADER_VERSION, &init), GM_E_INVALID);
    ck_assert(support_says(t.line, "out is NULL"));
}
END_TEST

START_TEST(create_believes_nothing_in_options_of_an_impossible_size)
{
    told t;
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.log = tell;
    o.log_user = &t;
    o.threads = 0;
    static const size_t bad[] = { 0, sizeof(size_t) - 1, 4097, SIZE_MAX };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.size = bad[i];
        refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, NULL);
    }
    o.size = offsetof(gm_context_options, log); /* ends before log */
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, NULL);
    o.size = sizeof o;
    o.log = NULL;
    refused_with(GM_HEADER_VERSION, &o, GM_E_INVALID, NULL);
}
END_TEST

START_TEST(create_survives_every_failing_allocation)
{
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        watched w;
        gm_allocator a = watched_begin(&w, n);
        gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
        gm_context *ctx = (gm_context *)&w;
        o.allocator = &a;
        o.threads = 2;
        gm_status status = gm_context_create(&ctx, GM_HEADER_VERSION, &o);
        if (status == GM_OK) {
            gm_context_release(ctx);
            ck_assert(watched_clean(&w));
            break;
        }
        ck_assert_int_eq(status, GM_E_NOMEM);
        ck_assert_ptr_null(ctx);
        ck_assert(watched_clean(&w));
        failures++;
        ck_assert_int_lt(failures, 100);
    }
    ck_assert_int_gt(failures, 0);
}
END_TEST

START_TEST(error_line_is_one_line_of_at_most_511_bytes)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &a;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    char line[2000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    line[3] = '\n';
    line[5] = '\r';
    int64_t calls = w.calls;
    ck_assert_int_eq(gm_context_fail(ctx, GM_E_CANCELLED, line), GM_E_CANCELLED);
    ck_assert_int_eq(w.calls, calls); /* reporting allocates nothing */
    const char *error = gm_context_error(ctx);
    ck_assert_uint_eq(strlen(error), 511);
    ck_assert_ptr_null(strpbrk(error, "\r\n"));
    ck_assert_int_eq(strncmp(error, "xxx x xx", 8), 0);
    /* A directive is text like any other, and the line itself may be given. */
    ck_assert_int_eq(gm_context_fail(ctx, GM_E_IO, "100%s %n"), GM_E_IO);
    ck_assert_str_eq(gm_context_error(ctx), "100%s %n");
    gm_context_fail(ctx, GM_E_IO, gm_context_error(ctx));
    ck_assert_str_eq(gm_context_error(ctx), "100%s %n");
    /* A NaN has no sign that means anything; a name may have the letters. */
    gm_context_fail(ctx, GM_E_IO, "a is -nan, b is -1, c-nan, -nan");
    ck_assert_str_eq(gm_context_error(ctx), "a is nan, b is -1, c-nan, nan");
    gm_context_fail(ctx, GM_E_IO, "100%s %n");
    /* A success leaves it alone. */
    gm_rng *rng = NULL;
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 1), GM_OK);
    ck_assert_str_eq(gm_context_error(ctx), "100%s %n");
    gm_rng_release(rng);
    ck_assert_int_eq(gm_context_fail(ctx, GM_E_IO, NULL), GM_E_IO);
    ck_assert_str_eq(gm_context_error(ctx), "");
    ck_assert_int_eq(gm_context_fail(NULL, GM_E_IO, "lost"), GM_E_IO);
    gm_context_release(ctx);
}
END_TEST

typedef struct heard {
    int32_t count, level;
    char line[600];
} heard;

static void listen(void *user, int32_t level, const char *line)
{
    heard *h = user;
    h->count++;
    h->level = level;
    snprintf(h->line, sizeof h->line, "%s", line);
}

START_TEST(log_goes_to_the_host)
{
    heard h = { 0, -1, "" };
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.log = listen;
    o.log_user = &h;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    int32_t before = h.count;
    gm_context_log(ctx, GM_LOG_WARNING, "50% done");
    ck_assert_int_eq(h.count, before + 1);
    ck_assert_int_eq(h.level, GM_LOG_WARNING);
    ck_assert_str_eq(h.line, "50% done");
    gm_context_log(ctx, GM_LOG_INFO, NULL);
    ck_assert_int_eq(h.count, before + 2);
    ck_assert_int_eq(h.level, GM_LOG_INFO);
    gm_context_release(ctx);
    ctx = support_context(0, 1); /* silent */
    gm_context_log(ctx, GM_LOG_INFO, "nobody listens");
    gm_context_release(ctx);
    gm_context_log(NULL, GM_LOG_INFO, "nobody at all");
    ck_assert_int_eq(h.count, before + 2);
}
END_TEST

START_TEST(describe_tells_what_runs)
{
    gm_context *ctx = support_context(0, 2);
    gm_context_description d = GM_CONTEXT_DESCRIPTION_INIT;
    ck_assert_int_eq(gm_context_describe(&d, ctx), GM_OK);
    ck_assert_uint_eq(d.size, sizeof d);
    ck_assert_int_eq(d.threads, 2);
    ck_assert_int_ge(d.blas_threads, 0);
    ck_assert_uint_gt(strnlen(d.blas, sizeof d.blas), 0);
    ck_assert_uint_lt(strnlen(d.blas, sizeof d.blas), sizeof d.blas);
    ck_assert_uint_lt(strnlen(d.blas_kernels, sizeof d.blas_kernels), sizeof d.blas_kernels);
    ck_assert_uint_lt(strnlen(d.hint, sizeof d.hint), sizeof d.hint);
    ck_assert(!strcmp(d.instruction_set, "baseline") || !strcmp(d.instruction_set, "x86-64-v3") ||
              !strcmp(d.instruction_set, "x86-64-v4"));
    /* An older caller's struct is filled as far as it goes. */
    gm_context_description older;
    memset(&older, 0x5a, sizeof older);
    older.size = offsetof(gm_context_description, blas_kernels);
    ck_assert_int_eq(gm_context_describe(&older, ctx), GM_OK);
    ck_assert_str_eq(older.blas, d.blas);
    ck_assert_int_eq(older.blas_kernels[0], 0x5a);
    static const size_t bad[] = { 0,
                                  sizeof(size_t) - 1,
                                  sizeof(size_t) + 8,
                                  offsetof(gm_context_description, blas_kernels) - 8,
                                  sizeof d - 8,
                                  sizeof d + 1,
                                  SIZE_MAX };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        d.size = bad[i];
        support_fails(ctx, gm_context_describe(&d, ctx), GM_E_INVALID, "size");
    }
    support_fails(ctx, gm_context_describe(NULL, ctx), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_context_describe(&d, NULL), GM_E_INVALID);
    gm_context_release(ctx);
}
END_TEST

START_TEST(blas_threads_are_set_and_told)
{
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    heard h = { 0, -1, "" };
    gm_context_description d = GM_CONTEXT_DESCRIPTION_INIT;
    o.blas_threads = 1;
    o.log = listen;
    o.log_user = &h;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    ck_assert_int_eq(gm_context_describe(&d, ctx), GM_OK);
    /* A BLAS without that control is a warning, not an error. */
    if (!h.count)
        ck_assert_int_eq(d.blas_threads, 1);
    else
        ck_assert_int_eq(h.level, GM_LOG_WARNING);
    gm_context_release(ctx);
}
END_TEST

/* One of each object of the lower levels, hanging together. */
enum { CONTEXT, RNG, CHILD, TENSOR, VIEW, TAPE, PARAMS, OBJECTS };

static void make_objects(void *all[OBJECTS], const gm_context_options *o)
{
    static const int64_t shape[2] = { 3, 4 };
    gm_context *ctx = NULL;
    gm_rng *rng = NULL, *child = NULL;
    gm_tensor *tensor = NULL, *view = NULL;
    gm_tape *tape = NULL;
    gm_params *params = NULL;
    gm_param *param = NULL;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, o), GM_OK);
    ck_assert_int_eq(gm_rng_create(&rng, ctx, 1), GM_OK);
    ck_assert_int_eq(gm_rng_split(&child, rng), GM_OK);
    ck_assert_int_eq(gm_tensor_create(&tensor, ctx, 2, shape), GM_OK);
    ck_assert_int_eq(gm_tensor_rows_view(&view, tensor, 1, 3), GM_OK);
    ck_assert_int_eq(gm_tape_create(&tape, ctx, rng), GM_OK);
    ck_assert_int_eq(gm_params_create(&params, ctx), GM_OK);
    ck_assert_int_eq(gm_param_create(&param, ctx, "w", 2, shape), GM_OK);
    ck_assert_int_eq(gm_params_add(params, NULL, param), GM_OK);
    gm_input(tape, view);
    gm_parameter(tape, param);
    gm_randn(tape, 2, shape);
    ck_assert_int_eq(gm_tape_status(tape), GM_OK);
    gm_param_release(param);
    all[CONTEXT] = ctx;
    all[RNG] = rng;
    all[CHILD] = child;
    all[TENSOR] = tensor;
    all[VIEW] = view;
    all[TAPE] = tape;
    all[PARAMS] = params;
}

static void release_object(void *all[OBJECTS], int which)
{
    switch (which) {
    case CONTEXT:
        gm_context_release(all[which]);
        break;
    case RNG:
    case CHILD:
        gm_rng_release(all[which]);
        break;
    case TENSOR:
    case VIEW:
        gm_tensor_release(all[which]);
        break;
    case TAPE:
        gm_tape_release(all[which]);
        break;
    default:
        gm_params_release(all[which]);
        break;
    }
}

START_TEST(any_order_of_release_is_legal)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    o.allocator = &a;
    int order[OBJECTS], at[OBJECTS] = { 0 };
    for (int i = 0; i < OBJECTS; i++) order[i] = i;
    int64_t orders = 0;
    /* Heap's algorithm: all 7! orders. */
    for (int i = 0; i < OBJECTS;) {
        if (i == 0 || at[i] < i) {
            if (i) {
                int j = i % 2 ? at[i] : 0, t = order[j];
                order[j] = order[i];
                order[i] = t;
                at[i]++;
                i = 0;
            }
            void *all[OBJECTS];
            o.threads = orders % 100 == 0 ? 2 : 1; /* starting threads is slow */
            make_objects(all, &o);
            for (int k = 0; k < OBJECTS; k++) {
                ck_assert_int_gt(w.live, 0);
                release_object(all, order[k]);
            }
            ck_assert(watched_clean(&w));
            orders++;
            i = 1;
        } else {
            at[i++] = 0;
        }
    }
    ck_assert_int_eq(orders, 5040);
}
END_TEST

START_TEST(retain_adds_an_owner)
{
    watched w;
    gm_allocator a = watched_begin(&w, -1);
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    gm_context *ctx = NULL;
    o.allocator = &a;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &o), GM_OK);
    gm_context_retain(ctx);
    gm_context_release(ctx);
    ck_assert_int_eq(gm_context_threads(ctx), 1);
    ck_assert_int_gt(w.live, 0);
    gm_context_release(ctx);
    ck_assert(watched_clean(&w));
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("context");
    TCase *t = tcase_create("context");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, statuses_have_names);
    tcase_add_test(t, version_number_and_text_agree);
    tcase_add_test(t, create_refuses_other_versions);
    tcase_add_test(t, defaults_are_seed_0_and_one_thread);
    tcase_add_test(t, thread_counts_have_limits);
    tcase_add_test(t, unknown_option_bytes_must_be_zero);
    tcase_add_test(t, shorter_options_fill_their_part);
    tcase_add_test(t, options_read_follows_the_rule);
    tcase_add_test(t, allocator_sees_every_byte);
    tcase_add_test(t, half_an_allocator_is_refused);
    tcase_add_test(t, create_says_why_it_fails);
    tcase_add_test(t, create_believes_nothing_in_options_of_an_impossible_size);
    tcase_add_test(t, create_survives_every_failing_allocation);
    tcase_add_test(t, error_line_is_one_line_of_at_most_511_bytes);
    tcase_add_test(t, log_goes_to_the_host);
    tcase_add_test(t, describe_tells_what_runs);
    tcase_add_test(t, blas_threads_are_set_and_told);
    tcase_add_test(t, any_order_of_release_is_legal);
    tcase_add_test(t, retain_adds_an_owner);
    suite_add_tcase(s, t);
    return s;
}
