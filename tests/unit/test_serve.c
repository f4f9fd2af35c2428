/* test_serve.c - frozen models and their readers: the same bits in every thread, no memory after
 * the start, nothing written, and a life of their own. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gm/anomaly.h"
#include "gm/serve.h"
#include "serve/frozen.h"
#include "verbs.h"

/* Everything that a verb of the table fills. */
typedef struct answer {
    float changed[VALUES], codes[VALUES], other[VALUES];
    double real[VALUES], real_too[VALUES];
} answer;

static gm_frozen *freeze(int which)
{
    gm_context *ctx = support_context(5, 1);
    gm_model *model = family_make(ctx, which, &verbs_size);
    gm_frozen *frozen;
    support_ok(ctx, gm_model_freeze(&frozen, model));
    gm_model_release(model);
    gm_context_release(ctx);
    return frozen;
}

/* Calls a verb of a reader, seeded alike each time; it must succeed as it does for a model. */
static void ask(answer *out, room *r, gm_reader *reader, int verb, int64_t count)
{
    memset(r->changed, 0, sizeof r->changed);
    memset(r->codes, 0, sizeof r->codes);
    memset(r->other, 0, sizeof r->other);
    memset(r->real, 0, sizeof r->real);
    memset(r->real_too, 0, sizeof r->real_too);
    r->model = gm_reader_model(reader);
    gm_model_seed(r->model, 7);
    const gm_status status = verbs[verb].call(r, count);
    ck_assert_msg(status == GM_OK, "%s: %s of %lld rows: %s: %s", gm_model_family(r->model),
                  verbs[verb].name, (long long)count, gm_status_name(status),
                  gm_context_error(gm_model_context(r->model)));
    memcpy(out->changed, r->changed, sizeof out->changed);
    memcpy(out->codes, r->codes, sizeof out->codes);
    memcpy(out->other, r->other, sizeof out->other);
    memcpy(out->real, r->real, sizeof out->real);
    memcpy(out->real_too, r->real_too, sizeof out->real_too);
}

static int reads(gm_reader *reader, int verb)
{
    return verbs[verb].reads && verb_of(gm_reader_model(reader), verb);
}

static void shut(gm_context *ctx, gm_reader *reader)
{
    gm_reader_release(reader);
    gm_context_release(ctx);
}

static gm_context *open_reader(gm_reader **out, room *r, gm_frozen *frozen, int64_t max_rows)
{
    gm_context *ctx = support_context(1, 1);
    memset(r, 0, sizeof *r);
    support_ok(ctx, gm_reader_create(out, ctx, frozen, max_rows));
    r->model = gm_reader_model(*out);
    room_fill(r);
    return ctx;
}

/* --- Eight threads, each with a reader of its own. */

#define THREADS 8

typedef struct task {
    gm_frozen *frozen;
    int shift; /* where in the table it begins, so that threads do different things at a time */
    answer *answers;
    int *known; /* verbs that were called */
} task;

static void *read_all(void *arg)
{
    task *t = arg;
    room *r = calloc(1, sizeof *r);
    gm_reader *reader;
    gm_context *ctx = open_reader(&reader, r, t->frozen, ROWS);
    gm_frozen_release(t->frozen); /* the reader holds it */
    for (int i = 0; i < VERB_COUNT; i++) {
        const int v = (i + t->shift) % VERB_COUNT;
        t->known[v] = reads(reader, v);
        if (t->known[v]) ask(&t->answers[v], r, reader, v, 1 + v % ROWS);
    }
    shut(ctx, reader);
    free(r);
    return NULL;
}

static void begin(task *t, gm_frozen *frozen, int shift)
{
    gm_frozen_retain(frozen);
    t->frozen = frozen;
    t->shift = shift;
    t->answers = calloc(VERB_COUNT, sizeof *t->answers);
    t->known = calloc(VERB_COUNT, sizeof *t->known);
}

static void end(task *t)
{
    free(t->answers);
    free(t->known);
}

START_TEST(eight_readers_give_the_bits_of_one)
{
    gm_frozen *frozen = freeze(_i);
    task alone, together[THREADS];
    pthread_t threads[THREADS];
    begin(&alone, frozen, 0);
    (void)read_all(&alone);
    for (int t = 0; t < THREADS; t++) {
        begin(&together[t], frozen, 5 * t);
        ck_assert_int_eq(pthread_create(&threads[t], NULL, read_all, &together[t]), 0);
    }
    gm_frozen_release(frozen);
    for (int t = 0; t < THREADS; t++) {
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
        for (int v = 0; v < VERB_COUNT; v++)
            ck_assert_msg(!memcmp(&alone.answers[v], &together[t].answers[v], sizeof(answer)),
                          "%s: %s differs in thread %d", families[_i].name, verbs[v].name, t);
        end(&together[t]);
    }
    end(&alone);
}
END_TEST

/* --- Memory. */

START_TEST(after_the_start_nothing_is_allocated)
{
    static room r;
    static answer out;
    gm_reader *reader;
    gm_frozen *frozen = freeze(_i);
    gm_context *ctx = open_reader(&reader, &r, frozen, ROWS);
    gm_memory_counters before, after;
    gm_context_memory(&before, ctx);
    int called = 0;
    for (int64_t count = 1; count <= ROWS; count++)
        for (int v = 0; v < VERB_COUNT; v++) {
            if (!reads(reader, v) || (count < 2 && !strcmp(verbs[v].name, "interpolate"))) continue;
            ask(&out, &r, reader, v, count);
            called++;
        }
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    ck_assert_uint_eq(before.releases, after.releases);
    ck_assert_int_gt(called, 0);
    shut(ctx, reader);
    gm_frozen_release(frozen);
}
END_TEST

START_TEST(bytes_are_what_a_reader_takes)
{
    gm_frozen *frozen = freeze(_i);
    gm_context *ctx = support_context(1, 1);
    gm_memory_counters before, after;
    size_t stated = 0;
    gm_reader *reader;
    support_ok(ctx, gm_reader_bytes(&stated, ctx, frozen, ROWS));
    gm_context_memory(&before, ctx);
    support_ok(ctx, gm_reader_create(&reader, ctx, frozen, ROWS));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(stated, after.bytes - before.bytes);
    shut(ctx, reader);
    gm_frozen_release(frozen);
}
END_TEST

/* Every parameter of every reader lies in the frozen model. */
START_TEST(the_weights_are_there_once)
{
    static room r;
    gm_reader *reader[2];
    gm_frozen *frozen = freeze(_i);
    for (int i = 0; i < 2; i++) {
        gm_context *ctx = open_reader(&reader[i], &r, frozen, 1 + 8 * i);
        const gm_params *params = gm_model_params(gm_reader_model(reader[i]));
        const uintptr_t begin = (uintptr_t)frozen->bytes, end = begin + frozen->count;
        for (int64_t k = 0; k < gm_params_count(params); k++) {
            gm_param *p = gm_params_get(params, k);
            const uintptr_t at = (uintptr_t)gm_param_value(p);
            ck_assert_msg(!gm_param_count(p) || (at >= begin && at < end), "%s: %s is a copy",
                          families[_i].name, gm_params_name(params, k));
        }
        gm_context_release(ctx);
    }
    for (int i = 0; i < 2; i++) gm_reader_release(reader[i]);
    gm_frozen_release(frozen);
}
END_TEST

/* --- Where the weights lie. */

static void same_answers(gm_frozen *one, gm_frozen *other, const char *what)
{
    static room r[2];
    static answer out[2];
    gm_reader *reader[2];
    gm_context *ctx[2] = { open_reader(&reader[0], &r[0], one, 3),
                           open_reader(&reader[1], &r[1], other, 3) };
    for (int v = 0; v < VERB_COUNT; v++) {
        if (!reads(reader[0], v)) continue;
        for (int i = 0; i < 2; i++) ask(&out[i], &r[i], reader[i], v, 3);
        ck_assert_msg(!memcmp(&out[0], &out[1], sizeof out[0]), "%s: %s, %s", what,
                      gm_frozen_family(one), verbs[v].name);
    }
    for (int i = 0; i < 2; i++) shut(ctx[i], reader[i]);
}

typedef struct host_bytes {
    int released;
    const void *bytes;
} host_bytes;

static void bytes_back(void *user, const void *bytes)
{
    host_bytes *host = user;
    host->released++;
    host->bytes = bytes;
}

/* From the model, from its file, and from the file's bytes, which are read only, also where they
 * are not aligned. */
START_TEST(from_a_model_a_file_and_bytes)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    gm_context *ctx = support_context(5, 1);
    gm_frozen *made, *loaded, *wrapped, *shifted;
    gm_model *model = family_make(ctx, _i, &verbs_size);
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    support_ok(ctx, gm_model_save(model, path));
    support_ok(ctx, gm_model_freeze(&made, model));
    ck_assert_str_eq(gm_frozen_family(made), families[_i].name);
    ck_assert_int_eq(gm_frozen_row_size(made), gm_model_row_size(model));
    gm_model_release(model);
    support_ok(ctx, gm_frozen_load(&loaded, ctx, path));
    ck_assert_str_eq(gm_frozen_family(loaded), families[_i].name);
    ck_assert_int_eq(gm_frozen_row_size(loaded), gm_frozen_row_size(made));

    struct stat info;
    const int file = open(path, O_RDONLY);
    ck_assert_int_eq(fstat(file, &info), 0);
    const size_t size = (size_t)info.st_size;
    char *space = mmap(NULL, size + 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *plain = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    ck_assert(space != MAP_FAILED && plain != MAP_FAILED);
    memcpy(space + 1, plain, size);
    host_bytes host = { 0, NULL }, host_too = { 0, NULL };
    support_ok(ctx, gm_frozen_wrap(&wrapped, ctx, plain, size, bytes_back, &host));
    support_ok(ctx, gm_frozen_wrap(&shifted, ctx, space + 1, size, bytes_back, &host_too));
    ck_assert_int_eq(host.released, 0);
    ck_assert_int_eq(host_too.released, 1); /* its weights were copied */
    memset(space, 0, size + 8);
    gm_context_release(ctx);

    same_answers(made, loaded, "file");
    same_answers(made, wrapped, "bytes");
    same_answers(made, shifted, "bytes out of line");
    gm_frozen_release(made);
    gm_frozen_release(loaded);
    gm_frozen_release(shifted);
    gm_frozen_retain(wrapped);
    gm_frozen_release(wrapped);
    ck_assert_int_eq(host.released, 0);
    gm_frozen_release(wrapped);
    ck_assert_int_eq(host.released, 1);
    ck_assert_ptr_eq(host.bytes, plain);
    munmap(plain, size);
    munmap(space, size + 8);
    (void)close(file);
    support_folder_remove(folder);
}
END_TEST

/* A checkpoint's reader samples what the model that loads it samples: the average weights. */
START_TEST(of_a_checkpoint_what_save_would_write)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    static room r;
    gm_context *ctx = support_context(5, 1);
    gm_frozen *saved, *loaded;
    memset(&r, 0, sizeof r);
    r.model = family_make(ctx, _i, &verbs_size);
    room_fill(&r);
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (gm_model_supports(r.model, GM_VERB_FIT)) {
        support_ok(ctx, gm_optimizer_set_average(gm_model_optimizer(r.model), 0.5));
        support_ok(ctx, gm_model_step(r.model, r.rows, ROWS, NULL, 0, NULL));
        support_ok(ctx, gm_model_step(r.model, r.rows, ROWS, NULL, 0, NULL));
    }
    support_ok(ctx, gm_model_save_checkpoint(r.model, path));
    support_ok(ctx, gm_model_freeze(&saved, r.model));
    support_ok(ctx, gm_frozen_load(&loaded, ctx, path));
    gm_model_release(r.model);
    gm_context_release(ctx);
    same_answers(saved, loaded, "checkpoint");
    gm_frozen_release(saved);
    gm_frozen_release(loaded);
    support_folder_remove(folder);
}
END_TEST

/* Whatever becomes of the reader, what was retained of its model stays whole. */
START_TEST(a_part_that_is_retained_stays)
{
    static room r;
    gm_reader *reader;
    gm_frozen *frozen = freeze(_i);
    gm_context *ctx = open_reader(&reader, &r, frozen, 2);
    gm_params *params = gm_model_params(gm_reader_model(reader));
    gm_params_retain(params);
    gm_frozen_release(frozen);
    shut(ctx, reader);
    const int64_t count = gm_params_elements(params);
    float *values = calloc((size_t)count + 1, sizeof *values);
    ck_assert_int_eq(gm_params_read(params, count, values), GM_OK);
    free(values);
    gm_params_release(params);
}
END_TEST

/* --- Labels are a reader's own, and take no memory either. */

START_TEST(labels_of_a_reader)
{
    gm_context *ctx = support_context(5, 1);
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net;
    gm_frozen *frozen;
    gm_reader *reader[2];
    o.hidden = 2;
    o.blocks = 1;
    o.head = 4;
    o.labels = 3;
    support_ok(ctx, gm_pixelcnn_create(&net, ctx, 2, 3, &o));
    const gm_params *params = gm_model_params(gm_pixelcnn_model(net));
    for (int64_t k = 0; k < gm_params_count(params); k++) /* a label's weights begin at 0 */
        support_ok(ctx, gm_param_init(gm_params_get(params, k), GM_INIT_NORMAL, 0, 0.5, NULL));
    support_ok(ctx, gm_model_freeze(&frozen, gm_pixelcnn_model(net)));
    static const float rows[3 * 6] = { 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1 };
    static const int64_t labels[3] = { 0, 1, 2 }, last = 2, wrong = 3;
    double whole[3], one[3], want[3];
    support_ok(ctx, gm_model_set_labels(gm_pixelcnn_model(net), labels, 3));
    support_ok(ctx, gm_model_log_prob(gm_pixelcnn_model(net), rows, 3, want));
    for (int i = 0; i < 2; i++) support_ok(ctx, gm_reader_create(&reader[i], ctx, frozen, 3));
    gm_model *a = gm_reader_model(reader[0]), *b = gm_reader_model(reader[1]);
    gm_memory_counters before, after;
    gm_context_memory(&before, ctx);
    support_fails(ctx, gm_model_log_prob(a, rows, 3, whole), GM_E_STATE, "labels");
    support_fails(ctx, gm_model_set_labels(a, &wrong, 1), GM_E_INVALID, "3");
    support_fails(ctx, gm_model_set_labels(a, labels, 4), GM_E_INVALID, "max_rows");
    support_ok(ctx, gm_model_set_labels(a, labels, 3));
    support_ok(ctx, gm_model_set_labels(b, &last, 1));
    support_ok(ctx, gm_model_log_prob(a, rows, 3, whole));
    support_ok(ctx, gm_model_log_prob(b, rows, 3, one));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    for (int i = 0; i < 3; i++) {
        ck_assert(fabs(whole[i] - want[i]) < 1e-5);
        ck_assert(one[i] == whole[2]);
    }
    ck_assert(whole[0] != whole[2]);
    for (int i = 0; i < 2; i++) gm_reader_release(reader[i]);
    gm_pixelcnn_release(net);
    gm_frozen_release(frozen);
    gm_context_release(ctx);
}
END_TEST

/* --- Hot reload. */

typedef struct shelf {
    pthread_mutex_t lock;
    gm_frozen *now;
    int done;
} shelf;

static void *serve(void *arg)
{
    shelf *s = arg;
    static const float row[6] = { 0, 1, 0, 1, 1, 0 };
    int64_t seen = 0;
    for (int done = 0; !done;) {
        double value;
        gm_reader *reader;
        gm_context *ctx = support_context(1, 1);
        pthread_mutex_lock(&s->lock);
        gm_frozen *frozen = s->now;
        gm_frozen_retain(frozen);
        done = s->done;
        pthread_mutex_unlock(&s->lock);
        support_ok(ctx, gm_reader_create(&reader, ctx, frozen, 1));
        gm_frozen_release(frozen);
        for (int i = 0; i < 5; i++, seen++)
            support_ok(ctx, gm_model_log_prob(gm_reader_model(reader), row, 1, &value));
        shut(ctx, reader);
    }
    return (void *)(uintptr_t)(seen > 0);
}

START_TEST(models_are_exchanged_under_way)
{
    static const family_size sizes[2] = { { 6, 4, 2 }, { 6, 9, 2 } };
    pthread_t threads[4];
    shelf s = { .now = NULL };
    gm_context *ctx = support_context(5, 1);
    int nade = 0;
    while (strcmp(families[nade].name, "nade")) nade++;
    pthread_mutex_init(&s.lock, NULL);
    s.now = freeze(nade);
    for (int t = 0; t < 4; t++) ck_assert_int_eq(pthread_create(&threads[t], NULL, serve, &s), 0);
    for (int i = 0; i < 30; i++) {
        gm_model *model = family_make(ctx, nade, &sizes[i % 2]);
        gm_frozen *fresh, *old;
        support_ok(ctx, gm_model_freeze(&fresh, model));
        gm_model_release(model);
        pthread_mutex_lock(&s.lock);
        old = s.now;
        s.now = fresh;
        s.done = i == 29;
        pthread_mutex_unlock(&s.lock);
        gm_frozen_release(old);
    }
    for (int t = 0; t < 4; t++) {
        void *seen;
        ck_assert_int_eq(pthread_join(threads[t], &seen), 0);
        ck_assert_ptr_nonnull(seen);
    }
    gm_frozen_release(s.now);
    gm_context_release(ctx);
    pthread_mutex_destroy(&s.lock);
}
END_TEST

/* --- Refusals. */

START_TEST(a_reader_only_reads)
{
    static room r;
    gm_reader *reader;
    gm_frozen *frozen = freeze(_i), *again;
    gm_context *ctx = open_reader(&reader, &r, frozen, 3);
    gm_model *model = r.model;
    gm_params *params = gm_model_params(model);
    const int64_t count = gm_params_elements(params);
    float *values = calloc((size_t)count + 1, sizeof *values);
    if (gm_model_supports(model, GM_VERB_FIT))
        support_fails(ctx, gm_model_step(model, r.rows, 2, NULL, 0, NULL), GM_E_STATE, "frozen");
    support_fails(ctx, gm_model_save(model, "/nowhere/x"), GM_E_STATE, "save: this is a reader");
    support_fails(ctx, gm_model_freeze(&again, model), GM_E_STATE, "freeze: this is a reader");
    support_fails(ctx, gm_params_write(params, values, count), GM_E_STATE, "frozen model");
    if (count)
        support_fails(ctx, gm_param_init(gm_params_get(params, 0), GM_INIT_CONSTANT, 0, 0, NULL),
                      GM_E_STATE, "frozen model");
    if (gm_model_optimizer(model))
        support_fails(ctx, gm_optimizer_step(gm_model_optimizer(model)), GM_E_STATE, "frozen");
    for (int v = 0; v < VERB_COUNT; v++) {
        if (!reads(reader, v) || !strcmp(verbs[v].name, "log_z")) continue; /* has no rows */
        const gm_status status = verbs[v].call(&r, 4);
        ck_assert_msg(status == GM_E_INVALID || status == GM_E_NOMEM, "%s: %s of 4 rows is %s",
                      families[_i].name, verbs[v].name, gm_status_name(status));
        const char *line = gm_context_error(ctx);
        ck_assert_msg(strstr(line, "expected 1 to 3, the reader's max_rows") ||
                          strstr(line, "the reader's memory is for 3 rows"),
                      "%s: %s: %s", families[_i].name, verbs[v].name, line);
    }
    free(values);
    shut(ctx, reader);
    gm_frozen_release(frozen);
}
END_TEST

/* One flipped bit of the last weight. */
START_TEST(a_damaged_file_is_refused)
{
    gm_context *ctx = support_context(1, 1);
    gm_frozen *frozen = freeze(_i), *other;
    const size_t count = gm_frozen_bytes(frozen);
    char *bytes = malloc(count);
    memcpy(bytes, frozen->bytes, count);
    bytes[count - 1] = (char)(bytes[count - 1] ^ 1);
    support_fails(ctx, gm_frozen_wrap(&other, ctx, bytes, count, NULL, NULL), GM_E_FORMAT,
                  "is damaged");
    ck_assert_ptr_null(other);
    free(bytes);
    gm_frozen_release(frozen);
    gm_context_release(ctx);
}
END_TEST

START_TEST(arguments_and_files)
{
    gm_context *ctx = support_context(1, 1);
    gm_frozen *frozen = freeze(0), *other = frozen;
    gm_reader *reader = (gm_reader *)(void *)frozen;
    size_t bytes = 3;
    support_fails(ctx, gm_reader_create(NULL, ctx, frozen, 1), GM_E_INVALID, "out");
    support_fails(ctx, gm_reader_create(&reader, ctx, NULL, 1), GM_E_INVALID, "NULL");
    ck_assert_ptr_null(reader);
    ck_assert_int_eq(gm_reader_create(&reader, NULL, frozen, 1), GM_E_INVALID);
    support_fails(ctx, gm_reader_create(&reader, ctx, frozen, 0), GM_E_INVALID,
                  "max_rows is 0, expected at least 1");
    support_fails(ctx, gm_reader_create(&reader, ctx, frozen, INT64_MAX / 2), GM_E_INVALID,
                  "max_rows is 4611686018427387903");
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) /* which abort at such sizes   \
                                                                     */
    support_fails(ctx, gm_reader_create(&reader, ctx, frozen, (int64_t)1 << 50), GM_E_NOMEM,
                  "rows");
#endif
    support_fails(ctx, gm_reader_bytes(&bytes, ctx, frozen, -1), GM_E_INVALID, "max_rows is -1");
    ck_assert_uint_eq(bytes, 0);
    support_fails(ctx, gm_reader_bytes(NULL, ctx, frozen, 1), GM_E_INVALID, "out");
    support_fails(ctx, gm_frozen_load(&other, ctx, NULL), GM_E_INVALID, "path");
    ck_assert_ptr_null(other);
    support_fails(ctx, gm_frozen_load(&other, ctx, "/nowhere/x"), GM_E_IO, "/nowhere/x");
    support_fails(ctx, gm_frozen_load(&other, ctx, "/dev/null"), GM_E_IO, "/dev/null");
    support_fails(ctx, gm_frozen_load(&other, ctx, "/proc/self/status"), GM_E_FORMAT, "is empty");
    support_fails(ctx, gm_frozen_wrap(&other, ctx, NULL, 4, NULL, NULL), GM_E_INVALID, "bytes");
    host_bytes host = { 0, NULL };
    support_fails(ctx, gm_frozen_wrap(&other, ctx, "no model", 8, bytes_back, &host), GM_E_FORMAT,
                  "bytes");
    ck_assert_int_eq(host.released, 0);
    ck_assert_int_eq(gm_model_freeze(&other, NULL), GM_E_INVALID);
    gm_model *model = family_make(ctx, 0, &verbs_size);
    support_fails(ctx, gm_model_freeze(NULL, model), GM_E_INVALID, "out");
    gm_model_release(model);
    gm_frozen_retain(NULL);
    gm_frozen_release(NULL);
    gm_reader_retain(NULL);
    gm_reader_release(NULL);
    ck_assert_str_eq(gm_frozen_family(NULL), "");
    ck_assert_int_eq(gm_frozen_row_size(NULL), 0);
    ck_assert_uint_eq(gm_frozen_bytes(NULL), 0);
    ck_assert_ptr_null(gm_reader_model(NULL));
    ck_assert_int_eq(gm_reader_max_rows(NULL), 0);
    support_ok(ctx, gm_reader_create(&reader, ctx, frozen, 9));
    ck_assert_int_eq(gm_reader_max_rows(reader), 9);
    gm_reader_retain(reader);
    gm_reader_release(reader);
    ck_assert_str_eq(gm_model_family(gm_reader_model(reader)), "generator");
    shut(ctx, reader);
    gm_frozen_release(frozen);
}
END_TEST

/* --- Scores. */

START_TEST(scores_of_a_calibration)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 32];
    static room r;
    gm_context *ctx = support_context(5, 1);
    gm_anomaly *anomaly;
    gm_frozen *frozen;
    gm_reader *reader;
    gm_dataset *data;
    int nade = 0;
    while (strcmp(families[nade].name, "nade")) nade++;
    memset(&r, 0, sizeof r);
    r.model = family_make(ctx, nade, &verbs_size);
    room_fill(&r);
    const int64_t shape[2] = { ROWS, gm_model_row_size(r.model) };
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/anomaly.safetensors", folder);
    support_ok(ctx, gm_dataset_from_memory(&data, ctx, 2, shape, r.rows));
    support_ok(ctx, gm_anomaly_create(&anomaly, r.model, data, NULL));
    support_ok(ctx, gm_anomaly_save(anomaly, path));
    double log_prob[2][ROWS], quantile[2][ROWS];
    support_ok(ctx, gm_anomaly_score(anomaly, r.rows, ROWS, log_prob[0], quantile[0]));
    gm_anomaly_release(anomaly);
    support_ok(ctx, gm_model_freeze(&frozen, r.model));
    gm_model_release(r.model);
    support_ok(ctx, gm_reader_create(&reader, ctx, frozen, ROWS));
    support_ok(ctx, gm_anomaly_load(&anomaly, gm_reader_model(reader), path));
    gm_reader_release(reader); /* the calibration holds the model */
    gm_memory_counters before, after;
    gm_context_memory(&before, ctx);
    support_ok(ctx, gm_anomaly_score(anomaly, r.rows, ROWS, log_prob[1], quantile[1]));
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.allocations, after.allocations);
    for (int i = 0; i < ROWS; i++) {
        ck_assert(fabs(log_prob[0][i] - log_prob[1][i]) < 1e-5);
        ck_assert(quantile[0][i] == quantile[1][i]);
    }
    gm_anomaly_release(anomaly);
    gm_dataset_release(data);
    gm_frozen_release(frozen);
    gm_context_release(ctx);
    support_folder_remove(folder);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("serve");
    TCase *t = tcase_create("serve");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, eight_readers_give_the_bits_of_one, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, after_the_start_nothing_is_allocated, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, bytes_are_what_a_reader_takes, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, the_weights_are_there_once, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, from_a_model_a_file_and_bytes, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, of_a_checkpoint_what_save_would_write, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, a_part_that_is_retained_stays, 0, FAMILY_COUNT);
    tcase_add_test(t, labels_of_a_reader);
    tcase_add_test(t, models_are_exchanged_under_way);
    tcase_add_loop_test(t, a_reader_only_reads, 0, FAMILY_COUNT);
    tcase_add_loop_test(t, a_damaged_file_is_refused, 0, FAMILY_COUNT);
    tcase_add_test(t, arguments_and_files);
    tcase_add_test(t, scores_of_a_calibration);
    suite_add_tcase(suite, t);
    return suite;
}
