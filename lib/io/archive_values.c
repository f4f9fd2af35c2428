/* archive_values.c - the element types of safetensors files, and their values as floats. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "io/archive.h"

/* One value, little-endian. */
typedef float load_fn(const unsigned char *p);

static uint32_t load_le16(const unsigned char *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static float load_f64(const unsigned char *p)
{
    return (float)gm_from_bits64(gm_load_le64(p));
}

static float load_f32(const unsigned char *p)
{
    return gm_from_bits32(gm_load_le32(p));
}

/* The upper half of a single. */
static float load_bf16(const unsigned char *p)
{
    return gm_from_bits32(load_le16(p) << 16);
}

/* IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction. */
static float load_f16(const unsigned char *p)
{
    const uint32_t bits = load_le16(p);
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    double v;
    if (exponent == 31)
        v = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent)
        v = ldexp(1024 + fraction, exponent - 25);
    else
        v = ldexp(fraction, -24);
    return (float)(bits >> 15 ? -v : v);
}

/* Two's complement of so many bits, without leaving what C defines. */
static int64_t with_sign(uint64_t bits, int width)
{
    const uint64_t sign = (uint64_t)1 << (width - 1);
    return bits & sign ? -(int64_t)(sign - 1 - (bits & (sign - 1))) - 1 : (int64_t)bits;
}

static float load_i64(const unsigned char *p)
{
    return (float)with_sign(gm_load_le64(p), 64);
}

static float load_u64(const unsigned char *p)
{
    return (float)gm_load_le64(p);
}

static float load_i32(const unsigned char *p)
{
    return (float)with_sign(gm_load_le32(p), 32);
}

static float load_u32(const unsigned char *p)
{
    return (float)gm_load_le32(p);
}

static float load_i16(const unsigned char *p)
{
    return (float)with_sign(load_le16(p), 16);
}

static float load_u16(const unsigned char *p)
{
    return (float)load_le16(p);
}

static float load_i8(const unsigned char *p)
{
    return (float)with_sign(p[0], 8);
}

static float load_u8(const unsigned char *p)
{
    return (float)p[0];
}

static float load_bool(const unsigned char *p)
{
    return (float)(p[0] != 0);
}

typedef struct element {
    const char *type;
    int64_t width;
    load_fn *load; /* NULL: listed and kept, but no values are made of it */
} element;

static const element elements[] = {
    { "F64", 8, load_f64 },   { "F32", 4, load_f32 }, { "F16", 2, load_f16 },
    { "BF16", 2, load_bf16 }, { "I64", 8, load_i64 }, { "U64", 8, load_u64 },
    { "I32", 4, load_i32 },   { "U32", 4, load_u32 }, { "I16", 2, load_i16 },
    { "U16", 2, load_u16 },   { "I8", 1, load_i8 },   { "U8", 1, load_u8 },
    { "BOOL", 1, load_bool }, { "F8_E5M2", 1, NULL }, { "F8_E4M3", 1, NULL },
    { "C64", 8, NULL },
};

static const element *find_element(const char *type)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (!strcmp(type, elements[i].type)) return &elements[i];
    return NULL;
}

int64_t gm_archive_width(const char *type)
{
    const element *e = find_element(type);
    return e ? e->width : 0;
}

gm_status gm_archive_values(gm_archive *a, gm_archive_tensor *t, const float **out)
{
    const element *e = find_element(t->type);
    if (!e || !e->load)
        return gm_fail(a->ctx, GM_E_UNSUPPORTED,
                       "%s: tensor %s is of type %s, expected F64, F32, F16, BF16, BOOL or whole "
                       "numbers (I8 to U64)",
                       a->name, t->name, t->type);
    if (!strcmp(t->type, GM_ARCHIVE_FLOAT) && !GM_BIG_ENDIAN &&
        (uintptr_t)t->bytes % sizeof(float) == 0) {
        *out = (const float *)(const void *)t->bytes;
        return GM_OK;
    }
    if (!t->values) {
        float *v =
            gm_memory_get(&a->ctx->memory, gm_archive_block(t->count * (int64_t)sizeof(float)));
        if (!v) return gm_fail_memory(a->ctx, "archive_get");
        for (int64_t i = 0; i < t->count; i++) v[i] = e->load(t->bytes + i * e->width);
        t->values = v;
    }
    *out = t->values;
    return GM_OK;
}
