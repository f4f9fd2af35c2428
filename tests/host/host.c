/* host.c - a program outside the tree, built against the installed library through pkg-config. As C
 * and as C++. */
#include <gm/gm.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    gm_context *ctx = NULL;
    gm_context_options options = GM_CONTEXT_OPTIONS_INIT;
    gm_tape *tape = NULL;
    gm_status s;
    int ok = 0;

    options.seed = 7;
    options.threads = 2;
    s = gm_context_create(&ctx, GM_HEADER_VERSION, &options);
    if (s != GM_OK) {
        fprintf(stderr, "%s\n", gm_status_name(s));
        return 1;
    }
    s = gm_tape_create(&tape, ctx, NULL);
    if (s == GM_OK) {
        const int64_t shape[2] = { 2, 2 };
        const float a[4] = { 1, 2, 3, 4 };
        gm_var x = gm_input_array(tape, 2, shape, a);
        gm_var y = gm_matmul(tape, x, x, 0, 0);
        const float want[4] = { 7, 10, 15, 22 };
        s = gm_tape_status(tape);
        ok = s == GM_OK && memcmp(gm_value(tape, y), want, sizeof want) == 0;
    }
    if (s != GM_OK) fprintf(stderr, "%s: %s\n", gm_status_name(s), gm_context_error(ctx));
    printf("libgm %s: %s\n", gm_version_text(), ok ? "ok" : "wrong");
    gm_tape_release(tape);
    gm_context_release(ctx);
    return ok ? 0 : 1;
}
