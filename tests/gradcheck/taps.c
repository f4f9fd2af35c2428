/* taps.c - convolution over a list of taps, and the gate: few and whole vectors of channels, taps
 * on all sides, one image and several blocks of them, every activation, biases of images, skip
 * connections. */
#include "gradcheck/covered.h"
#include "gradcheck/gradcheck.h"

#include "gm/conv.h"

#define OPTIONS(...) (&(gm_taps_options){ sizeof(gm_taps_options), __VA_ARGS__ })

static const int64_t one[] = { 0, 0 };
static const int64_t mask_a[] = { -1, -1, -1, 0, -1, 1, 0, -1 };
static const int64_t mask_b[] = { -1, -1, -1, 0, -1, 1, 0, -1, 0, 0 };
static const int64_t odd[] = { 2, -1, 0, 3, -2, 0, 1, 1, 0, 0 };

#define TAPS(t) t, (int64_t)(sizeof t / sizeof *t / 2)
#define NONE GM_ACTIVATION_NONE
/* clang-format off: one builder a line, one case a line. */
BUILD(plain, gm_conv2d_taps(t, v[0], v[1], v[2], GM_NO_VAR, OPTIONS(TAPS(mask_b), 0, NONE, 0)))
BUILD(bare, gm_conv2d_taps(t, v[0], v[1], GM_NO_VAR, GM_NO_VAR,
                           OPTIONS(TAPS(mask_a), 0, GM_ACTIVATION_TANH, 0)))
BUILD(relu, gm_conv2d_taps(t, v[0], v[1], v[2], GM_NO_VAR,
                           OPTIONS(TAPS(mask_b), 1, GM_ACTIVATION_RELU, 0)))
BUILD(odd, gm_conv2d_taps(t, v[0], v[1], v[2], GM_NO_VAR,
                          OPTIONS(TAPS(odd), 1, GM_ACTIVATION_SOFTPLUS, 0)))
BUILD(single,
      gm_conv2d_taps(t, v[0], v[1], v[2], GM_NO_VAR, OPTIONS(TAPS(one), 0, GM_ACTIVATION_ELU, 0.7)))
BUILD(single_relu, gm_conv2d_taps(t, v[0], v[1], v[2], GM_NO_VAR, OPTIONS(TAPS(one), 1, NONE, 0)))
BUILD(skip, gm_conv2d_taps(t, v[0], v[1], v[2], v[3], OPTIONS(TAPS(mask_b), 0, NONE, 0)))
BUILD(skip_bare, gm_conv2d_taps(t, v[0], v[1], GM_NO_VAR, v[2], OPTIONS(TAPS(mask_a), 1, NONE, 0)))
BUILD(skip_self, gm_conv2d_taps(t, v[0], v[1], v[2], v[0], OPTIONS(TAPS(mask_b), 1, NONE, 0)))
BUILD(gate, gm_gate(t, v[0]))

#define X(n, h, w, c)                                                                              \
    {                                                                                              \
        4, { n, h, w, c }, SMOOTH                                                                  \
    }
#define W(t, c, o)                                                                                 \
    {                                                                                              \
        3, { t, c, o }, -0.5, 0.5, 0, 0                                                            \
    }
#define B(o)                                                                                       \
    {                                                                                              \
        1, { o }, ANY                                                                              \
    }
#define EACH(n, o)                                                                                 \
    {                                                                                              \
        2, { n, o }, ANY                                                                           \
    }

static const grad_case cases[] = {
    { "conv2d_taps", "one channel", build_plain, 3, { X(2, 4, 5, 1), W(5, 1, 16), B(16) } },
    { "conv2d_taps", "few channels", build_plain, 3, { X(2, 4, 3, 3), W(5, 3, 5), B(5) } },
    { "conv2d_taps", "vectors", build_plain, 3, { X(2, 3, 3, 16), W(5, 16, 32), B(32) } },
    { "conv2d_taps", "a vector and more", build_relu, 3, { X(1, 3, 4, 18), W(5, 18, 35), B(35) } },
    { "conv2d_taps", "relu", build_relu, 3, { X(2, 3, 4, 16), W(5, 16, 16), B(16) } },
    { "conv2d_taps", "without a bias", build_bare, 2, { X(2, 4, 4, 2), W(4, 2, 3) } },
    { "conv2d_taps", "taps on all sides", build_odd, 3, { X(2, 4, 5, 2), W(5, 2, 3), B(3) } },
    { "conv2d_taps", "taps beyond the image", build_odd, 3, { X(2, 1, 2, 2), W(5, 2, 3), B(3) } },
    { "conv2d_taps", "many images", build_relu, 3, { X(300, 2, 2, 2), W(5, 2, 3), B(3) } },
    { "conv2d_taps", "1 x 1", build_single, 3, { X(3, 2, 2, 16), W(1, 16, 16), B(16) } },
    { "conv2d_taps", "1 x 1 to one", build_single, 3, { X(3, 2, 2, 5), W(1, 5, 1), B(1) } },
    { "conv2d_taps",
      "1 x 1 of relu",
      build_single_relu,
      3,
      { X(3, 2, 3, 17), W(1, 17, 16), B(16) } },
    { "conv2d_taps",
      "a bias for each image",
      build_relu,
      3,
      { X(3, 3, 3, 2), W(5, 2, 16), EACH(3, 16) } },
    { "conv2d_taps",
      "such, few channels",
      build_plain,
      3,
      { X(5, 2, 2, 2), W(5, 2, 3), EACH(5, 3) } },
    { "conv2d_taps", "skip", build_skip, 4, { X(2, 3, 3, 2), W(5, 2, 3), B(3), X(2, 3, 3, 3) } },
    { "conv2d_taps",
      "skip of a vector",
      build_skip,
      4,
      { X(2, 3, 3, 2), W(5, 2, 16), EACH(2, 16), X(2, 3, 3, 16) } },
    { "conv2d_taps",
      "skip without a bias",
      build_skip_bare,
      3,
      { X(2, 3, 3, 2), W(4, 2, 16), X(2, 3, 3, 16) } },
    { "conv2d_taps",
      "skip of itself",
      build_skip_self,
      3,
      { X(2, 3, 3, 16), W(5, 16, 16), B(16) } },
    { "conv2d_taps",
      "skip of itself, few",
      build_skip_self,
      3,
      { X(2, 3, 3, 3), W(5, 3, 3), B(3) } },
    { "gate", "", build_gate, 1, { X(2, 3, 3, 6) } },
    { "gate", "rank 1", build_gate, 1, { { 1, { 10 }, ANY } } },
    { "gate", "wide", build_gate, 1, { { 2, { 5, 1400 }, ANY } } },
    { "gate", "many rows", build_gate, 1, { { 2, { 900, 8 }, ANY } } },
};
/* clang-format on */
#define CASES ((int)(sizeof cases / sizeof cases[0]))

START_TEST(test_cases)
{
    run_case(&cases[_i], 1, 0);
    run_case(&cases[_i], 3, 1);
}
END_TEST

START_TEST(test_list_is_kept)
{
    static const char *const listed[] = { COVERED_TAPS };
    for (size_t k = 0; k < sizeof listed / sizeof *listed; k++) {
        int found = 0;
        for (int i = 0; i < CASES; i++) found |= !strcmp(cases[i].op, listed[k]);
        ck_assert_msg(found, "%s has no case here", listed[k]);
    }
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *s = suite_create("gradcheck: taps");
    TCase *tc = tcase_create("taps");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_cases, 0, CASES);
    tcase_add_test(tc, test_list_is_kept);
    suite_add_tcase(s, tc);
    return s;
}
