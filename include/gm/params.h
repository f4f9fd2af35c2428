/* gm/params.h - parameters: named arrays with a gradient each, in ordered sets.
 *
 * Layers and models make their own parameters; an optimizer updates those of a set, gm_backward
 * computes the gradients of those of a set, and everything else counts as a constant. A parameter
 * may be in several sets and several layers: its value is then shared.
 *
 * Names are those of the files: gm_params_name gives "0.weight" where PyTorch has it too.
 */
#ifndef GM_PARAMS_H
#define GM_PARAMS_H

#include "gm/rng.h"
#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_param gm_param;
typedef struct gm_params gm_params;

/* How a parameter starts. fan_in and fan_out are the weight's columns times receptive field, and
 * rows likewise. */
#define GM_INIT_DEFAULT 0  /* uniform in +-1/sqrt(fan_in), weights and biases */
#define GM_INIT_CONSTANT 1 /* a */
#define GM_INIT_UNIFORM 2  /* [a, b) */
#define GM_INIT_NORMAL 3   /* mean a, standard deviation b */
#define GM_INIT_GLOROT_UNIFORM                                                                     \
    4 /* +-a sqrt(6 / (fan_in + fan_out)); a: gain. Glorot and Bengio 2010 */
#define GM_INIT_GLOROT_NORMAL 5 /* deviation a sqrt(2 / (fan_in + fan_out)) */
#define GM_INIT_HE_UNIFORM 6 /* +-a sqrt(3 / fan_in); a: gain, sqrt(2) for ReLU. He et al. 2015 */
#define GM_INIT_HE_NORMAL 7  /* deviation a / sqrt(fan_in) */
#define GM_INIT_ORTHOGONAL 8 /* rows or columns orthonormal, times a. Saxe et al. 2014 */

/* A parameter of the given shape, zero. name is copied: 1 to 63 characters of [A-Za-z0-9_.-]
 * (GM_E_INVALID else). fan_in, fan_out follow from the shape: rank 2 [out, in]; rank 4 [out, in,
 * kh, kw]; rank 1: both its size. */
GM_API gm_status gm_param_create(gm_param **out, gm_context *context, const char *name,
                                 int32_t rank, const int64_t *shape);
/* Retain adds an owner, release removes one; both accept NULL. */
GM_API void gm_param_retain(gm_param *param);
GM_API void gm_param_release(gm_param *param);

/* Fills the value. rng NULL: a stream of the context. GM_E_INVALID: unknown kind, a value out of
 * range; GM_E_SHAPE: orthogonal needs rank 2 or more; GM_E_NOMEM (orthogonal needs scratch);
 * GM_E_NUMERIC (orthogonal, no matrix of full rank in several draws). The value is untouched then.
 */
GM_API gm_status gm_param_init(gm_param *param, int32_t kind, double a, double b, gm_rng *rng);

/* Getters: "" for the name, 0 and NULL for the others if param is NULL. Shape and name are valid
 * while the parameter is. */
GM_API const char *gm_param_name(const gm_param *param);
GM_API int32_t gm_param_rank(const gm_param *param);
GM_API const int64_t *gm_param_shape(const gm_param *param);
GM_API int64_t gm_param_count(const gm_param *param);
/* Value and gradient, gm_param_count floats each; the addresses never change. The gradient is zero
 * at first, and its memory is taken when it is first needed: by gm_backward, by a step of an
 * optimizer, or by this call, which returns NULL if there is none (GM_E_NOMEM in the line). So a
 * model that only samples or scores holds no gradients. */
GM_API float *gm_param_value(gm_param *param);
GM_API float *gm_param_gradient(gm_param *param);

/* An ordered set of parameters under unique names. It retains its parameters. */
GM_API gm_status gm_params_create(gm_params **out, gm_context *context);
GM_API void gm_params_retain(gm_params *params);
GM_API void gm_params_release(gm_params *params);

/* Adds under prefix + the parameter's own name (prefix NULL: ""). GM_E_INVALID: the name is taken
 * or too long (over 127 characters), or the parameter is in the set already; GM_E_NOMEM. */
GM_API gm_status gm_params_add(gm_params *params, const char *prefix, gm_param *param);
/* Adds all of another set, or nothing. A parameter that two of the set's parts share is added once.
 */
GM_API gm_status gm_params_add_all(gm_params *params, const char *prefix, const gm_params *other);

/* How many there are; the index-th and its name in the set, in the order of adding (NULL out of
 * range); the one of that name (NULL: none); floats in all values together. Borrowed. */
GM_API int64_t gm_params_count(const gm_params *params);
GM_API gm_param *gm_params_get(const gm_params *params, int64_t index);
GM_API const char *gm_params_name(const gm_params *params, int64_t index);
GM_API gm_param *gm_params_find(const gm_params *params, const char *name);
GM_API int64_t gm_params_elements(const gm_params *params);

/* Norm of all gradients together, sqrt(sum g^2), in double; not finite when a gradient is not. */
GM_API double gm_params_gradient_norm(const gm_params *params);
GM_API void gm_params_zero_gradients(gm_params *params);
/* Copies all values out of, or into, one array of gm_params_elements floats. GM_E_SHAPE: another
 * count. */
GM_API gm_status gm_params_read(const gm_params *params, int64_t count, float *values);
GM_API gm_status gm_params_write(gm_params *params, const float *values, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
