/* params.c - parameters and ordered sets of them. */
#include "autodiff/params.h"

#include <math.h>
#include <string.h>

#include "base/child.h"
#include "base/error.h"
#include "base/name.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

/* Of the value, and of the gradient. */
static size_t array_bytes(const gm_param *param)
{
    return (size_t)(param->count ? param->count : 1) * sizeof(float);
}

gm_status gm_param_create(gm_param **out, gm_context *ctx, const char *name, int32_t rank,
                          const int64_t *shape)
{
    if (out) *out = NULL;
    if (!out || !ctx || !name)
        return gm_fail(ctx, GM_E_INVALID, "param: context, name or out is NULL");
    if (!gm_name_fits(name, GM_PARAM_NAME))
        return gm_fail(ctx, GM_E_INVALID,
                       "param: name is \"%.80s\", expected 1 to %d characters " GM_NAME_RULE, name,
                       GM_PARAM_NAME - 1);
    int64_t count;
    gm_status status = gm_shape_count(ctx, name, rank, shape, &count);
    if (status) return status;
    gm_param *p = gm_memory_get_zero(&ctx->memory, sizeof *p);
    if (!p) return gm_fail_memory(ctx, name);
    gm_context_retain(ctx);
    p->ctx = ctx;
    p->owners = 1;
    memcpy(p->name, name, strlen(name) + 1);
    p->rank = rank;
    if (rank) memcpy(p->shape, shape, (size_t)rank * sizeof *shape);
    p->count = count;
    p->value = gm_memory_get_zero(&ctx->memory, array_bytes(p));
    if (!p->value) {
        gm_param_release(p);
        return gm_fail_memory(ctx, name);
    }
    *out = p;
    return GM_OK;
}

void gm_param_retain(gm_param *param)
{
    if (param) param->owners++;
}

void gm_param_release(gm_param *param)
{
    if (!param || --param->owners > 0) return;
    gm_context *ctx = param->ctx;
    if (!param->lent) gm_memory_put(&ctx->memory, param->value, array_bytes(param));
    gm_memory_put(&ctx->memory, param->gradient, array_bytes(param));
    gm_memory_put(&ctx->memory, param, sizeof *param);
    gm_context_release(ctx);
}

const char *gm_param_name(const gm_param *param)
{
    return param ? param->name : "";
}

int32_t gm_param_rank(const gm_param *param)
{
    return param ? param->rank : 0;
}

const int64_t *gm_param_shape(const gm_param *param)
{
    return param ? param->shape : NULL;
}

int64_t gm_param_count(const gm_param *param)
{
    return param ? param->count : 0;
}

float *gm_param_value(gm_param *param)
{
    return param ? param->value : NULL;
}

void gm_param_lend(gm_param *param, const float *values)
{
    if (!param->lent) gm_memory_put(&param->ctx->memory, param->value, array_bytes(param));
    param->value = (float *)(uintptr_t)values;
    param->lent = 1;
}

gm_status gm_param_own(gm_param *param)
{
    if (!param->lent) return GM_OK;
    float *own = gm_memory_get(&param->ctx->memory, array_bytes(param));
    if (!own) return gm_fail_memory(param->ctx, param->name);
    memcpy(own, param->value, (size_t)param->count * sizeof *own);
    param->value = own;
    param->lent = 0;
    return GM_OK;
}

gm_status gm_param_take_gradient(gm_param *param)
{
    if (param->gradient) return GM_OK;
    param->gradient = gm_memory_get_zero(&param->ctx->memory, array_bytes(param));
    return param->gradient ? GM_OK : gm_fail_memory(param->ctx, param->name);
}

float *gm_param_gradient(gm_param *param)
{
    return param && !gm_param_take_gradient(param) ? param->gradient : NULL;
}

gm_status gm_params_create(gm_params **out, gm_context *ctx)
{
    if (out) *out = NULL;
    if (!out || !ctx) return gm_fail(ctx, GM_E_INVALID, "params: context or out is NULL");
    gm_params *params = gm_memory_get_zero(&ctx->memory, sizeof *params);
    if (!params) return gm_fail_memory(ctx, "params");
    gm_context_retain(ctx);
    params->ctx = ctx;
    params->owners = 1;
    *out = params;
    return GM_OK;
}

void gm_params_retain(gm_params *params)
{
    if (params) params->owners++;
}

void gm_params_release(gm_params *params)
{
    if (!params || --params->owners > 0) return;
    gm_context *ctx = params->ctx;
    for (int64_t i = 0; i < params->count; i++) gm_param_release(params->entries[i].param);
    gm_memory_put(&ctx->memory, params->entries, (size_t)params->room * sizeof *params->entries);
    gm_memory_put(&ctx->memory, params, sizeof *params);
    gm_context_release(ctx);
}

void gm_params_seal(gm_params *params)
{
    if (params) params->sealed = 1;
}

static gm_status reserve(gm_params *params, int64_t more)
{
    if (params->sealed)
        return gm_fail(params->ctx, GM_E_STATE,
                       "params: the set of %lld is a complete layer's or a model's and takes no "
                       "more parameters",
                       (long long)params->count);
    int64_t need = params->count + more;
    if (need <= params->room) return GM_OK;
    int64_t room = params->room ? 2 * params->room : 8;
    if (room < need) room = need;
    gm_params_entry *entries =
        gm_memory_grow(&params->ctx->memory, params->entries,
                       (size_t)params->room * sizeof *entries, (size_t)room * sizeof *entries);
    if (!entries) return gm_fail_memory(params->ctx, "params");
    params->entries = entries;
    params->room = room;
    return GM_OK;
}

static int holds(const gm_params *params, const gm_param *param)
{
    for (int64_t i = 0; i < params->count; i++)
        if (params->entries[i].param == param) return 1;
    return 0;
}

/* prefix + name into the entry behind the last one; there is room for it. */
static gm_status append(gm_params *params, const char *prefix, const char *name, gm_param *param)
{
    size_t front = strlen(prefix), back = strlen(name);
    if (front >= GM_PARAMS_NAME || front + back >= GM_PARAMS_NAME)
        return gm_fail(params->ctx, GM_E_INVALID,
                       "params: name \"%.100s%.127s\" is longer than %d characters", prefix, name,
                       GM_PARAMS_NAME - 1);
    gm_params_entry *entry = &params->entries[params->count];
    memcpy(entry->name, prefix, front);
    memcpy(entry->name + front, name, back + 1);
    if (!gm_name_fits(entry->name, GM_PARAMS_NAME))
        return gm_fail(params->ctx, GM_E_INVALID,
                       "params: name \"%s\" has characters other than [A-Za-z0-9_.-]", entry->name);
    if (gm_params_find(params, entry->name))
        return gm_fail(params->ctx, GM_E_INVALID, "params: name \"%s\" is taken", entry->name);
    entry->param = param;
    gm_param_retain(param);
    params->count++;
    return GM_OK;
}

gm_status gm_params_add(gm_params *params, const char *prefix, gm_param *param)
{
    if (!params || !param)
        return gm_fail(params ? params->ctx : NULL, GM_E_INVALID, "params: set or param is NULL");
    if (param->ctx != params->ctx)
        return gm_fail(params->ctx, GM_E_INVALID, "params: %s is of another context", param->name);
    if (holds(params, param))
        return gm_fail(params->ctx, GM_E_INVALID, "params: %s is in the set already", param->name);
    gm_status status = reserve(params, 1);
    return status ? status : append(params, prefix ? prefix : "", param->name, param);
}

gm_status gm_params_add_all(gm_params *params, const char *prefix, const gm_params *other)
{
    if (!params || !other)
        return gm_fail(params ? params->ctx : NULL, GM_E_INVALID, "params: a set is NULL");
    if (other->ctx != params->ctx)
        return gm_fail(params->ctx, GM_E_INVALID, "params: the other set is of another context");
    int64_t before = params->count, added = other->count; /* other may be params itself */
    gm_status status = reserve(params, added);
    for (int64_t i = 0; !status && i < added; i++)
        if (!holds(params, other->entries[i].param))
            status = append(params, prefix ? prefix : "", other->entries[i].name,
                            other->entries[i].param);
    while (status && params->count > before)
        gm_param_release(params->entries[--params->count].param);
    return status;
}

int64_t gm_params_count(const gm_params *params)
{
    return params ? params->count : 0;
}

gm_param *gm_params_get(const gm_params *params, int64_t index)
{
    return params && index >= 0 && index < params->count ? params->entries[index].param : NULL;
}

const char *gm_params_name(const gm_params *params, int64_t index)
{
    return params && index >= 0 && index < params->count ? params->entries[index].name : NULL;
}

gm_param *gm_params_find(const gm_params *params, const char *name)
{
    if (!params || !name) return NULL;
    for (int64_t i = 0; i < params->count; i++)
        if (!strcmp(params->entries[i].name, name)) return params->entries[i].param;
    return NULL;
}

int64_t gm_params_elements(const gm_params *params)
{
    int64_t n = 0;
    for (int64_t i = 0; params && i < params->count; i++) n += params->entries[i].param->count;
    return n;
}

double gm_params_gradient_norm(const gm_params *params)
{
    double sum = 0;
    for (int64_t i = 0; params && i < params->count; i++) {
        const gm_param *p = params->entries[i].param;
        if (p->gradient) sum += params->ctx->kernels->sum_squares(p->gradient, p->count);
    }
    return sqrt(sum);
}

void gm_params_zero_gradients(gm_params *params)
{
    for (int64_t i = 0; params && i < params->count; i++) {
        gm_param *p = params->entries[i].param;
        if (p->gradient) memset(p->gradient, 0, (size_t)p->count * sizeof(float));
    }
}

static gm_status check_copy(const gm_params *params, const char *what, const void *data,
                            int64_t count)
{
    if (!params || (!data && count))
        return gm_fail(params ? params->ctx : NULL, GM_E_INVALID, "%s: set or array is NULL", what);
    int64_t want = gm_params_elements(params);
    if (count != want)
        return gm_fail(params->ctx, GM_E_SHAPE, "%s: the array has %lld elements, the set %lld",
                       what, (long long)count, (long long)want);
    return GM_OK;
}

gm_status gm_params_read(const gm_params *params, int64_t count, float *values)
{
    gm_status status = check_copy(params, "params_read", values, count);
    for (int64_t i = 0; !status && i < params->count; i++) {
        const gm_param *p = params->entries[i].param;
        if (p->count) memcpy(values, p->value, (size_t)p->count * sizeof(float));
        if (p->count) values += p->count;
    }
    return status;
}

gm_status gm_params_write(gm_params *params, const float *values, int64_t count)
{
    gm_status status = check_copy(params, "params_write", values, count);
    if (!status) status = gm_context_check_unsealed(params->ctx, "params_write");
    for (int64_t i = 0; !status && i < params->count; i++) {
        gm_param *p = params->entries[i].param;
        if (p->count) memcpy(p->value, values, (size_t)p->count * sizeof(float));
        if (p->count) values += p->count;
    }
    return status;
}
