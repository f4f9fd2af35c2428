/* loop_state.c - --checkpoint and --resume of programs with a training loop of their own. */
#include "loop_state.h"

#include "message.h"

#include "gm/extend.h"
#include "gm/layer_file.h"

#include <stdio.h>
#include <string.h>

#define KIND "training loop"

gm_status loop_state_save(const struct loop_state *state, const struct run *r, int64_t epochs)
{
    gm_archive *archive = NULL;
    char name[32];
    gm_status s;
    if (!r->options.checkpoint) return GM_OK;
    if ((s = gm_archive_create(&archive, r->context))) goto out;
    if ((s = gm_archive_set_text(archive, "kind", KIND))) goto out;
    if ((s = gm_archive_set_text(archive, "program", state->program))) goto out;
    if ((s = gm_archive_set_int(archive, "epochs", epochs))) goto out;
    if ((s = gm_archive_put_params(archive, "params.", state->params))) goto out;
    for (int i = 0; i < LOOP_STATE_MOST && state->optimizers[i]; i++) {
        snprintf(name, sizeof name, "optimizer.%d.", i);
        if ((s = gm_optimizer_save(state->optimizers[i], archive, name))) goto out;
    }
    for (int i = 0; i < LOOP_STATE_MOST && state->rngs[i]; i++) {
        gm_rng_state bytes;
        memset(&bytes, 0, sizeof bytes);
        gm_rng_save(&bytes, state->rngs[i]);
        snprintf(name, sizeof name, "rng.%d", i);
        if ((s = gm_archive_put_bytes(archive, name, &bytes, sizeof bytes))) goto out;
    }
    s = gm_archive_write(archive, r->options.checkpoint);
out:
    gm_archive_release(archive);
    return s;
}

static gm_status read_state(const struct loop_state *state, gm_archive *archive, int64_t *epochs)
{
    char name[32];
    gm_status s;
    if ((s = gm_archive_get_int(epochs, archive, "epochs"))) return s;
    if ((s = gm_archive_get_params(archive, "params.", state->params))) return s;
    for (int i = 0; i < LOOP_STATE_MOST && state->optimizers[i]; i++) {
        snprintf(name, sizeof name, "optimizer.%d.", i);
        if ((s = gm_optimizer_load(state->optimizers[i], archive, name))) return s;
    }
    for (int i = 0; i < LOOP_STATE_MOST && state->rngs[i]; i++) {
        const void *bytes = NULL;
        size_t size = 0;
        gm_rng_state read;
        snprintf(name, sizeof name, "rng.%d", i);
        if ((s = gm_archive_get_bytes(&bytes, &size, archive, name))) return s;
        if (size != sizeof read)
            return gm_context_fail(gm_archive_context(archive), GM_E_FORMAT,
                                   "the checkpoint's random stream has another size");
        memcpy(&read, bytes, sizeof read);
        gm_rng_restore(state->rngs[i], &read);
    }
    return GM_OK;
}

int loop_state_resume(const struct loop_state *state, const struct run *r, int64_t *epochs,
                      gm_status *s)
{
    const char *path = r->options.resume, *program = "";
    gm_archive *archive = NULL;
    int status;
    *epochs = 0;
    if (!path) return OPTIONS_GO_ON;
    if ((status = run_find_file(path, "--resume")) != OPTIONS_GO_ON) return status;
    if ((*s = gm_archive_open(&archive, r->context, path))) return 1;
    if (!gm_archive_has(archive, "program") || gm_archive_get_text(&program, archive, "program") ||
        strcmp(program, state->program)) {
        message("--resume '%s' is no checkpoint of %s", path, state->program);
        status = 2;
    } else if ((*s = read_state(state, archive, epochs))) {
        status = 1;
    }
    gm_archive_release(archive);
    return status;
}
