/* conformance.h - checks that every family must pass. A check notes its first failure instead of
 * ending the program, so that the same check can be shown to catch a fault (faults.c). */
#ifndef GM_TESTS_CONFORMANCE_H
#define GM_TESTS_CONFORMANCE_H

#include "makers.h"
#include "support.h"

/* The verbs as the checks call them. Faults put others in their place. */
typedef struct conformance_verbs {
    gm_status (*step)(gm_model *model, const float *rows, int64_t count, gm_metric *metrics,
                      int32_t room, int32_t *metric_count);
    gm_status (*fit)(gm_model *model, gm_dataset *data, const gm_fit_options *options);
    gm_status (*evaluate)(gm_model *model, gm_dataset *data, int64_t batch, int64_t limit,
                          gm_metric *metrics, int32_t room, int32_t *metric_count);
    gm_status (*log_prob_estimate)(gm_likelihood *likelihood, gm_model *model, const float *rows,
                                   int64_t count, const gm_log_prob_options *options,
                                   double *log_prob, double *standard_error);
} conformance_verbs;
extern const conformance_verbs conformance_library;

typedef struct conformance {
    const maker *maker;
    const conformance_verbs *verbs;
    char failure[900]; /* empty: none */
} conformance;

/* gm_model_evaluate and gm_model_sample_into without progress. */
gm_status conformance_evaluate(gm_model *model, gm_dataset *data, int64_t batch, int64_t limit,
                               gm_metric *metrics, int32_t room, int32_t *metric_count);
gm_status conformance_sample(gm_model *model, int64_t count, float *rows);

typedef struct conformance_check {
    const char *name;
    void (*run)(conformance *c);
} conformance_check;
extern const conformance_check conformance_checks[];
extern const int conformance_check_count;
/* A fault tells by which of them it must be caught. */
void check_likelihood(conformance *c);
void check_labels(conformance *c);
void check_stream(conformance *c);
void check_cancel(conformance *c);
void check_nested(conformance *c);
void check_way_back(conformance *c);
void check_numeric(conformance *c);
void check_refusals(conformance *c);
void check_label_refusals(conformance *c);
void check_files(conformance *c);
void check_resume(conformance *c);
void check_threads(conformance *c);
void check_release(conformance *c);
/* Apart from the list: files.c, memory.c. */
void check_hostile(conformance *c);
void check_allocations(conformance *c);

void conformance_note(conformance *c, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Each leaves the check through its label `out` when it does not hold. */
#define HOLDS(c, condition, ...)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            conformance_note((c), __FILE__, __LINE__, __VA_ARGS__);                                \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)
#define SUCCEEDS(c, ctx, call)                                                                     \
    do {                                                                                           \
        const gm_status holds_status = (call);                                                     \
        HOLDS(c, holds_status == GM_OK, "%s is %s: %s", #call, gm_status_name(holds_status),       \
              gm_context_error(ctx));                                                              \
    } while (0)
/* The line has this in it: a name and a value. */
#define REFUSES(c, ctx, call, expected_status, text)                                               \
    do {                                                                                           \
        const gm_status holds_status = (call);                                                     \
        HOLDS(c, holds_status == (expected_status), "%s is %s, expected %s (%s)", #call,           \
              gm_status_name(holds_status), #expected_status, gm_context_error(ctx));              \
        HOLDS(c, support_says(gm_context_error(ctx), (text)), "%s: no \"%s\" in \"%s\"", #call,    \
              (text), gm_context_error(ctx));                                                      \
    } while (0)

/* What most checks begin with: a context, a model, and a dataset of CONFORMANCE_ROWS rows, with
 * labels if the model takes them. */
#define CONFORMANCE_ROWS 20
typedef struct subject {
    gm_context *ctx;
    gm_model *model;
    gm_dataset *data;
} subject;
int subject_make(conformance *c, subject *s, int32_t threads);
/* With the labels of the dataset, or others than those; labels of a model that takes none are not
 * set. */
int subject_set_labels(conformance *c, subject *s, int other);
void subject_release(subject *s);

void conformance_rows(float rows[CONFORMANCE_ROWS * MAKER_BITS]);
int64_t conformance_label(int64_t row); /* the dataset's */
/* The dataset; labelled 0: without labels. NULL, and a note, after a failure. */
gm_dataset *conformance_data(conformance *c, gm_context *ctx, int labelled);

/* The bytes of a checkpoint, or of a file without the optimizer's state; malloc'ed. NULL, and a
 * note, after a failure. */
unsigned char *conformance_bytes(conformance *c, gm_model *model, int checkpoint, size_t *size);
/* Have both models the same checkpoint, or file, to the byte? */
int conformance_same(conformance *c, gm_model *a, gm_model *b, int checkpoint);
/* 1 if the family fits, and so on. */
#define CAN(s, verb) gm_model_supports((s)->model, GM_VERB_##verb)

#endif
