/* Around blocks marked "c: context": a context, a status, and a way out. */
#include <gm/gm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    gm_context *ctx = NULL;
    gm_status s;

    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    {
        /* BLOCK */
    }
    goto out;
out:
    if (s || *gm_context_error(ctx)) printf("%s: %s\n", gm_status_name(s), gm_context_error(ctx));
    return s || *gm_context_error(ctx);
}
