/* check_numeric.c - weights that are not finite: a file with one is refused by its name, and what
 * comes out of them is GM_E_NUMERIC and no number. */
#include "conformance.h"

#include <math.h>

static gm_param *first_weight(gm_model *model)
{
    gm_params *params = gm_model_params(model);
    return gm_params_count(params) > 0 ? gm_params_get(params, 0) : NULL;
}

static gm_status save_and_load(gm_model *model, int checkpoint, const char *path)
{
    gm_model *loaded = NULL;
    gm_status status =
        checkpoint ? gm_model_save_checkpoint(model, path) : gm_model_save(model, path);
    if (!status) status = gm_model_load(&loaded, gm_model_context(model), path);
    gm_model_release(loaded);
    return status;
}

/* One value of one parameter, its last. */
static void refuse_file(conformance *c, subject *s, float odd, const char *path)
{
    gm_param *p = first_weight(s->model);
    float *last = gm_param_value(p) + gm_param_count(p) - 1;
    const float held = *last;
    char place[64];
    snprintf(place, sizeof place, " at place %lld, expected finite weights",
             (long long)gm_param_count(p) - 1);
    /* A file without the optimizer's state has the averages of the weights, if there are any. */
    gm_optimizer *optimizer = gm_model_optimizer(s->model);
    for (int checkpoint = optimizer && gm_optimizer_average_on(optimizer); checkpoint < 2;
         checkpoint++) {
        *last = odd;
        REFUSES(c, s->ctx, save_and_load(s->model, checkpoint, path), GM_E_NUMERIC, place);
        HOLDS(c, strstr(gm_context_error(s->ctx), path), "the line does not name the file: %s",
              gm_context_error(s->ctx));
        *last = held;
    }
out:
    *last = held;
}

/* All weights: no log p of any row is a number, and none passes for one. */
static void refuse_answers(conformance *c, subject *s)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    double log_p[CONFORMANCE_ROWS];
    gm_params *params = gm_model_params(s->model);
    conformance_rows(rows);
    for (int64_t i = 0; i < gm_params_count(params); i++) {
        gm_param *p = gm_params_get(params, i);
        for (int64_t k = 0; k < gm_param_count(p); k++) gm_param_value(p)[k] = NAN;
    }
    if (CAN(s, LOG_PROB))
        REFUSES(c, s->ctx, gm_model_log_prob(s->model, rows, CONFORMANCE_ROWS, log_p), GM_E_NUMERIC,
                "nan");
    if (!CAN(s, SAMPLE)) return;
    const gm_status status = conformance_sample(s->model, CONFORMANCE_ROWS, rows);
    HOLDS(c, !status || status == GM_E_NUMERIC, "sample is %s: %s", gm_status_name(status),
          gm_context_error(s->ctx));
    for (int i = 0; !status && i < CONFORMANCE_ROWS * MAKER_BITS; i++)
        HOLDS(c, !isnan(rows[i]), "a sampled value is nan, and sample is GM_OK");
out:;
}

void check_numeric(conformance *c)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    subject s;
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    if (subject_make(c, &s, 1) && subject_set_labels(c, &s, 0) && first_weight(s.model)) {
        SUCCEEDS(c, s.ctx, save_and_load(s.model, 0, path));
        SUCCEEDS(c, s.ctx, save_and_load(s.model, 1, path));
        refuse_file(c, &s, NAN, path);
        if (!c->failure[0]) refuse_file(c, &s, -INFINITY, path);
        if (!c->failure[0]) refuse_answers(c, &s);
    }
out:
    subject_release(&s);
    support_folder_remove(folder);
}
