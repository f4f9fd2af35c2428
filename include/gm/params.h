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

/* Initialisers, with numbers a and b. fan_in and fan_out are the weight's columns, and its rows,
 * times the size of the receptive field. */
#define GM_INIT_DEFAULT 0  /* uniform in +-1/sqrt(fan_in), weights and biases */
#define GM_INIT_CONSTANT 1 /* a */
#define GM_INIT_UNIFORM 2  /* [a, b) */
#define GM_INIT_NORMAL 3   /* mean a, standard deviation b */
/* Uniform in +-a sqrt(6 / (fan_in + fan_out)), a: gain (Glorot and Bengio 2010). */
#define GM_INIT_GLOROT_UNIFORM 4
#define GM_INIT_GLOROT_NORMAL 5 /* deviation a sqrt(2 / (fan_in + fan_out)) */
#define GM_INIT_HE_UNIFORM 6 /* +-a sqrt(3 / fan_in); a: gain, sqrt(2) for ReLU. He et al. 2015 */
#define GM_INIT_HE_NORMAL 7  /* deviation a / sqrt(fan_in) */
#define GM_INIT_ORTHOGONAL 8 /* rows or columns orthonormal, times a. Saxe et al. 2014 */

/* Makes a parameter of the given shape, filled with zeros. name is copied: 1 to 63 characters of
 * [A-Za-z0-9_.-]. fan_in and fan_out follow from the shape: rank 2 [out, in]; rank 4 [out, in, kh,
 * kw]; for rank 1 both are its size. *out is NULL after a failure. GM_E_INVALID: NULL, a name, rank
 * or size out of range; GM_E_NOMEM. */
GM_API gm_status gm_param_create(gm_param **out, gm_context *context, const char *name,
                                 int32_t rank, const int64_t *shape);
/* Retain adds an owner, release removes one; both accept NULL. */
GM_API void gm_param_retain(gm_param *param);
GM_API void gm_param_release(gm_param *param);

/* Initialises the value by kind, GM_INIT_*. rng NULL: a stream of the context. GM_E_INVALID: an
 * unknown kind, a or b out of range; GM_E_SHAPE: ORTHOGONAL with rank below 2; GM_E_NOMEM: no
 * workspace for ORTHOGONAL; GM_E_NUMERIC: ORTHOGONAL found no matrix of full rank in several draws.
 * After a failure the value is unchanged. */
GM_API gm_status gm_param_init(gm_param *param, int32_t kind, double a, double b, gm_rng *rng);

/* Getters; for NULL the name is "", the others are 0 or NULL. Shape and name are valid as long as
 * the parameter is. */
GM_API const char *gm_param_name(const gm_param *param);
GM_API int32_t gm_param_rank(const gm_param *param);
GM_API const int64_t *gm_param_shape(const gm_param *param);
GM_API int64_t gm_param_count(const gm_param *param);
/* Value and gradient, gm_param_count floats each; the addresses never change. The gradient is zero
 * at first, and its memory is allocated when it is first needed: by gm_backward, by a step of an
 * optimizer, or by gm_param_gradient, which returns NULL if there is no memory (GM_E_NOMEM in the
 * line). So a model that only samples or evaluates holds no gradients. */
GM_API float *gm_param_value(gm_param *param);
GM_API float *gm_param_gradient(gm_param *param);

/* Makes an empty set: parameters in order, under unique names. It retains its parameters. */
GM_API gm_status gm_params_create(gm_params **out, gm_context *context);
GM_API void gm_params_retain(gm_params *params);
GM_API void gm_params_release(gm_params *params);

/* Adds a parameter under prefix + its own name (prefix NULL: ""). GM_E_INVALID: the name is taken
 * or too long (over 127 characters), or the parameter is in the set already;
 * GM_E_STATE: the set is sealed; GM_E_NOMEM. */
GM_API gm_status gm_params_add(gm_params *params, const char *prefix, gm_param *param);
/* Adds all parameters of another set under prefix + their names there, or none after a failure. A
 * parameter that the set has already is not added again. */
GM_API gm_status gm_params_add_all(gm_params *params, const char *prefix, const gm_params *other);
/* From now on the set takes no more parameters: gm_params_add and gm_params_add_all are GM_E_STATE.
 * A layer's set is sealed with the layer (gm_layer_seal), a model's always. NULL does nothing. */
GM_API void gm_params_seal(gm_params *params);

/* The number of parameters; the one at `index`, from 0 in the order of adding, and its name in the
 * set (NULL out of range); the one of a given name (NULL: none); the number of floats in all values
 * together. Pointers are borrowed. */
GM_API int64_t gm_params_count(const gm_params *params);
GM_API gm_param *gm_params_get(const gm_params *params, int64_t index);
GM_API const char *gm_params_name(const gm_params *params, int64_t index);
GM_API gm_param *gm_params_find(const gm_params *params, const char *name);
GM_API int64_t gm_params_elements(const gm_params *params);

/* The norm of all gradients together, sqrt(sum g^2), in double; not finite when a gradient is not.
 * And setting all gradients to zero. */
GM_API double gm_params_gradient_norm(const gm_params *params);
GM_API void gm_params_zero_gradients(gm_params *params);
/* Copies all values into, or from, one array of count = gm_params_elements floats. GM_E_INVALID:
 * NULL; GM_E_SHAPE: another count. */
GM_API gm_status gm_params_read(const gm_params *params, int64_t count, float *values);
GM_API gm_status gm_params_write(gm_params *params, const float *values, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
