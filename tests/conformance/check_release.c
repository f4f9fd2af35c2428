/* check_release.c - handles go in any order: context, model, its parts, data, samples, scores. */
#include "allocator.h"
#include "conformance.h"
#include "gm/anomaly.h"

#define MOST_HANDLES (MAKER_PARTS + 6)

typedef struct handles {
    void *handle[MOST_HANDLES];
    void (*release[MOST_HANDLES])(void *handle);
    int count;
} handles;

#define RELEASE(type)                                                                              \
    static void release_##type(void *handle)                                                       \
    {                                                                                              \
        gm_##type##_release(handle);                                                               \
    }
RELEASE(context)
RELEASE(model)
RELEASE(dataset)
RELEASE(tensor)
RELEASE(anomaly)

static void keep(handles *h, void *handle, void (*release)(void *handle))
{
    h->handle[h->count] = handle;
    h->release[h->count++] = release;
}

/* All that a host may hold of a model that was used. */
static int make_all(conformance *c, handles *h, const gm_allocator *host)
{
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    int64_t labels[CONFORMANCE_ROWS];
    maker_parts parts = { .count = 0 };
    gm_context *ctx = NULL;
    gm_model *model = NULL;
    gm_dataset *data = NULL;
    gm_tensor *drawn = NULL;
    gm_anomaly *scores = NULL;
    conformance_rows(rows);
    for (int64_t i = 0; i < CONFORMANCE_ROWS; i++) labels[i] = conformance_label(i);
    options.allocator = host;
    h->count = 0;
    HOLDS(c, gm_context_create(&ctx, GM_HEADER_VERSION, &options) == GM_OK, "no context");
    keep(h, ctx, release_context);
    SUCCEEDS(c, ctx, maker_make(&model, c->maker, ctx, &parts));
    keep(h, model, release_model);
    for (int i = 0; i < parts.count; i++) keep(h, parts.handle[i], parts.release[i]);
    if (c->maker->labels) SUCCEEDS(c, ctx, gm_model_set_labels(model, labels, CONFORMANCE_ROWS));
    data = conformance_data(c, ctx, c->maker->labels > 0);
    if (!data) goto out;
    keep(h, data, release_dataset);
    if (gm_model_supports(model, GM_VERB_FIT))
        SUCCEEDS(c, ctx, gm_model_step(model, rows, CONFORMANCE_ROWS, NULL, 0, NULL));
    if (gm_model_supports(model, GM_VERB_SAMPLE)) {
        SUCCEEDS(c, ctx, gm_model_sample(&drawn, model, CONFORMANCE_ROWS));
        keep(h, drawn, release_tensor);
    }
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        SUCCEEDS(c, ctx, gm_anomaly_create(&scores, model, data, NULL));
        keep(h, scores, release_anomaly);
    }
    return 1;
out:
    return 0;
}

/* Every pair of handles in both orders, each handle first and each last: all rotations, forth and
 * back, and as many orders drawn at random. */
void check_release(conformance *c)
{
    enum { DRAWN = 40 };
    uint32_t state = 12345;
    for (int order = 0; order < 2 * MOST_HANDLES + DRAWN; order++) {
        watched w;
        handles h = { .count = 0 };
        int place[MOST_HANDLES];
        const gm_allocator host = watched_begin(&w, -1);
        const int whole = make_all(c, &h, &host);
        for (int i = 0; i < h.count; i++)
            place[i] = order < MOST_HANDLES       ? (i + order) % h.count
                       : order < 2 * MOST_HANDLES ? (h.count - 1 - i + order) % h.count
                                                  : i;
        for (int i = h.count - 1; i > 0 && order >= 2 * MOST_HANDLES; i--) {
            state = state * 1664525u + 1013904223u;
            const int other = (int)((state >> 8) % (uint32_t)(i + 1)), held = place[i];
            place[i] = place[other];
            place[other] = held;
        }
        for (int i = 0; i < h.count; i++) h.release[place[i]](h.handle[place[i]]);
        if (!whole) return;
        HOLDS(c, watched_clean(&w), "order %d of %d handles: %lld blocks left, %lld faults", order,
              h.count, (long long)w.live, (long long)w.faults);
    }
out:;
}
