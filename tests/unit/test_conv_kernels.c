/* test_conv_kernels.c - the three forms of the convolution against their definition, over a grid of
 * sizes, for every table of kernels, and with the same bytes for any number of threads. */
#include "conv_naive.h"
#include "support.h"

#include "base/context.h"
#include "kernels/conv/conv.h"

static gm_context *contexts[3];
static gm_team *teams[3];

static void setup(void)
{
    for (int i = 0; i < 3; i++) {
        contexts[i] = support_context(1, i + 1);
        teams[i] = contexts[i]->team;
    }
}

static void teardown(void)
{
    for (int i = 0; i < 3; i++) gm_context_release(contexts[i]);
}

static uint32_t seed;

static float *numbers(int64_t n)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i <= n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

enum { RESPONSE, IMAGE, WEIGHT };

typedef struct operands {
    float *w, *x, *y;
    int64_t nw, nx, ny;
} operands;

static void *workspace(size_t size)
{
    void *p = NULL;
    ck_assert_uint_lt(size, (size_t)1 << 30);
    ck_assert_int_eq(posix_memalign(&p, 64, size), 0);
    memset(p, 0xff, size); /* NaN */
    return p;
}

/* Computes one form into `out` (which holds the old values when add is set). */
static void compute(const gm_kernels *k, gm_team *team, const gm_conv_map *m, int form,
                    const operands *in, const gm_conv_last *last, float *out, int add)
{
    int32_t threads = gm_team_threads(team);
    size_t size = form == RESPONSE ? gm_conv_forward_work(m, threads)
                  : form == IMAGE  ? gm_conv_backward_data_work(m, threads)
                                   : gm_conv_backward_weight_work(m, threads);
    gm_conv_place p = { team, k, workspace(size + 1) };
    unsigned char *end = (unsigned char *)p.work + size;
    *end = 0x5a;
    if (form == RESPONSE) gm_conv_forward(&p, m, out, in->x, in->w, last, add);
    if (form == IMAGE) gm_conv_backward_data(&p, m, out, in->y, in->w, last, add);
    if (form == WEIGHT) gm_conv_backward_weight(&p, m, out, in->x, in->y, add);
    ck_assert_int_eq(*end, 0x5a);
    free(p.work);
}

static double apply(int32_t act, float slope, double v)
{
    if (act == GM_UNARY_LEAKY_RELU) return v < 0 ? (double)slope * v : v;
    return v;
}

static void check_form(const gm_kernels *k, const gm_conv_map *m, int form, const operands *in)
{
    static const naive_fn walk[3] = { naive_response, naive_image, naive_weight };
    int64_t n = form == RESPONSE ? in->ny : form == IMAGE ? in->nx : in->nw;
    int64_t channels = form == RESPONSE ? m->o : m->c;
    double *want = calloc((size_t)(n + 1), sizeof *want);
    float *old = numbers(n), *got = malloc((size_t)(n + 1) * sizeof *got),
          *again = malloc((size_t)(n + 1) * sizeof *got), *bias = numbers(channels);
    naive_arrays a = { in->w, in->x, in->y, want };
    naive_walk(m, walk[form], &a);
    double terms = form == WEIGHT ? (double)(m->images * m->oh * m->ow)
                                  : (double)((m->c + m->o) * m->kh * m->kw);
    double tolerance = 4e-7 * (4 + terms);
    gm_conv_last last = { bias, GM_UNARY_LEAKY_RELU, 0.25f };
    for (int way = 0; way < (form == WEIGHT ? 2 : 3); way++) { /* stored, added, with a bias */
        for (int t = 0; t < 3; t++) {
            float *out = t ? again : got;
            memcpy(out, old, (size_t)(n + 1) * sizeof *out);
            compute(k, teams[t], m, form, in, way == 2 ? &last : NULL, out, way == 1);
            if (t) ck_assert_mem_eq(got, again, (size_t)(n + 1) * sizeof *got);
        }
        ck_assert(got[n] == old[n]); /* nothing behind the end */
        int64_t plane = form == WEIGHT || !channels || !m->images ? 1 : n / channels / m->images;
        for (int64_t i = 0; i < n; i++) {
            double w = want[i] + (way == 1 ? (double)old[i] : 0);
            if (way == 2) w = apply(last.act, last.a, w + (double)bias[i / plane % channels]);
            double error = fabs((double)got[i] - w);
            ck_assert_msg(
                error <= tolerance,
                "%s form %d way %d: element %lld is %.8g, expected %.8g (images %lld, "
                "c %lld %lldx%lld, o %lld %lldx%lld, k %lldx%lld, s %lld %lld, p %lld %lld, "
                "d %lld %lld, groups %lld)",
                k->name, form, way, (long long)i, (double)got[i], w, (long long)m->images,
                (long long)m->c, (long long)m->h, (long long)m->w, (long long)m->o,
                (long long)m->oh, (long long)m->ow, (long long)m->kh, (long long)m->kw,
                (long long)m->sh, (long long)m->sw, (long long)m->ph, (long long)m->pw,
                (long long)m->dh, (long long)m->dw, (long long)m->groups);
        }
    }
    free(want);
    free(old);
    free(got);
    free(again);
    free(bias);
}

static void check_map(const gm_kernels *k, const gm_conv_map *m)
{
    operands in = { 0 };
    in.nw = m->o * (m->c / m->groups) * m->kh * m->kw;
    in.nx = m->images * m->c * m->h * m->w;
    in.ny = m->images * m->o * m->oh * m->ow;
    in.w = numbers(in.nw);
    in.x = numbers(in.nx);
    in.y = numbers(in.ny);
    for (int form = RESPONSE; form <= WEIGHT; form++) check_form(k, m, form, &in);
    free(in.w);
    free(in.x);
    free(in.y);
}

static int64_t response_size(int64_t h, int64_t k, int64_t s, int64_t p, int64_t d)
{
    int64_t span = h + 2 * p - d * (k - 1) - 1;
    return span < 0 ? 0 : span / s + 1;
}

static const char *const tables[] = { "baseline", "x86-64-v3", "x86-64-v4" };
#define TABLES ((int)(sizeof tables / sizeof *tables))

/* Kernels 1 to 5, strides, paddings, dilations, both axes different; few and many channels, so that
 * every layout of the product comes up; groups; batches cut unevenly. */
START_TEST(grid)
{
    static const int64_t channels[][3] = { { 1, 1, 1 },   { 1, 20, 1 }, { 3, 2, 1 },   { 9, 5, 1 },
                                           { 12, 34, 1 }, { 4, 6, 2 },  { 36, 18, 2 }, { 5, 5, 5 },
                                           { 20, 1, 1 },  { 2, 70, 1 } };
    const gm_kernels *k = gm_kernels_choose(tables[_i]);
    if (!k) return; /* not on this processor */
    int count = 0;
    seed = 5;
    for (int64_t kernel = 1; kernel <= 5; kernel++)
        for (int64_t stride = 1; stride <= 3; stride++)
            for (int64_t padding = 0; padding <= 2; padding++)
                for (int64_t dilation = 1; dilation <= 2; dilation++) {
                    const int64_t *c = channels[count % 10];
                    gm_conv_map m = { .images = 1 + count % 3,
                                      .c = c[0],
                                      .h = 7 + count % 4,
                                      .w = 10 - count % 3,
                                      .o = c[1],
                                      .kh = kernel,
                                      .kw = 1 + (kernel + count) % 5,
                                      .sh = stride,
                                      .sw = 1 + (stride + count / 2) % 3,
                                      .ph = padding,
                                      .pw = (padding + count) % 3,
                                      .dh = dilation,
                                      .dw = 1 + (count / 3) % 2,
                                      .groups = c[2] };
                    m.oh = response_size(m.h, m.kh, m.sh, m.ph, m.dh);
                    m.ow = response_size(m.w, m.kw, m.sw, m.pw, m.dw);
                    count++;
                    if (m.oh && m.ow) check_map(k, &m);
                }
    ck_assert_int_eq(count, 90);
}
END_TEST

/* Sizes that fit several images; many images; sizes of x that the formula does not give (rows that
 * no window reaches, or that are asked for beyond it); strides beyond the kernel and the image. */
START_TEST(corners)
{
    static const gm_conv_map maps[] = {
        { 37, 8, 5, 5, 33, 3, 3, 3, 3, 1, 1, 0, 0, 1, 1, 1 },
        { 70, 2, 2, 2, 3, 2, 2, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
        { 9, 16, 4, 4, 48, 2, 2, 4, 4, 2, 2, 1, 1, 1, 1, 1 },
        { 2, 8, 9, 9, 8, 3, 3, 2, 2, 3, 3, 0, 0, 1, 1, 1 },
        { 2, 8, 10, 11, 8, 3, 3, 2, 2, 3, 3, 0, 0, 1, 1, 1 },
        { 2, 9, 8, 8, 40, 6, 6, 3, 3, 1, 1, 0, 0, 1, 1, 1 },
        { 2, 9, 3, 3, 40, 7, 6, 3, 2, 1, 2, 2, 4, 1, 1, 1 },
        { 3, 10, 3, 4, 4, 1, 1, 2, 2, 7, 9, 0, 0, 1, 1, 1 },
        { 3, 1, 3, 4, 4, 1, 1, 2, 2, 7, 9, 0, 0, 1, 1, 1 },
        { 1, 64, 6, 6, 64, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, 64 },
        { 0, 4, 6, 6, 8, 4, 4, 3, 3, 1, 1, 0, 0, 1, 1, 1 },
        { 5, 12, 1, 1, 10, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
        { 2, 8, 6, 6, 4, 4, 4, 1, 1, 3, 3, 5, 5, 1, 1, 1 },
    };
    const gm_kernels *k = gm_kernels_choose(tables[_i]);
    if (!k) return;
    seed = 6;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) check_map(k, &maps[i]);
}
END_TEST

START_TEST(uncountable)
{
    gm_conv_map m = { 1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0, 1, 1, 1 };
    m.dh = m.dw = GM_CONV_LARGEST;
    m.ph = m.pw = GM_CONV_LARGEST / 2;
    m.oh = m.ow = 1;
    m.c = m.o = 64;
    ck_assert_uint_gt(gm_conv_forward_work(&m, 1), (size_t)1 << 40);
    m.oh = m.ow = GM_CONV_LARGEST;
    ck_assert_uint_eq(gm_conv_forward_work(&m, 2), SIZE_MAX);
    ck_assert_uint_eq(gm_conv_backward_data_work(&m, 2), SIZE_MAX);
    ck_assert_uint_eq(gm_conv_backward_weight_work(&m, 2), SIZE_MAX);
}
END_TEST

START_TEST(bias_sums)
{
    const gm_kernels *k = gm_kernels_choose(NULL);
    gm_conv_place p = { teams[1], k, NULL };
    float y[2 * 3 * 4], db[3] = { 100, 200, 300 };
    for (int i = 0; i < 24; i++) y[i] = (float)i;
    gm_conv_backward_bias(&p, 2, 3, 4, db, y, 1);
    ck_assert(db[0] == 100 + 6 + 54 && db[1] == 200 + 22 + 70 && db[2] == 300 + 38 + 86);
    gm_conv_backward_bias(&p, 2, 3, 4, db, y, 0);
    ck_assert(db[0] == 60 && db[1] == 92 && db[2] == 124);
    gm_conv_backward_bias(&p, 0, 3, 4, db, y, 0);
    ck_assert(db[0] == 0 && db[1] == 0 && db[2] == 0);
}
END_TEST

Suite *gm_suite(void);

Suite *gm_suite(void)
{
    Suite *s = suite_create("conv kernels");
    TCase *t = tcase_create("forms");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, grid, 0, TABLES);
    tcase_add_loop_test(t, corners, 0, TABLES);
    tcase_add_test(t, uncountable);
    tcase_add_test(t, bias_sums);
    suite_add_tcase(s, t);
    return s;
}
