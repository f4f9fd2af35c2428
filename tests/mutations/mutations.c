/* mutations.c - files of every family whose numbers, names, shapes and values are changed at
 * random, by their structure: the checksums fit again, so what is changed is met where a model is
 * made of it. Each is refused with a status and a line or gives a model that can be used; loading
 * takes less than 64 MB and half a second of the processor, and gives all memory back.
 *
 * MUTATIONS says how many (2000), MUTATIONS_SECONDS for how long instead, MUTATIONS_SEED which
 * (those of the clock). A file that is at fault is left in the present folder as mutation.fault. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "allocator.h"
#include "families.h"
#include "gm/archive.h"

#define MOST_BYTES ((uint64_t)64 << 20)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOST_SECONDS 10.0
#else
#define MOST_SECONDS 0.5
#endif
#define MOST_WORK 50 /* what a loaded model may take for a row */
#define MOST_ROW 4096
static const family_size size = { 6, 4, 2 };

/* --- Chance (xorshift64, Marsaglia 2003). */

static uint64_t state;

static uint64_t chance(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

/* --- Files as lists of texts and tensors. */

typedef struct text {
    char key[160], text[4096];
} text;

typedef struct tensor {
    char name[160];
    int is_bytes;
    int32_t rank;
    int64_t shape[GM_MAX_RANK], count;
    unsigned char *data; /* [count] of floats, or of bytes */
} tensor;

#define MOST_TEXTS 200
#define MOST_TENSORS 200
typedef struct content {
    int64_t texts, tensors;
    text *text;
    tensor *tensor;
} content;

static size_t width(const tensor *t)
{
    return t->is_bytes ? 1 : sizeof(float);
}

static void read_content(content *c, gm_context *ctx, const char *path)
{
    gm_archive *a;
    support_ok(ctx, gm_archive_open(&a, ctx, path));
    c->texts = gm_archive_text_count(a);
    c->tensors = gm_archive_tensor_count(a);
    ck_assert(c->texts <= MOST_TEXTS && c->tensors <= MOST_TENSORS);
    c->text = calloc(MOST_TEXTS, sizeof *c->text);
    c->tensor = calloc(MOST_TENSORS, sizeof *c->tensor);
    for (int64_t i = 0; i < c->texts; i++) {
        const char *value;
        snprintf(c->text[i].key, sizeof c->text[i].key, "%s", gm_archive_text_key(a, i));
        support_ok(ctx, gm_archive_get_text(&value, a, c->text[i].key));
        snprintf(c->text[i].text, sizeof c->text[i].text, "%s", value);
    }
    for (int64_t i = 0; i < c->tensors; i++) {
        tensor *t = &c->tensor[i];
        const void *bytes = NULL;
        const float *floats = NULL;
        size_t length;
        snprintf(t->name, sizeof t->name, "%s", gm_archive_tensor_name(a, i));
        t->is_bytes = !strcmp(gm_archive_tensor_type(a, i), "U8");
        t->count = 1;
        if (t->is_bytes) {
            support_ok(ctx, gm_archive_get_bytes(&bytes, &length, a, t->name));
            t->rank = 1;
            t->count = t->shape[0] = (int64_t)length;
        } else {
            support_ok(ctx, gm_archive_get(&t->rank, &floats, a, t->name, t->shape));
            for (int32_t k = 0; k < t->rank; k++) t->count *= t->shape[k];
            bytes = floats;
        }
        t->data = malloc((size_t)t->count * width(t) + 1);
        memcpy(t->data, bytes, (size_t)t->count * width(t));
    }
    gm_archive_release(a);
}

static void free_content(content *c)
{
    for (int64_t i = 0; i < c->tensors; i++) free(c->tensor[i].data);
    free(c->text);
    free(c->tensor);
}

static void copy_content(content *to, const content *from)
{
    *to = *from;
    to->text = malloc(MOST_TEXTS * sizeof *to->text);
    to->tensor = malloc(MOST_TENSORS * sizeof *to->tensor);
    memcpy(to->text, from->text, MOST_TEXTS * sizeof *to->text);
    memcpy(to->tensor, from->tensor, MOST_TENSORS * sizeof *to->tensor);
    for (int64_t i = 0; i < to->tensors; i++) {
        const tensor *t = &from->tensor[i];
        to->tensor[i].data = malloc((size_t)t->count * width(t) + 1);
        memcpy(to->tensor[i].data, t->data, (size_t)t->count * width(t));
    }
}

/* What cannot be written (a name twice) is left out. */
static void write_content(const content *c, gm_context *ctx, const char *path)
{
    gm_archive *a;
    support_ok(ctx, gm_archive_create(&a, ctx));
    for (int64_t i = 0; i < c->texts; i++)
        (void)gm_archive_set_text(a, c->text[i].key, c->text[i].text);
    for (int64_t i = 0; i < c->tensors; i++) {
        const tensor *t = &c->tensor[i];
        if (t->is_bytes)
            (void)gm_archive_put_bytes(a, t->name, t->data, (size_t)t->count);
        else
            (void)gm_archive_put(a, t->name, t->rank, t->shape, (const float *)(void *)t->data);
    }
    support_ok(ctx, gm_archive_write(a, path));
    gm_archive_release(a);
}

/* --- Mutations. */

static void change_number(text *t)
{
    static const char *const odd[] = { "0",
                                       "-1",
                                       "1",
                                       "2",
                                       "3",
                                       "7",
                                       "64",
                                       "1000",
                                       "65536",
                                       "1000000",
                                       "1500000000",
                                       "2147483647",
                                       "2147483648",
                                       "4611686018427387904",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e308",
                                       "1e-320",
                                       "-0",
                                       "0.5",
                                       "nan",
                                       "inf",
                                       "-inf",
                                       "",
                                       " 1",
                                       "1 ",
                                       "0x10",
                                       "x" };
    const uint64_t kind = chance(4);
    if (kind < 2)
        snprintf(t->text, sizeof t->text, "%s", odd[chance(sizeof odd / sizeof *odd)]);
    else if (kind == 2) /* beside what it was */
        snprintf(t->text, sizeof t->text, "%lld",
                 (long long)((uint64_t)strtoll(t->text, NULL, 10) + chance(7) - 3));
    else
        snprintf(t->text, sizeof t->text, "%lld",
                 (long long)((uint64_t)(strtoll(t->text, NULL, 10) / 4) * (1 + chance(12))));
}

/* One digit or letter of a name becomes another. */
static void change_name(char *name)
{
    const size_t length = strlen(name);
    if (!length) return;
    char *at = &name[chance(length)];
    *at = "0123456789abcdefgz._-"[chance(21)];
}

static void change_text(content *c)
{
    if (!c->texts) return;
    text *t = &c->text[chance((uint64_t)c->texts)], *other = &c->text[chance((uint64_t)c->texts)];
    switch (chance(8)) {
    case 0:
        *t = c->text[--c->texts];
        break;
    case 1:
        memcpy(t->text, other->text, sizeof t->text);
        break;
    case 2:
        change_name(t->key);
        break;
    case 3:
        change_name(t->text);
        break;
    default:
        change_number(t);
    }
}

/* So many values more or fewer; new ones are zeros. */
static void resize(tensor *t, int64_t count)
{
    unsigned char *data = calloc((size_t)count + 1, width(t));
    memcpy(data, t->data, (size_t)(count < t->count ? count : t->count) * width(t));
    free(t->data);
    t->data = data;
    t->count = count;
}

static void change_shape(tensor *t)
{
    if (t->rank < 1 || t->is_bytes) {
        resize(t, (int64_t)chance(20));
        t->rank = 1;
        t->shape[0] = t->count;
        return;
    }
    const uint64_t axis = chance((uint64_t)t->rank);
    if (chance(4) == 0 && t->rank > 1) { /* flat */
        t->rank = 1;
        t->shape[0] = t->count;
        return;
    }
    t->shape[axis] += (int64_t)chance(5) - 2;
    if (t->shape[axis] < 0 || chance(8) == 0) t->shape[axis] = 0;
    int64_t count = 1;
    for (int32_t k = 0; k < t->rank; k++) count *= t->shape[k];
    resize(t, count);
}

static void change_values(tensor *t)
{
    static const float odd[] = { 0, -0.0f, 1, -1, 2, 1e30f, -1e30f, 1e-40f, 3e38f, 0.5f };
    if (!t->count) return;
    const uint64_t times = 1 + chance(4);
    for (uint64_t i = 0; i < times; i++) {
        const uint64_t at = chance((uint64_t)t->count);
        float value = odd[chance(sizeof odd / sizeof *odd)];
        if (chance(12) == 0) value = NAN;
        if (t->is_bytes)
            t->data[at] = (unsigned char)chance(256);
        else
            memcpy(t->data + at * sizeof value, &value, sizeof value);
    }
}

static void change_tensor(content *c)
{
    if (!c->tensors) return;
    const uint64_t at = chance((uint64_t)c->tensors), with = chance((uint64_t)c->tensors);
    tensor *t = &c->tensor[at], *other = &c->tensor[with];
    char name[sizeof t->name];
    switch (chance(6)) {
    case 0:
        free(t->data);
        *t = c->tensor[--c->tensors];
        break;
    case 1:
        change_name(t->name);
        break;
    case 2:
        memcpy(name, t->name, sizeof name);
        memcpy(t->name, other->name, sizeof name);
        memcpy(other->name, name, sizeof name);
        break;
    case 3:
        change_values(t);
        break;
    default:
        change_shape(t);
    }
}

/* --- Loading. */

typedef struct hoard {
    watched w;
    int refused;
} hoard;

static void *hoard_allocate(void *user, size_t bytes, size_t align)
{
    hoard *h = user;
    if (bytes > MOST_BYTES || h->w.bytes + bytes > MOST_BYTES) {
        h->refused++;
        return NULL;
    }
    return watched_allocate(&h->w, bytes, align);
}

static void hoard_release(void *user, void *pointer, size_t bytes)
{
    watched_release(&((hoard *)user)->w, pointer, bytes);
}

static double processor(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int64_t loaded, refused; /* files */

static void use(gm_model *model, const char *path)
{
    static float rows[2 * MOST_ROW];
    const int64_t label = 0, columns = gm_model_row_size(model);
    double log_p[2];
    if (columns > MOST_ROW) return;
    memset(rows, 0, sizeof rows);
    if (gm_model_labels(model)) (void)gm_model_set_labels(model, &label, 1);
    (void)gm_model_log_prob(model, rows, 2, log_p);
    (void)gm_model_step(model, rows, 2, NULL, 0, NULL);
    (void)gm_model_sample_into(model, 2, NULL, rows);
    (void)gm_model_save_checkpoint(model, path);
}

static void fault(const char *path, uint64_t seed, const char *what)
{
    char command[2 * SUPPORT_PATH];
    snprintf(command, sizeof command, "cp '%s' mutation.fault", path);
    (void)!system(command);
    ck_abort_msg("seed %" PRIu64 ": %s (mutation.fault)", seed, what);
}

static void load(const char *path, const char *again, uint64_t seed)
{
    static hoard h;
    gm_context *ctx = NULL;
    gm_model *model = NULL;
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_load_options how = GM_LOAD_OPTIONS_INIT;
    char line[600];
    memset(&h, 0, sizeof h);
    (void)watched_begin(&h.w, -1);
    const gm_allocator host = { hoard_allocate, hoard_release, &h };
    options.allocator = &host;
    how.most_work = MOST_WORK;
    ck_assert_int_eq(gm_context_create(&ctx, GM_HEADER_VERSION, &options), GM_OK);
    const double before = processor();
    const gm_status status = gm_model_load_with(&model, ctx, path, &how);
    const double took = processor() - before;
    snprintf(line, sizeof line, "%s: %s", gm_status_name(status), gm_context_error(ctx));
    if (h.refused) fault(path, seed, "loading asks for more than 64 MB");
    if (took > MOST_SECONDS) fault(path, seed, "loading takes longer than half a second");
    if (!status != !!model) fault(path, seed, "status and model do not agree");
    if (status == GM_E_NOMEM || status == GM_E_INTERNAL || status == GM_E_IO)
        fault(path, seed, line);
    if (status && !gm_context_error(ctx)[0]) fault(path, seed, "no line");
    loaded += !status;
    refused += status != GM_OK;
    if (model) use(model, again);
    gm_model_release(model);
    gm_context_release(ctx);
    if (!watched_clean(&h.w)) fault(path, seed, "memory is lost or touched");
}

/* --- The run. */

static uint64_t number(const char *name, uint64_t usual)
{
    const char *value = getenv(name);
    return value && *value ? strtoull(value, NULL, 10) : usual;
}

static void prepare(content *files, gm_context *ctx, const char *path)
{
    static float rows[2 * MOST_ROW];
    for (int f = 0; f < FAMILY_COUNT; f++) {
        gm_model *model = family_make(ctx, f, &size);
        for (int64_t i = 0; i < 2 * gm_model_row_size(model); i++) rows[i] = (float)(i % 3 == 0);
        if (gm_model_supports(model, GM_VERB_FIT))
            support_ok(ctx, gm_model_step(model, rows, 2, NULL, 0, NULL));
        support_ok(ctx, gm_model_save(model, path));
        read_content(&files[2 * f], ctx, path);
        support_ok(ctx, gm_model_save_checkpoint(model, path));
        read_content(&files[2 * f + 1], ctx, path);
        gm_model_release(model);
    }
}

START_TEST(mutated_files)
{
    enum { FILES = 2 * FAMILY_COUNT };
    static content files[FILES];
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16], again[SUPPORT_PATH + 16];
    const uint64_t seconds = number("MUTATIONS_SECONDS", 0);
    const uint64_t wanted = number("MUTATIONS", 2000);
    uint64_t seed = number("MUTATIONS_SEED", (uint64_t)time(NULL)), done = 0;
    gm_context *ctx = support_context(5, 1);
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(again, sizeof again, "%s/again", folder);
    printf("mutations: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    prepare(files, ctx, path);
    const time_t end = time(NULL) + (time_t)seconds;
    for (; seconds ? time(NULL) < end : done < wanted; done++, seed++) {
        state = seed * UINT64_C(0x9e3779b97f4a7c15) + 88172645463325252u;
        for (int i = 0; i < 8; i++) (void)chance(2);
        content c;
        copy_content(&c, &files[chance(FILES)]);
        for (uint64_t i = 1 + chance(3); i > 0; i--)
            if (chance(2))
                change_text(&c);
            else
                change_tensor(&c);
        write_content(&c, ctx, path);
        load(path, again, seed);
        free_content(&c);
    }
    printf("mutations: %" PRIu64 " files, %lld loaded, %lld refused\n", done, (long long)loaded,
           (long long)refused);
    ck_assert_int_gt((int)(loaded > 0), 0);
    ck_assert_int_gt((int)(refused > 0), 0);
    for (int f = 0; f < FILES; f++) free_content(&files[f]);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("mutations");
    TCase *t = tcase_create("mutations");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, mutated_files);
    suite_add_tcase(suite, t);
    return suite;
}
