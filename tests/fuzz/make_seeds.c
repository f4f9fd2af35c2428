/* make_seeds.c - writes the seeds of the fuzzers: make_seeds tests/fuzz/seeds. Run by hand when a
 * format grows:
 *
 *   cc -Iinclude -o build/make_seeds tests/fuzz/make_seeds.c build/lib/libgm.a -lopenblas -ljansson
 * -lz -lm -pthread
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "gm/archive.h"

static int failed;

static void save(const char *root, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) failed = 1;
}

static void save_gzip(const char *root, const char *name, const void *bytes, size_t size)
{
    uint8_t out[1024];
    z_stream z = { 0 };
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = sizeof out;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) failed = 1;
    save(root, name, out, z.total_out);
    deflateEnd(&z);
}

int main(int argc, char **argv)
{
    static const uint8_t images[] = { 0, 0, 8, 3, 0, 0, 0,  2,   0, 0, 0, 2,
                                      0, 0, 0, 2, 0, 9, 99, 255, 1, 2, 3, 4 };
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 3, 9, 4, 0 };
    static const uint8_t floats[] = { 0, 0, 13,   2,    0, 0, 0,    1, 0, 0,
                                      0, 2, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0 };
    static const char foreign[] =
        "\x8e\0\0\0\0\0\0\0{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}, \"d\":"
        "{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[3,11]},\"e\":{\"dtype\":\"F16\","
        "\"shape\":"
        "[0],\"data_offsets\":[3,3]}}abc\0\0\0\0\0\0\xf8\x3f";
    const char *root = argc > 1 ? argv[1] : ".";
    char path[1024];
    const float v[4] = { 1, -2, 3, 0.5f };
    gm_context *ctx = NULL;
    gm_archive *a = NULL;
    save(root, "idx/images", images, sizeof images);
    save(root, "idx/labels", labels, sizeof labels);
    save(root, "idx/floats", floats, sizeof floats);
    save_gzip(root, "idx/images_gzip", images, sizeof images);
    save_gzip(root, "idx/labels_gzip", labels, sizeof labels);
    uint8_t header[sizeof foreign];
    memcpy(header, foreign, sizeof foreign);
    const char *end = strstr(foreign + 8, "}}abc");
    header[0] = (uint8_t)(end + 2 - (foreign + 8));
    save(root, "archive/foreign", header, sizeof foreign - 1);
    if (gm_context_create(&ctx, GM_HEADER_VERSION, NULL) || gm_archive_create(&a, ctx)) return 1;
    snprintf(path, sizeof path, "%s/archive/empty", root);
    failed |= gm_archive_write(a, path) != GM_OK;
    failed |= gm_archive_put(a, "layer.weight", 2, (const int64_t[]){ 2, 2 }, v) != GM_OK;
    failed |= gm_archive_put(a, "layer.bias", 1, (const int64_t[]){ 2 }, v) != GM_OK;
    failed |= gm_archive_put_bytes(a, "state", "abcde", 5) != GM_OK;
    failed |= gm_archive_set_text(a, "family", "vae \"x\" \xc3\xa4") != GM_OK;
    failed |= gm_archive_set_int(a, "latent", 20) != GM_OK;
    failed |= gm_archive_set_real(a, "rate", 1e-3) != GM_OK;
    snprintf(path, sizeof path, "%s/archive/small", root);
    failed |= gm_archive_write(a, path) != GM_OK;
    gm_archive_release(a);
    gm_context_release(ctx);
    return failed;
}
