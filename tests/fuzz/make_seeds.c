/* make_seeds.c - writes the seeds of the fuzzers: make_seeds tests/fuzz/seeds. Run by hand when a
 * format grows:
 *
 *   cc -Iinclude -o build/make_seeds tests/fuzz/make_seeds.c build/lib/libgm.a -lopenblas -lz -lm
 * -pthread
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

/* With so many zero bytes behind it. */
static void save_gzip(const char *root, const char *name, const void *bytes, size_t size,
                      size_t padding)
{
    uint8_t out[1024] = { 0 };
    z_stream z = { 0 };
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = sizeof out;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) failed = 1;
    save(root, name, out, z.total_out + padding);
    deflateEnd(&z);
}

int main(int argc, char **argv)
{
    static const uint8_t images[] = { 0, 0, 8, 3, 0, 0, 0,  2,   0, 0, 0, 2,
                                      0, 0, 0, 2, 0, 9, 99, 255, 1, 2, 3, 4 };
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 3, 9, 4, 0 };
    static const uint8_t floats[] = { 0, 0, 13,   2,    0, 0, 0,    1, 0, 0,
                                      0, 2, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0 };
    static const uint8_t int8[] = { 0, 0, 9, 1, 0, 0, 0, 3, 0x80, 0xff, 7 };
    static const uint8_t int16[] = { 0, 0, 11, 1, 0, 0, 0, 2, 0x80, 0, 1, 2 };
    static const uint8_t int32[] = { 0, 0, 12, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 2 };
    static const uint8_t doubles[] = { 0, 0, 14, 1, 0, 0, 0, 2, 0xbf, 0xf8, 0, 0,
                                       0, 0, 0,  0, 0, 0, 0, 0, 0,    0,    0, 1 };
    static const char foreign[] =
        "\x8e\0\0\0\0\0\0\0{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}, \"d\":"
        "{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[3,11]},\"e\":{\"dtype\":\"F16\","
        "\"shape\":"
        "[0],\"data_offsets\":[3,3]}}abc\0\0\0\0\0\0\xf8\x3f";
    static const char numbers[] =
        "\0\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":"
        "{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[3,5]},\"c\":"
        "{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[5,7]},\"d\":"
        "{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[7,15]}}abc\1\2\3\4\5\6\7\1\2\3\4\x85";
    const char *root = argc > 1 ? argv[1] : ".";
    char path[1024];
    const float v[4] = { 1, -2, 3, 0.5f };
    gm_context *ctx = NULL;
    gm_archive *a = NULL;
    save(root, "idx/images", images, sizeof images);
    save(root, "idx/labels", labels, sizeof labels);
    save(root, "idx/floats", floats, sizeof floats);
    save_gzip(root, "idx/images_gzip", images, sizeof images, 0);
    save_gzip(root, "idx/images_padded", images, sizeof images, 64);
    save_gzip(root, "idx/labels_gzip", labels, sizeof labels, 0);
    save(root, "idx/int8", int8, sizeof int8);
    save(root, "idx/int16", int16, sizeof int16);
    save(root, "idx/int32", int32, sizeof int32);
    save(root, "idx/doubles", doubles, sizeof doubles);
    save(root, "idx/pickle", "\x80\4\x95\x0b\0\0\0\0\0\0\0]\x94(K\1K\2e.", 20);
    save(root, "idx/web_page", "<!-- x --> <!DOCTYPE html>\n", 27);
    save(root, "archive/pointer", "version https://git-lfs.github.com/spec/v1\n", 43);
    uint8_t header[512];
    memcpy(header, foreign, sizeof foreign);
    const char *end = strstr(foreign + 8, "}}abc");
    header[0] = (uint8_t)(end + 2 - (foreign + 8));
    save(root, "archive/foreign", header, sizeof foreign - 1);
    memcpy(header, numbers, sizeof numbers);
    end = strstr(numbers + 8, "}}abc");
    header[0] = (uint8_t)(end + 2 - (numbers + 8));
    save(root, "archive/numbers", header, sizeof numbers - 1);
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
