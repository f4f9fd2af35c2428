/* check_files.c - saving, loading, resuming and threads: the same bytes. */
#include "conformance.h"
#include "models/family.h"

static int train(conformance *c, subject *s, int64_t epochs)
{
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = epochs;
    fit.batch = 8;
    SUCCEEDS(c, s->ctx, c->verbs->fit(s->model, s->data, &fit));
    return 1;
out:
    return 0;
}

/* The model of this file, in the place of the subject's. */
static int reload(conformance *c, subject *s, int checkpoint)
{
    char folder[SUPPORT_PATH], path[SUPPORT_PATH + 16];
    gm_model *loaded = NULL;
    int done = 0;
    support_memory_folder();
    support_folder_make(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    SUCCEEDS(c, s->ctx,
             checkpoint ? gm_model_save_checkpoint(s->model, path) : gm_model_save(s->model, path));
    SUCCEEDS(c, s->ctx, gm_model_load(&loaded, s->ctx, path));
    HOLDS(c, !strcmp(gm_model_family(loaded), c->maker->family), "a file of %s holds a %s",
          c->maker->family, gm_model_family(loaded));
    gm_model_release(s->model);
    s->model = loaded;
    done = 1;
out:
    support_folder_remove(folder);
    return done;
}

/* What a model gives: samples, and log p of all states. */
typedef struct given {
    float samples[30 * MAKER_BITS];
    double log_p[MAKER_STATES];
} given;

static int ask(conformance *c, subject *s, given *out)
{
    float rows[MAKER_STATES * MAKER_BITS];
    const int64_t label = 1;
    memset(out, 0, sizeof *out);
    maker_states(rows);
    if (c->maker->labels) SUCCEEDS(c, s->ctx, gm_model_set_labels(s->model, &label, 1));
    if (CAN(s, SAMPLE)) SUCCEEDS(c, s->ctx, conformance_sample(s->model, 30, out->samples));
    if (CAN(s, LOG_PROB))
        SUCCEEDS(c, s->ctx, gm_model_log_prob(s->model, rows, MAKER_STATES, out->log_p));
    return 1;
out:
    return 0;
}

/* Saved, loaded, saved: the same file; and the loaded model gives what the saved one gives. */
void check_files(conformance *c)
{
    subject s;
    given before, after;
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        unsigned char *file[2] = { NULL, NULL };
        size_t size[2] = { 0, 0 };
        if (!subject_make(c, &s, 1)) goto out;
        if (CAN(&s, FIT) && !train(c, &s, 1)) goto out;
        file[0] = conformance_bytes(c, s.model, checkpoint, &size[0]);
        if (file[0] && reload(c, &s, checkpoint))
            file[1] = conformance_bytes(c, s.model, checkpoint, &size[1]);
        const int same =
            file[0] && file[1] && size[0] == size[1] && !memcmp(file[0], file[1], size[0]);
        free(file[0]);
        free(file[1]);
        HOLDS(c, same, "a %s that is loaded and saved is another file",
              checkpoint ? "checkpoint" : "model");
        if (CAN(&s, FIT) && checkpoint && !train(c, &s, 1)) goto out;
        subject_release(&s);
        if (!subject_make(c, &s, 1)) goto out;
        if (CAN(&s, FIT) && !train(c, &s, 1)) goto out;
        gm_rng_state stream;
        gm_rng_save(&stream, s.model->rng);
        if (!ask(c, &s, &before)) goto out;
        gm_rng_restore(s.model->rng, &stream);
        if (!reload(c, &s, checkpoint) || !ask(c, &s, &after)) goto out;
        HOLDS(c, !memcmp(before.samples, after.samples, sizeof before.samples),
              "samples of a loaded model are others");
        HOLDS(c, !memcmp(before.log_p, after.log_p, sizeof before.log_p),
              "log p of a loaded model is another");
        subject_release(&s);
    }
out:
    subject_release(&s);
}

/* Two epochs, a checkpoint, two epochs: as four; in one fit and in fits of one epoch. */
void check_resume(conformance *c)
{
    subject s[3] = { { 0 } };
    for (int k = 0; k < 3; k++)
        if (!subject_make(c, &s[k], 1)) goto out;
    if (!CAN(&s[0], FIT)) goto out;
    if (!train(c, &s[0], 4) || !train(c, &s[1], 2) || !reload(c, &s[1], 1) || !train(c, &s[1], 2))
        goto out;
    for (int k = 0; k < 4; k++)
        if (!train(c, &s[2], 1)) goto out;
    HOLDS(c, gm_model_epochs(s[1].model) == 4, "%lld epochs, expected 4",
          (long long)gm_model_epochs(s[1].model));
    HOLDS(c, conformance_same(c, s[0].model, s[2].model, 1),
          "four fits are not one of four epochs");
    HOLDS(c, conformance_same(c, s[0].model, s[1].model, 1), "a resumed fit has other bytes");
out:
    for (int k = 0; k < 3; k++) subject_release(&s[k]);
}

/* 1, 2 and 3 threads. */
void check_threads(conformance *c)
{
    subject s[3] = { { 0 } };
    given found[3];
    for (int k = 0; k < 3; k++) {
        if (!subject_make(c, &s[k], k + 1)) goto out;
        if (CAN(&s[k], FIT) && !train(c, &s[k], 2)) goto out;
        if (!ask(c, &s[k], &found[k])) goto out;
        HOLDS(c, !memcmp(&found[0], &found[k], sizeof found[k]),
              "samples or log p with %d threads are others", k + 1);
        HOLDS(c, conformance_same(c, s[0].model, s[k].model, 1),
              "training with %d threads has other bytes", k + 1);
    }
out:
    for (int k = 0; k < 3; k++) subject_release(&s[k]);
}
