/* fields.h - the numbers of an options struct in a model file. */
#ifndef GM_MODELS_FIELDS_H
#define GM_MODELS_FIELDS_H

#include <stddef.h>

#include "gm/archive.h"

/* An int32 option of a file; what does not fit becomes -1, which no option allows. GM_E_FORMAT: no
 * such key, or no number. */
gm_status gm_model_get_small(gm_archive *archive, const char *key, int32_t *out);

/* Numbers of a struct in an archive, one table for writing and reading: a whole number, or a real
 * one, under prefix and the member's name. What is read into 32 bits and does not fit becomes -1,
 * for `create` to refuse. GM_E_FORMAT: an entry is missing or no such number. */
typedef struct gm_model_field {
    const char *name;
    size_t offset;
    int32_t kind;
} gm_model_field;
#define GM_FIELD_SMALL 0
#define GM_FIELD_WHOLE 1
#define GM_FIELD_BITS 2
#define GM_FIELD_REAL 3
#define GM_FIELD(type, member)                                                                     \
    {                                                                                              \
#member, offsetof(type, member),                                                           \
            _Generic(((type *)0)->member, int32_t                                                  \
                     : GM_FIELD_SMALL, int64_t                                                     \
                     : GM_FIELD_WHOLE, uint64_t                                                    \
                     : GM_FIELD_BITS, double                                                       \
                     : GM_FIELD_REAL)                                                              \
    }
gm_status gm_model_put_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, const void *from);
gm_status gm_model_get_fields(gm_archive *archive, const char *prefix, const gm_model_field *fields,
                              size_t count, void *into);
/* The same for a table that is an array. */
#define GM_PUT_FIELDS(archive, prefix, fields, from)                                               \
    gm_model_put_fields(archive, prefix, fields, sizeof(fields) / sizeof *(fields), from)
#define GM_GET_FIELDS(archive, prefix, fields, into)                                               \
    gm_model_get_fields(archive, prefix, fields, sizeof(fields) / sizeof *(fields), into)

#endif
