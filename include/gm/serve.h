/* gm/serve.h - one model for many threads: frozen models, and a reader of one for each thread.
 *
 *     gm_frozen_load(&frozen, context, "nade.safetensors");      once
 *     ...
 *     gm_reader_create(&reader, own_context, frozen, max_rows);  in each thread
 *     gm_model_log_prob(gm_reader_model(reader), rows, count, log_prob);
 *
 * A frozen model is the weights, and what a model's file says of them, as they were when it was
 * frozen: nothing changes it. It is counted atomically and outlives the context it was made with:
 * any thread may retain and release it and make readers of it at any time.
 *
 * A reader is a model that only reads. It takes the weights where the frozen model has them, and
 * owns its working memory, its random stream and its labels. It is made with a context of the
 * thread that uses it, and like all that is made from a context it belongs to one thread at a time.
 * gm_reader_model is its view; gm_nade_from_model, gm_vae_from_model and so on give the family's
 * handle, borrowed, and these functions work on it:
 *
 *   all families         sample_into, log_prob, log_prob_estimate, likelihood, set_labels, seed
 *   autoregressive ones  log_probs, conditionals, sample_given, log_marginal, impute, order
 *   vae                  encode, decode, reconstruct, interpolate, elbo, log_prob
 *   generator            decode, sample, log_prob
 *   autoencoder          encode, decode
 *   gan                  discriminate; its generator's functions
 *   gmmn                 its generator's and its autoencoder's functions
 *   sbn                  sample, log_joint, recognise, log_prob, mean_field
 *   rbm                  free_energy, hidden_probabilities, gibbs, log_z, set_log_z
 *   dbn                  features, bound, log_prob; the functions of its machines
 *   gm_anomaly           load, score, quantile, threshold
 *
 * for up to max_rows rows at a time (GM_E_INVALID: more). After gm_reader_create they allocate
 * nothing, take no lock and make no system call, and their products take kernels of the library in
 * place of BLAS, in which a row's bits do not depend on the rows beside it. All memory is there
 * from the start: whatever would need more, such as more posterior samples or draws than by
 * default, is GM_E_NOMEM, and the line says for how many rows the memory is. Training, saving and
 * whatever else would write weights is GM_E_STATE; gm_sbn_enumerate, gm_sbn_gibbs and gm_rbm_ais
 * are not for readers either (GM_E_STATE). The values of the view's parameters are the frozen
 * model's and must not be written: they may be mapped read-only.
 *
 * How long a function may take, by family, is in docs/serving.md. With the same frozen model, seed
 * and rows all readers give the same bits. They may differ in the last ones from those of
 * gm_model_load, whose products go through BLAS.
 *
 * To change the model while readers are at work, load the new one beside it, make new readers, and
 * release the old ones when their threads come by: a frozen model stays as long as it has an owner
 * or a reader.
 */
#ifndef GM_SERVE_H
#define GM_SERVE_H

#include "gm/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_frozen gm_frozen;
typedef struct gm_reader gm_reader;

/* A frozen copy of a model as gm_model_save would write it, in memory of the allocator of the
 * model's context. The last release gives it back, from whatever thread: an allocator of the host's
 * must bear that, and its `user` outlive the frozen model. The model itself stays as it is.
 * *out is NULL after a failure. GM_E_INVALID: NULL; GM_E_STATE: a reader's model, or called from
 * inside a callback of the model; GM_E_UNSUPPORTED: the family has no save; GM_E_NOMEM. */
GM_API gm_status gm_model_freeze(gm_frozen **out, gm_model *model);

/* A frozen model from a file of gm_model_save. The file is mapped into memory, and the weights are
 * used where they lie: several processes share them. Its checksums are compared once, here. Replace
 * such a file as gm_model_save does (a new file renamed over it); cut short in place, it would take
 * the process down at the next access (SIGBUS), as any mapped file does. A checkpoint, and weights
 * that are not aligned singles, are read into memory instead, as one copy for all readers. Nothing
 * in the file is trusted: statuses as gm_model_load. */
GM_API gm_status gm_frozen_load(gm_frozen **out, gm_context *context, const char *path);

/* The same from the bytes of such a file in the host's memory, aligned to 8 bytes (else its weights
 * are copied). They must stay as they are until `release` is called with `user`, after the last
 * owner and reader are gone, from whatever thread that is (release may be NULL when the memory
 * outlives them), or at once when the weights were copied. On failure release is not called. */
GM_API gm_status gm_frozen_wrap(gm_frozen **out, gm_context *context, const void *bytes,
                                size_t count, void (*release)(void *user, const void *bytes),
                                void *user);

/* Retain adds an owner, release removes one: from any thread. Both accept NULL. */
GM_API void gm_frozen_retain(gm_frozen *frozen);
GM_API void gm_frozen_release(gm_frozen *frozen);

/* The family's name ("" for NULL), the floats in a row, and the size of the weights' bytes. */
GM_API const char *gm_frozen_family(const gm_frozen *frozen);
GM_API int64_t gm_frozen_row_size(const gm_frozen *frozen);
GM_API size_t gm_frozen_bytes(const gm_frozen *frozen);

/* A reader for up to max_rows rows at a time, which retains the frozen model and the context. It
 * takes about as long as one call of each of its functions with max_rows rows, and for its length
 * once more memory, at most as much as the weights. Its random stream is that of the saved model:
 * seed each reader (gm_model_seed) where their samples should differ. Families and layers of the
 * host's are those registered with the context; what their callbacks do is up to the host. *out is
 * NULL after a failure. GM_E_INVALID: NULL, max_rows < 1; GM_E_UNSUPPORTED: a family of the host's
 * that the context does not know; GM_E_NOMEM. */
GM_API gm_status gm_reader_create(gm_reader **out, gm_context *context, gm_frozen *frozen,
                                  int64_t max_rows);
/* The bytes that such a reader holds, besides the weights, into *out: found by making one and
 * releasing it. Statuses as gm_reader_create. */
GM_API gm_status gm_reader_bytes(size_t *out, gm_context *context, gm_frozen *frozen,
                                 int64_t max_rows);

/* Retain adds an owner, release removes one. Both accept NULL. */
GM_API void gm_reader_retain(gm_reader *reader);
GM_API void gm_reader_release(gm_reader *reader);

/* The view, borrowed (retaining it retains the weights, not the reader), and the number of rows;
 * NULL and 0 for NULL. */
GM_API gm_model *gm_reader_model(const gm_reader *reader);
GM_API int64_t gm_reader_max_rows(const gm_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
