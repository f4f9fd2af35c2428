/* check_way_back.c - a loss that is not finite: GM_E_NUMERIC, and the weights of before the update
 * that led there; all else as it was before the step. */
#include "conformance.h"
#include "models/family.h"

#define GOOD_STEPS 3

static float *weights(gm_model *model)
{
    const int64_t count = gm_params_elements(model->params);
    float *w = malloc((size_t)count * sizeof *w);
    ck_assert(w && gm_params_read(model->params, count, w) == GM_OK);
    return w;
}

static void set_weights(gm_model *model, const float *w)
{
    ck_assert_int_eq(gm_params_write(model->params, w, gm_params_elements(model->params)), GM_OK);
}

/* The parameters that training moves: those that are not as they were before the latest update
 * (NULL: all). */
static void spoil(gm_model *model, const float *before)
{
    for (int64_t i = 0; i < gm_params_count(model->params); i++) {
        gm_param *p = gm_params_get(model->params, i);
        const int64_t count = gm_param_count(p);
        const int still =
            before && !memcmp(gm_param_value(p), before, (size_t)count * sizeof *before);
        for (int64_t k = 0; k < count && !still; k++) gm_param_value(p)[k] = NAN;
        if (before) before += count;
    }
}

static int step(conformance *c, subject *s, gm_status expected)
{
    float rows[CONFORMANCE_ROWS * MAKER_BITS];
    conformance_rows(rows);
    const gm_status status = c->verbs->step(s->model, rows, CONFORMANCE_ROWS, NULL, 0, NULL);
    HOLDS(c, status == expected, "a step is %s, expected %s (%s)", gm_status_name(status),
          gm_status_name(expected), gm_context_error(s->ctx));
    return 1;
out:
    return 0;
}

/* Weights that the host spoils after some good updates; and before the first one, when there are
 * none to go back to. */
static void spoilt_weights(conformance *c, int good)
{
    float *before = NULL, *latest = NULL, *back = NULL;
    unsigned char *file[2] = { NULL, NULL };
    size_t size[2] = { 0, 0 };
    subject s[2] = { { 0 } };
    char line[64];
    for (int k = 0; k < 2; k++)
        if (!subject_make(c, &s[k], 1) || !subject_set_labels(c, &s[k], 0)) goto out;
    if (!CAN(&s[0], FIT)) goto out;
    for (int i = 0; i < good; i++) {
        free(before);
        before = weights(s[0].model);
        for (int k = 0; k < 2; k++)
            if (!step(c, &s[k], GM_OK)) goto out;
    }
    latest = weights(s[0].model);
    file[0] = conformance_bytes(c, s[0].model, 1, &size[0]);
    spoil(s[0].model, before);
    if (!step(c, &s[0], GM_E_NUMERIC)) goto out;
    snprintf(line, sizeof line, "at update %d", good + 1);
    HOLDS(c, support_says(gm_context_error(s[0].ctx), line), "no \"%s\" in \"%s\"", line,
          gm_context_error(s[0].ctx));
    HOLDS(c, gm_model_steps(s[0].model) == good, "%lld updates, expected %d",
          (long long)gm_model_steps(s[0].model), good);
    back = weights(s[0].model);
    if (good)
        HOLDS(c,
              !memcmp(back, before, (size_t)gm_params_elements(s[0].model->params) * sizeof *back),
              "the weights of before the latest update are not back");
    else
        HOLDS(c, isnan(back[0]), "weights that nothing led to are changed");
    /* With the weights that the host had taken away, it is the model that it was. */
    set_weights(s[0].model, latest);
    file[1] = conformance_bytes(c, s[0].model, 1, &size[1]);
    HOLDS(c, file[0] && file[1] && size[0] == size[1] && !memcmp(file[0], file[1], size[0]),
          "moments, state or random stream are not as before the step");
    for (int k = 0; k < 2; k++)
        if (!step(c, &s[k], GM_OK)) goto out;
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1),
          "the step after it is not that of a model without it");
out:
    for (int k = 0; k < 2; k++) subject_release(&s[k]);
    free(before);
    free(latest);
    free(back);
    free(file[0]);
    free(file[1]);
}

/* The same inside a fit, which stops there. */
static void spoilt_fit(conformance *c)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    float *before = NULL, *back = NULL;
    subject s;
    if (!subject_make(c, &s, 1)) goto out;
    if (!CAN(&s, FIT)) goto out;
    fit.epochs = 1;
    fit.batch = CONFORMANCE_ROWS;
    before = weights(s.model);
    SUCCEEDS(c, s.ctx, gm_model_fit(s.model, s.data, &fit));
    spoil(s.model, before);
    REFUSES(c, s.ctx, c->verbs->fit(s.model, s.data, &fit), GM_E_NUMERIC, "at update 2");
    back = weights(s.model);
    HOLDS(c, !memcmp(back, before, (size_t)gm_params_elements(s.model->params) * sizeof *back),
          "a fit did not put the weights back");
    SUCCEEDS(c, s.ctx, gm_model_fit(s.model, s.data, &fit));
out:
    subject_release(&s);
    free(before);
    free(back);
}

void check_way_back(conformance *c)
{
    spoilt_weights(c, 0);
    spoilt_weights(c, GOOD_STEPS);
    spoilt_fit(c);
}
