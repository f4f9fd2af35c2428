/* Around blocks marked "c: serving", which define serve: a frozen model of rows of 6 bits. */
#define _GNU_SOURCE
#include <gm/gm.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int serve(gm_frozen *frozen);

/* BLOCK */

int main(void)
{
    gm_context *ctx = NULL;
    gm_nade *nade = NULL;
    gm_frozen *frozen = NULL;
    gm_status s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL);
    if (!s) s = gm_nade_create(&nade, ctx, 6, NULL);
    if (!s) s = gm_model_freeze(&frozen, gm_nade_model(nade));
    gm_nade_release(nade);
    gm_context_release(ctx);
    const int failed = s || serve(frozen);
    gm_frozen_release(frozen);
    return failed;
}
