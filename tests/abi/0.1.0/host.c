/* host.c - a program that was compiled with the headers of 0.1.0: a life of every family, a tape of
 * its own, scores and files, with structs of the sizes of then. It is built against those headers
 * alone and run with the library of today. */
#include "headers"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS 6
#define ROWS 16
#define HIDDEN 6

static gm_context *ctx;

/* Ends the program where a call fails: it is the host's to end. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        const gm_status ok_status = (call);                                                        \
        if (ok_status) {                                                                           \
            fprintf(stderr, "host of 0.1.0: %s is %s: %s\n", #call, gm_status_name(ok_status),     \
                    gm_context_error(ctx));                                                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define HOLDS(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "host of 0.1.0: line %d: not %s\n", __LINE__, #what);                  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static gm_layer *net(int64_t in, int64_t out)
{
    gm_layer *layers = NULL;
    OK(gm_sequence_create(&layers, ctx));
    gm_sequence_add_linear(layers, in, HIDDEN);
    gm_sequence_add_tanh(layers);
    gm_sequence_add_linear(layers, HIDDEN, out);
    OK(gm_sequence_status(layers));
    return layers;
}

static gm_generator *generator(int64_t latent, int64_t out, int32_t output)
{
    gm_generator_options o = GM_GENERATOR_OPTIONS_INIT;
    gm_generator *g = NULL;
    gm_layer *layers = net(latent, out);
    o.latent = latent;
    o.output = output;
    OK(gm_generator_create(&g, ctx, layers, &o));
    gm_layer_release(layers);
    return g;
}

static gm_model *make_generator(void)
{
    return gm_generator_model(generator(3, BITS, GM_OUTPUT_BERNOULLI));
}

static gm_model *make_vae(void)
{
    gm_vae_options o = GM_VAE_OPTIONS_INIT;
    gm_adam_options how = GM_ADAM_OPTIONS_INIT;
    gm_vae *vae = NULL;
    gm_layer *encoder = net(BITS, 4);
    gm_generator *decoder = generator(2, BITS, GM_OUTPUT_BERNOULLI);
    o.log_prob_samples = 3;
    how.rate = 0.01;
    OK(gm_adam_create(&o.optimizer, ctx, &how));
    OK(gm_vae_create(&vae, ctx, encoder, decoder, &o));
    gm_optimizer_release(o.optimizer);
    gm_generator_release(decoder);
    gm_layer_release(encoder);
    return gm_vae_model(vae);
}

static gm_model *make_gan(void)
{
    gm_gan_options o = GM_GAN_OPTIONS_INIT;
    gm_gan *gan = NULL;
    gm_generator *g = generator(3, BITS, GM_OUTPUT_DIRECT);
    gm_layer *d = net(BITS, 1);
    o.label_smoothing = 0.1;
    OK(gm_gan_create(&gan, ctx, g, d, &o));
    gm_layer_release(d);
    gm_generator_release(g);
    return gm_gan_model(gan);
}

static gm_autoencoder *codes(void)
{
    gm_autoencoder_options o = GM_AUTOENCODER_OPTIONS_INIT;
    gm_autoencoder *net_of_codes = NULL;
    gm_layer *encoder = net(BITS, 2), *decoder = net(2, BITS);
    OK(gm_autoencoder_create(&net_of_codes, ctx, BITS, encoder, decoder, &o));
    gm_layer_release(decoder);
    gm_layer_release(encoder);
    return net_of_codes;
}

static gm_model *make_autoencoder(void)
{
    return gm_autoencoder_model(codes());
}

static gm_model *make_gmmn(void)
{
    gm_gmmn_options o = GM_GMMN_OPTIONS_INIT;
    gm_gmmn *gmmn = NULL;
    gm_generator *g = generator(3, 2, GM_OUTPUT_DIRECT);
    o.autoencoder = codes();
    OK(gm_gmmn_create(&gmmn, ctx, g, &o));
    gm_autoencoder_release(o.autoencoder);
    gm_generator_release(g);
    return gm_gmmn_model(gmmn);
}

static gm_model *make_linear_ar(void)
{
    gm_linear_ar_options o = GM_LINEAR_AR_OPTIONS_INIT;
    gm_linear_ar *ar = NULL;
    OK(gm_linear_ar_create(&ar, ctx, BITS, &o));
    return gm_linear_ar_model(ar);
}

static gm_model *make_neural_ar(void)
{
    gm_neural_ar_options o = GM_NEURAL_AR_OPTIONS_INIT;
    gm_neural_ar *ar = NULL;
    o.hidden = 4;
    OK(gm_neural_ar_create(&ar, ctx, BITS, &o));
    return gm_neural_ar_model(ar);
}

static gm_model *make_made(void)
{
    static const int64_t hidden[1] = { HIDDEN };
    gm_made_options o = GM_MADE_OPTIONS_INIT;
    gm_made *made = NULL;
    o.hidden = hidden;
    o.layers = 1;
    OK(gm_made_create(&made, ctx, BITS, &o));
    return gm_made_model(made);
}

static gm_model *make_nade(void)
{
    gm_nade_options o = GM_NADE_OPTIONS_INIT;
    gm_nade *nade = NULL;
    o.hidden = HIDDEN;
    OK(gm_nade_create(&nade, ctx, BITS, &o));
    return gm_nade_model(nade);
}

static gm_model *make_pixelcnn(void)
{
    gm_pixelcnn_options o = GM_PIXELCNN_OPTIONS_INIT;
    gm_pixelcnn *net_of_pixels = NULL;
    o.hidden = 2;
    o.blocks = 2;
    o.head = HIDDEN;
    OK(gm_pixelcnn_create(&net_of_pixels, ctx, 2, 3, &o));
    return gm_pixelcnn_model(net_of_pixels);
}

static const int64_t units[2] = { 4, 2 };

static gm_model *make_sbn(void)
{
    gm_sbn_options o = GM_SBN_OPTIONS_INIT;
    gm_sbn *sbn = NULL;
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    OK(gm_sbn_create(&sbn, ctx, BITS, &o));
    return gm_sbn_model(sbn);
}

static gm_model *make_rbm(void)
{
    gm_rbm_options o = GM_RBM_OPTIONS_INIT;
    gm_rbm *rbm = NULL;
    OK(gm_rbm_create(&rbm, ctx, BITS, HIDDEN, &o));
    return gm_rbm_model(rbm);
}

static gm_model *make_dbn(void)
{
    gm_dbn_options o = GM_DBN_OPTIONS_INIT;
    gm_dbn *dbn = NULL;
    o.layer_count = 2;
    o.layers = units;
    o.log_prob_samples = 2;
    OK(gm_dbn_create(&dbn, ctx, BITS, &o));
    OK(gm_dbn_grow(dbn, NULL));
    return gm_dbn_model(dbn);
}

static int32_t passes;

static int32_t on_report(void *user, const gm_fit_report *report)
{
    HOLDS(user == &passes);
    HOLDS(report->size >= sizeof(gm_fit_report) && report->rows == ROWS);
    HOLDS(report->metric_count > 0 && report->metrics[0].value == report->metrics[0].value);
    passes += report->epoch_end;
    return 0;
}

static void live(gm_model *(*make)(void), gm_dataset *data, const float *rows, const char *path)
{
    gm_model *model = make(), *loaded = NULL;
    gm_tensor *samples = NULL;
    gm_metric metric[GM_MAX_METRICS];
    int32_t count = 0;
    double log_p[2][ROWS];
    if (gm_model_supports(model, GM_VERB_FIT)) {
        gm_fit_options fit = GM_FIT_OPTIONS_INIT;
        gm_model_evaluate_options how = GM_MODEL_EVALUATE_OPTIONS_INIT;
        fit.epochs = 2;
        fit.batch = 8;
        fit.validation = data;
        fit.patience = 2;
        fit.on_report = on_report;
        fit.user = &passes;
        fit.checkpoint = path;
        passes = 0;
        OK(gm_model_fit(model, data, &fit));
        HOLDS(passes == 2 && gm_model_epochs(model) == 2);
        how.batch = 8;
        OK(gm_model_evaluate(model, data, &how, metric, GM_MAX_METRICS, &count));
        HOLDS(count > 0 && !strcmp(metric[0].name, "loss"));
    }
    if (gm_model_supports(model, GM_VERB_SAMPLE)) {
        OK(gm_model_sample(&samples, model, 5));
        HOLDS(gm_tensor_size(samples, 0) == 5 && gm_tensor_size(samples, 1) == BITS);
        gm_tensor_release(samples);
    }
    OK(gm_model_save(model, path));
    OK(gm_model_load(&loaded, ctx, path));
    HOLDS(!strcmp(gm_model_family(loaded), gm_model_family(model)));
    if (gm_model_supports(model, GM_VERB_LOG_PROB)) {
        gm_likelihood likelihood = GM_LIKELIHOOD_INIT;
        gm_log_prob_options how = GM_LOG_PROB_OPTIONS_INIT;
        OK(gm_model_likelihood(&likelihood, model));
        HOLDS(likelihood.size == sizeof likelihood);
        OK(gm_model_log_prob_estimate(&likelihood, model, rows, ROWS, &how, log_p[0], NULL));
        OK(gm_model_log_prob(loaded, rows, ROWS, log_p[1]));
        for (int i = 0; i < ROWS; i++) HOLDS(log_p[0][i] < 0 && log_p[1][i] < 0);
        if (likelihood.kind == GM_LIKELIHOOD_EXACT)
            HOLDS(!memcmp(log_p[0], log_p[1], sizeof log_p[0]));
    }
    gm_model_release(loaded);
    gm_model_release(model);
}

/* Structs that callers lend and the library fills. */
static void judge(gm_dataset *data)
{
    gm_result auc = GM_RESULT_INIT;
    gm_linear_ar *ar = NULL;
    static const double usual[4] = { 1, 2, 3, 4 }, unusual[2] = { 3.5, 6 };
    OK(gm_auc(&auc, ctx, usual, 4, unusual, 2));
    HOLDS(auc.size == sizeof auc && auc.rows == 6);
    HOLDS(auc.value == 1.0 / 8); /* the part of pairs in which the usual one has the higher score */
    OK(gm_linear_ar_create(&ar, ctx, BITS, NULL));
    gm_nll_options how = GM_NLL_OPTIONS_INIT;
    gm_result nll = GM_RESULT_INIT;
    OK(gm_evaluate_nll(&nll, gm_linear_ar_model(ar), data, &how));
    HOLDS(nll.rows == ROWS && nll.value > 0);
    gm_linear_ar_release(ar);
}

/* A step of one's own: a tape, a layer, a loss, an optimizer with a schedule. */
static void descend(const float *rows)
{
    static const int64_t shape[2] = { ROWS, BITS };
    gm_tape *tape = NULL;
    gm_layer *layers = net(BITS, BITS);
    gm_optimizer *adam = NULL;
    gm_adam_options how = GM_ADAM_OPTIONS_INIT;
    gm_schedule schedule = GM_SCHEDULE_INIT;
    double loss[2] = { 0, 0 };
    how.rate = 0.05;
    schedule.kind = GM_SCHEDULE_COSINE;
    schedule.period = 100;
    OK(gm_tape_create(&tape, ctx, NULL));
    OK(gm_adam_create(&adam, ctx, &how));
    OK(gm_optimizer_add(adam, gm_layer_params(layers)));
    OK(gm_optimizer_set_schedule(adam, &schedule));
    for (int step = 0; step < 20; step++) {
        gm_tape_reset(tape);
        const gm_var x = gm_input_array(tape, 2, shape, rows);
        const gm_var y = gm_mean(tape, gm_bce_with_logits(tape, gm_apply(tape, layers, x), x));
        OK(gm_backward(tape, y, gm_layer_params(layers)));
        loss[step > 0] = gm_scalar(tape, y);
        OK(gm_optimizer_step(adam));
    }
    HOLDS(loss[1] < loss[0]);
    gm_optimizer_release(adam);
    gm_layer_release(layers);
    gm_tape_release(tape);
}

/* host PATH: a file there is written and read. */
int main(int argc, char **argv)
{
    static gm_model *(*const makers[])(void) = {
        make_generator, make_vae,       make_gan,  make_autoencoder, make_gmmn,
        make_linear_ar, make_neural_ar, make_made, make_nade,        make_pixelcnn,
        make_sbn,       make_rbm,       make_dbn,
    };
    static const int64_t shape[2] = { ROWS, BITS };
    const int count = (int)(sizeof makers / sizeof *makers);
    float rows[ROWS * BITS];
    gm_dataset *data = NULL;
    gm_context_options o = GM_CONTEXT_OPTIONS_INIT;
    if (argc != 2) return 2;
    o.seed = 3;
    o.threads = 2;
    OK(gm_context_create(&ctx, GM_HEADER_VERSION, &o));
    for (int i = 0; i < ROWS * BITS; i++) rows[i] = (float)(i / BITS % 3 == i % 3);
    OK(gm_dataset_from_memory(&data, ctx, 2, shape, rows));
    for (int i = 0; i < count; i++) live(makers[i], data, rows, argv[1]);
    judge(data);
    descend(rows);
    gm_dataset_release(data);
    gm_context_release(ctx);
    printf("abi: a host of 0.1.0 lives %d families with %s\n", count, gm_version_text());
    return 0;
}
