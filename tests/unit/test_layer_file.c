/* test_layer_file.c - what a file may say about layers; parameters in files.
 *
 * That every kind comes back from an archive as it went in is shown in test_layer.c.
 */
#include "support.h"

#include <stdint.h>

#include "gm/conv.h"
#include "gm/layer_file.h"

static gm_context *ctx;

/* The context's own memory with two threads is not this suite's business: count what a test
 * adds. */
static uint64_t held_before;

static void setup(void)
{
    gm_memory_counters m;
    ctx = support_context(3, 2);
    gm_context_memory(&m, ctx);
    held_before = m.bytes;
}

static void teardown(void)
{
    gm_memory_counters m;
    gm_context_memory(&m, ctx);
    ck_assert_uint_eq(m.bytes, held_before);
    gm_context_release(ctx);
}

static gm_status make_sequence(gm_layer **out, gm_context *c)
{
    gm_layer *inner = NULL;
    gm_status s = gm_sequence_create(out, c);
    if (!s) s = gm_sequence_create(&inner, c);
    if (!s) s = gm_sequence_add_linear(inner, 5, 3);
    if (!s) s = gm_sequence_add_tanh(inner);
    if (!s) s = gm_sequence_add_linear(*out, 4, 5);
    if (!s) s = gm_sequence_add_leaky_relu(*out, 0.2);
    if (!s) s = gm_sequence_add(*out, inner);
    if (!s) s = gm_sequence_add_dropout(*out, 0.5);
    if (!s) s = gm_sequence_add_sigmoid(*out);
    gm_layer_release(inner);
    return s;
}

/* The net in an archive, with one entry replaced: it does not come back, and takes no memory. */
static void refused(gm_layer *net, const char *key, const char *text, gm_status status)
{
    gm_archive *archive = NULL;
    gm_layer *loaded = net;
    gm_memory_counters before, after;
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_layer(archive, "net.", net));
    support_ok(ctx, gm_archive_set_text(archive, key, text));
    gm_context_memory(&before, ctx);
    support_fails(ctx, gm_archive_get_layer(&loaded, archive, "net."), status, "");
    ck_assert_ptr_null(loaded);
    gm_context_memory(&after, ctx);
    ck_assert_uint_eq(before.bytes, after.bytes);
    ck_assert_uint_le(after.peak_bytes, before.peak_bytes + 100000);
    gm_archive_release(archive);
}

/* What a hostile file may say: each entry replaced by something that does not fit. */
START_TEST(hostile_files)
{
    static const struct {
        const char *key, *text;
        gm_status status;
    } bad[] = {
        { "net.type", "convolution9", GM_E_UNSUPPORTED },
        { "net.type", "host", GM_E_UNSUPPORTED },
        { "net.type", "linear", GM_E_FORMAT },
        { "net.count", "5000", GM_E_FORMAT },
        { "net.count", "-1", GM_E_FORMAT },
        { "net.count", "6", GM_E_FORMAT },
        { "net.count", "x", GM_E_FORMAT },
        { "net.0.in", "1000000000000", GM_E_FORMAT },
        { "net.0.in", "9223372036854775807", GM_E_FORMAT },
        { "net.0.in", "0", GM_E_FORMAT },
        { "net.0.bias", "2", GM_E_FORMAT },
        { "net.1.slope", "nan", GM_E_FORMAT },
        { "net.1.activation", "4294967297", GM_E_FORMAT },
        { "net.3.p", "1.5", GM_E_FORMAT },
        { "net.2.0.type", "sequence", GM_E_FORMAT },
        { "net.2.same", "0.0.", GM_E_FORMAT },
    };
    gm_layer *net = NULL;
    support_ok(ctx, make_sequence(&net, ctx));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(net, bad[i].key, bad[i].text, bad[i].status);
    gm_layer_release(net);
}
END_TEST

START_TEST(hostile_images)
{
    static const struct {
        const char *key, *text;
    } bad[] = {
        { "net.0.in", "2" },         { "net.0.out", "5" },
        { "net.0.kernel_h", "4" },   { "net.0.kernel_h", "1073741824" },
        { "net.0.kernel_w", "0" },   { "net.0.stride_h", "0" },
        { "net.0.padding_w", "-1" }, { "net.0.dilation_h", "99999999999" },
        { "net.0.groups", "0" },     { "net.0.groups", "3" },
        { "net.0.bias", "2" },       { "net.1.kernel", "0" },
        { "net.1.padding", "2" },    { "net.2.output_padding_h", "2" },
        { "net.2.stride_w", "x" },   { "net.2.out", "9223372036854775807" },
        { "net.3.factor", "0" },     { "net.4.factor", "-1" },
    };
    gm_layer *net = NULL;
    support_ok(ctx, gm_sequence_create(&net, ctx));
    support_ok(ctx, gm_sequence_add_conv2d(net, 4, 6, 3, 1, 1));
    support_ok(ctx, gm_sequence_add_max_pool2d(net, 2, 2, 0));
    support_ok(ctx, gm_sequence_add_conv_transpose2d(net, 6, 4, 4, 2, 1));
    support_ok(ctx, gm_sequence_add_pixel_shuffle(net, 2));
    support_ok(ctx, gm_sequence_add_upsample_nearest(net, 2));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(net, bad[i].key, bad[i].text, GM_E_FORMAT);
    gm_layer_release(net);
}
END_TEST

START_TEST(params_in_files)
{
    gm_layer *a = NULL, *b = NULL, *narrow = NULL;
    gm_archive *archive = NULL;
    char prefix[70];
    memset(prefix, 'p', 69);
    prefix[69] = 0;
    support_ok(ctx, make_sequence(&a, ctx));
    support_ok(ctx, make_sequence(&b, ctx));
    support_ok(ctx, gm_linear_create(&narrow, ctx, 2, 3, NULL));
    gm_params *pa = gm_layer_params(a), *pb = gm_layer_params(b);
    int64_t n = gm_params_elements(pa);
    float va[64], vb[64], start[64];
    ck_assert_int_le(n, 64);
    support_ok(ctx, gm_params_read(pa, n, va));
    support_ok(ctx, gm_params_read(pb, n, start));
    ck_assert_mem_ne(va, start, (size_t)n * sizeof(float));
    support_ok(ctx, gm_archive_create(&archive, ctx));
    support_ok(ctx, gm_archive_put_params(archive, "w.", pa));
    support_fails(ctx, gm_archive_put_params(archive, "w.", pa), GM_E_INVALID, "w.0.weight");
    support_fails(ctx, gm_archive_get_params(archive, "v.", pb), GM_E_FORMAT, "v.0.weight");
    support_fails(ctx, gm_archive_get_params(archive, "w.0.", gm_layer_params(narrow)), GM_E_SHAPE,
                  "[5, 4]");
    ck_assert_ptr_nonnull(strstr(gm_context_error(ctx), "[3, 2]"));
    support_fails(ctx, gm_archive_put_params(archive, prefix, pa), GM_E_INVALID, "63");
    support_fails(ctx, gm_archive_put_layer(archive, prefix, a), GM_E_INVALID, "63");
    support_fails(ctx, gm_archive_put_params(archive, "", NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_params(archive, "", NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_put_layer(archive, "", NULL), GM_E_INVALID, "NULL");
    support_fails(ctx, gm_archive_get_layer(NULL, archive, ""), GM_E_INVALID, "NULL");
    ck_assert_int_eq(gm_archive_put_layer(NULL, "", a), GM_E_INVALID);
    ck_assert_int_eq(gm_archive_get_params(NULL, "", pa), GM_E_INVALID);
    gm_layer *out = a;
    ck_assert_int_eq(gm_archive_get_layer(&out, NULL, ""), GM_E_INVALID);
    ck_assert_ptr_null(out);
    support_ok(ctx, gm_params_read(pb, n, vb));
    ck_assert_mem_eq(vb, start, (size_t)n * sizeof(float));
    support_ok(ctx, gm_archive_get_params(archive, "w.", pb));
    support_ok(ctx, gm_params_read(pb, n, vb));
    ck_assert_mem_eq(vb, va, (size_t)n * sizeof(float));
    gm_archive_release(archive);
    gm_layer_release(a);
    gm_layer_release(b);
    gm_layer_release(narrow);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("layer_file");
    TCase *t = tcase_create("layer_file");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, hostile_files);
    tcase_add_test(t, hostile_images);
    tcase_add_test(t, params_in_files);
    suite_add_tcase(s, t);
    return s;
}
