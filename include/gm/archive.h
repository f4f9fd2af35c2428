/* gm/archive.h - named arrays and short texts in one file: the safetensors format.
 *
 * An archive is created empty and filled, or opened from a file; then it is read, or written. The
 * safetensors packages of Python and Rust read its files, and this library reads theirs.
 *
 * The format: 8 bytes, the little-endian number n; then n bytes of JSON,
 *
 *     {"__metadata__": {"key": "text", ...},
 *      "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
 *
 * then the data, little-endian and row-major; offsets count from the end of the JSON. The files
 * written here have sorted keys, JSON padded with blanks so that the data starts at a multiple of
 * 8, wider types before narrower ones, and no time stamp or machine name: the same content gives
 * the same bytes.
 *
 * Reading trusts nothing: sizes, offsets, names, nesting, duplicate keys, overlaps and holes are
 * checked, the JSON is read strictly (RFC 8259), and memory use is bounded by a multiple of the
 * file's real size, whatever sizes it claims (docs/modules/files.md). All memory comes from the
 * context's allocator: a file is never called damaged because there is none left.
 *
 * A file with tensors carries their checksums in the metadata, under the key gm.crc32: the CRC-32
 * of each, in the order of their names, as 8 hexadecimal digits with blanks between. What is
 * summed: the name and a 0, the dtype and a 0, each axis as 8 bytes, the data. They are compared
 * whenever a file that has them is read, and are no texts of the archive. Who changes tensors by
 * other means takes that key away.
 *
 * Numbers in texts are written and read the same in every locale.
 *
 * Statuses that all functions share: GM_E_INVALID for a NULL argument; GM_E_NOMEM.
 */
#ifndef GM_ARCHIVE_H
#define GM_ARCHIVE_H

#include "gm/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_archive gm_archive;

/* An empty archive. *out is NULL after a failure. */
GM_API gm_status gm_archive_create(gm_archive **out, gm_context *context);

/* Reads a whole file into memory; the file is closed again. *out is NULL after a failure. Values
 * are not looked at, beyond the checksums: NaN passes. Tensors of types that gm_archive_get cannot
 * read are listed, but reading one is GM_E_UNSUPPORTED. The error line names the path. GM_E_IO: it
 * cannot be opened or read, or is a directory; GM_E_FORMAT: not a well-formed safetensors file,
 * with what is wrong, a tensor whose checksum differs (its name and both numbers are in the line),
 * or what it is instead (a pickle, a web page, the pointer of a large-file store, ...);
 * GM_E_UNSUPPORTED: a tensor has more than GM_MAX_RANK axes. */
GM_API gm_status gm_archive_open(gm_archive **out, gm_context *context, const char *path);

/* Writes the archive to path: into a new file in the same folder, synced to the disk, then renamed.
 * Whoever opens path sees the old content or the new, never a part. After a failure the old file is
 * as it was and the new one is gone, with one exception: when the folder cannot be synced after the
 * rename (the line says so), the new content is in place but may not survive a power failure. An
 * existing file's permission bits are kept; a symbolic link is replaced, not followed. The new file
 * is readable by its owner alone until it is complete; one that a killed process left is removed by
 * the next write into that folder. GM_E_IO: the disk is full, a limit on the size of files is
 * reached (SIGXFSZ does not reach the host), the folder cannot be written, path is a folder or a
 * device, ... */
GM_API gm_status gm_archive_write(gm_archive *archive, const char *path);

GM_API void gm_archive_retain(gm_archive *archive);
GM_API void gm_archive_release(gm_archive *archive);              /* accepts NULL */
GM_API gm_context *gm_archive_context(const gm_archive *archive); /* borrowed */

/* --- Texts. Keys and texts are UTF-8, copied; a key is not empty. Setting an existing key
 * overwrites its text. GM_E_INVALID: not UTF-8, an empty key, gm.crc32. On failure the archive is
 * as before. */

GM_API gm_status gm_archive_set_text(gm_archive *archive, const char *key, const char *text);
GM_API gm_status gm_archive_set_int(gm_archive *archive, const char *key, int64_t value);
/* The shortest decimal that reads back as the same double (at most 17 digits), or inf, -inf, nan.
 */
GM_API gm_status gm_archive_set_real(gm_archive *archive, const char *key, double value);

/* The text is borrowed: valid until the key is set again or the archive is released. *out is NULL,
 * or 0, after a failure. GM_E_FORMAT: no such key, or a text that is not a number (an int64_t for
 * _int); the key is in the line. */
GM_API gm_status gm_archive_get_text(const char **out, gm_archive *archive, const char *key);
GM_API gm_status gm_archive_get_int(int64_t *out, gm_archive *archive, const char *key);
GM_API gm_status gm_archive_get_real(double *out, gm_archive *archive, const char *key);
/* 1 if there is a text with that key, else 0. */
GM_API int32_t gm_archive_has(const gm_archive *archive, const char *key);
/* How many texts there are. */
GM_API int64_t gm_archive_text_count(const gm_archive *archive);
/* The key at `index` in sorted order, from 0; NULL out of range. Borrowed until a key is added. */
GM_API const char *gm_archive_text_key(const gm_archive *archive, int64_t index);

/* --- Tensors. Names are UTF-8, not empty, unique, not "__metadata__"; copied. */

/* Adds a copy of an array of floats: type F32, rank 0 to GM_MAX_RANK, sizes >= 0; shape and data
 * are borrowed for the call (data may be NULL when the shape has a 0). GM_E_INVALID: a name that is
 * not allowed or already taken, a shape out of range. On failure the archive is as before. */
GM_API gm_status gm_archive_put(gm_archive *archive, const char *name, int32_t rank,
                                const int64_t *shape, const float *data);
/* Adds a copy of `size` bytes: type U8, rank 1. What they mean, byte order included, is up to the
 * caller. Statuses as gm_archive_put. */
GM_API gm_status gm_archive_put_bytes(gm_archive *archive, const char *name, const void *bytes,
                                      size_t size);

/* Gives a tensor's values as floats. Types: F32 as stored; F16 and BF16, converted exactly; F64,
 * rounded (beyond the range of float: infinite); I8 to I64, U8 to U64 and BOOL (1 and 0), rounded
 * beyond 2^24. So labels that other programs stored as I64, or rows stored as F16, can be made into
 * a dataset with gm_dataset_from_memory. rank, shape (space for GM_MAX_RANK sizes) and data receive
 * the tensor's; each may be NULL. *data is borrowed and valid as long as the archive is.
 * GM_E_FORMAT: no such tensor; GM_E_UNSUPPORTED: another type, which the line names. */
GM_API gm_status gm_archive_get(int32_t *rank, const float **data, gm_archive *archive,
                                const char *name, int64_t shape[GM_MAX_RANK]);
/* Copies a tensor that must have this shape into values, an array of the caller's. GM_E_SHAPE:
 * another shape (both are in the line); else as gm_archive_get. On failure values is untouched. */
GM_API gm_status gm_archive_get_into(gm_archive *archive, const char *name, int32_t rank,
                                     const int64_t *shape, float *values);
/* The bytes of a tensor of type U8 and how many there are; borrowed, valid as long as the archive
 * is. Statuses as gm_archive_get. */
GM_API gm_status gm_archive_get_bytes(const void **bytes, size_t *size, gm_archive *archive,
                                      const char *name);

/* 1 if there is a tensor of that name, of whatever type, else 0. */
GM_API int32_t gm_archive_has_tensor(const gm_archive *archive, const char *name);
GM_API int64_t gm_archive_tensor_count(const gm_archive *archive);
/* The name at `index` in sorted order, from 0; NULL out of range. Borrowed until a tensor is added.
 */
GM_API const char *gm_archive_tensor_name(const gm_archive *archive, int64_t index);
/* Its type as written in the file ("F32"); NULL out of range. */
GM_API const char *gm_archive_tensor_type(const gm_archive *archive, int64_t index);

#ifdef __cplusplus
}
#endif

#endif
