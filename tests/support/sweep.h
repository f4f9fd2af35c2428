/* sweep.h - a scenario is run with its n-th allocation failing, for n = 0, 1, 2, ... until none
 * fails.
 *
 * Each n is run twice: once the scenario stops at the first failure; once the failing call is made
 * again, and must succeed, since a call that failed has changed nothing. All memory must come back
 * every time.
 *
 *     static const sweep_scenario all[] = { { "bits", bits, 1, 0 }, ... };
 *     Suite *gm_suite(void) { return SWEEP_SUITE("oom: nade", all, prepare, NULL); }
 */
#ifndef GM_TESTS_SWEEP_H
#define GM_TESTS_SWEEP_H

#include <unistd.h>

#include "allocator.h"
#include "support.h"

typedef struct sweep {
    gm_context *ctx;
    const char *folder; /* for files */
    int again;          /* make failing calls again */
} sweep;

/* Calls that make an object: NULL after a failure. Both need `gm_status status` and a label `out`.
 */
#define MAKE(s, object, call)                                                                      \
    do {                                                                                           \
        (object) = sweep_poison();                                                                 \
        status = (call);                                                                           \
        if (status) ck_assert_msg((object) == NULL, "%s failed and left a pointer", #call);        \
        if (status == GM_E_NOMEM && (s)->again) status = sweep_second(#call, (call));              \
        if (status) goto out;                                                                      \
    } while (0)

#define DO(s, call)                                                                                \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status == GM_E_NOMEM && (s)->again) status = sweep_second(#call, (call));              \
        if (status) goto out;                                                                      \
    } while (0)

/* For calls whose failure stays: the parts of a sequence. */
#define ONCE(call)                                                                                 \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status) goto out;                                                                      \
    } while (0)

static inline void *sweep_poison(void)
{
    static char nothing;
    return &nothing;
}

static inline gm_status sweep_second(const char *call, gm_status status)
{
    ck_assert_msg(status == GM_OK, "made again, %s is %s", call, gm_status_name(status));
    return status;
}

typedef gm_status (*scenario)(sweep *s);

/* Returns how many failures were survived. `sticky`: some calls of the scenario are made only ONCE.
 */
static inline int64_t sweep_run(const char *name, scenario run, const char *folder, int32_t threads,
                                int sticky)
{
    int64_t failures = 0;
    for (int again = 0; again < 2; again++) {
        for (int64_t n = 0;; n++) {
            watched w;
            gm_allocator a = watched_begin(&w, n);
            gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
            sweep s = { NULL, folder, again };
            char line[512] = "no context";
            o.allocator = &a;
            o.threads = threads;
            gm_status status = gm_context_create(&s.ctx, GM_HEADER_VERSION, &o);
            int created = status == GM_OK;
            if (created) {
                status = run(&s);
                snprintf(line, sizeof line, "%s", gm_context_error(s.ctx));
                gm_context_release(s.ctx);
            }
            ck_assert_msg(watched_clean(&w),
                          "%s, failure %lld%s (%s): %lld blocks, %llu bytes lost; %lld faults",
                          name, (long long)n, again ? ", again" : "", line, (long long)w.live,
                          (unsigned long long)w.bytes, (long long)w.faults);
            if (w.calls <= n) { /* nothing failed any more */
                ck_assert_msg(status == GM_OK, "%s: %s: %s", name, gm_status_name(status), line);
                break;
            }
            failures++;
            if (again && created && status == GM_OK) continue;
            ck_assert_msg(status == GM_E_NOMEM && (!again || !created || sticky),
                          "%s, failure %lld%s: %s: %s", name, (long long)n, again ? ", again" : "",
                          gm_status_name(status), line);
            ck_assert_msg(line[0], "%s, failure %lld: no line", name, (long long)n);
        }
    }
    return failures;
}

typedef struct sweep_scenario {
    const char *name;
    scenario run;
    int32_t threads; /* 0: with one, and again with two */
    int sticky;
} sweep_scenario;

/* The suite's. before and after: with the folder of each scenario, or NULL. */
static const sweep_scenario *sweep_all;
static void (*sweep_before)(const char *folder), (*sweep_after)(const char *folder);

START_TEST(every_allocation_fails_once)
{
    const sweep_scenario *s = sweep_all + _i;
    char folder[SUPPORT_PATH];
    int64_t failures = 0;
    support_memory_folder();
    support_folder_make(folder);
    if (sweep_before) sweep_before(folder);
    for (int32_t threads = s->threads ? s->threads : 1; threads <= (s->threads ? s->threads : 2);
         threads++)
        failures += sweep_run(s->name, s->run, folder, threads, s->sticky);
    if (sweep_after) sweep_after(folder);
    support_folder_remove(folder);
    printf("%s: %lld failures survived\n", s->name, (long long)failures);
}
END_TEST

static inline Suite *sweep_suite(const char *name, int count)
{
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, every_allocation_fails_once, 0, count);
    suite_add_tcase(s, t);
    return s;
}
#define SWEEP_SUITE(name, all, before, after)                                                      \
    (sweep_all = (all), sweep_before = (before), sweep_after = (after),                            \
     sweep_suite(name, (int)(sizeof(all) / sizeof *(all))))

Suite *gm_suite(void);

/* Releases each of `count` handles, at most 8, in order number `order` of their count! orders. */
static inline void release_in_order(int count, void (*const *release)(void *), void *const *handle,
                                    int order)
{
    int left[8];
    for (int i = 0; i < count; i++) left[i] = i;
    for (int n = count; n > 0; order /= n, n--) {
        const int place = order % n, which = left[place];
        release[which](handle[which]);
        for (int i = place; i + 1 < n; i++) left[i] = left[i + 1];
    }
}

#endif
