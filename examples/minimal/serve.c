/* serve.c - one model for many threads: a frozen NADE, and in each thread a reader of it.
 *
 *     cc serve.c $(pkg-config --cflags --libs gm) -pthread -o serve
 *     ./serve [IMAGES [MODEL]]    an IDX file of images, plain or gz; where to save the model
 */
#include <gm/gm.h>

#include <pthread.h>
#include <stdio.h>

#define THREADS 4
typedef struct task {
    gm_frozen *frozen; /* the same for all */
    const float *rows;
    int64_t count;
    double sum; /* of log p */
} task;

/* What a thread of a server does: all is made once, then it allocates and locks nothing. */
static void *score(void *arg)
{
    task *t = arg;
    gm_context *ctx = NULL; /* of this thread alone */
    gm_reader *reader = NULL;
    double log_p = 0;
    gm_status s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL);
    if (!s) s = gm_reader_create(&reader, ctx, t->frozen, 1);
    for (int64_t i = 0; !s && i < t->count; i++) {
        const float *row = t->rows + i * gm_frozen_row_size(t->frozen);
        s = gm_model_log_prob(gm_reader_model(reader), row, 1, &log_p);
        t->sum += log_p;
    }
    if (s) fprintf(stderr, "serve: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    gm_reader_release(reader);
    gm_context_release(ctx);
    return s ? arg : NULL;
}

int main(int argc, char **argv)
{
    const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
    const char *file = argc > 2 ? argv[2] : "nade.safetensors";
    gm_context *ctx = NULL;
    gm_dataset *bytes = NULL, *bits = NULL;
    gm_tensor *rows = NULL;
    gm_nade *nade = NULL;
    gm_frozen *frozen = NULL;
    pthread_t threads[THREADS];
    task tasks[THREADS];
    gm_status s;
    if ((s = gm_context_create(&ctx, GM_HEADER_VERSION, NULL))) goto out;
    if ((s = gm_dataset_open_idx(&bytes, ctx, images))) goto out;
    if ((s = gm_dataset_threshold(&bits, bytes, 127))) goto out;
    const int64_t count = gm_dataset_rows(bits) / THREADS, width = gm_dataset_row_size(bits);
    if ((s = gm_dataset_read_tensor(&rows, bits, 0, THREADS * count, 0))) goto out;
    if ((s = gm_nade_create(&nade, ctx, width, NULL))) goto out; /* a server has the file already */
    if ((s = gm_nade_init_biases(nade, bits))) goto out;
    if ((s = gm_model_save(gm_nade_model(nade), file))) goto out;
    if ((s = gm_frozen_load(&frozen, ctx, file))) goto out; /* mapped: the weights are there once */
    int started = 0;
    double sum = 0;
    for (; started < THREADS; started++) {
        tasks[started] = (task){ frozen, gm_tensor_read(rows) + started * count * width, count, 0 };
        if (pthread_create(&threads[started], NULL, score, &tasks[started])) break;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        sum += tasks[i].sum;
    }
    printf("log p(x): %g nats, %d threads\n", sum / (double)(count * started), started);
out:
    if (s) fprintf(stderr, "serve: %s: %s\n", gm_status_name(s), gm_context_error(ctx));
    gm_frozen_release(frozen);
    gm_nade_release(nade);
    gm_tensor_release(rows);
    gm_dataset_release(bits);
    gm_dataset_release(bytes);
    gm_context_release(ctx);
    return s != GM_OK;
}
