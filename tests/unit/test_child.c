/* test_child.c - a context inside another: its memory, its end, its errors and its products. */
#include "base/child.h"
#include "base/error.h"
#include "gm/extend.h"
#include "gm/rng.h"
#include "gm/tensor.h"
#include "kernels/kernels.h"
#include "support.h"

static uint64_t bytes_of(gm_context *ctx)
{
    gm_memory_counters counters;
    gm_context_memory(&counters, ctx);
    return counters.bytes;
}

START_TEST(test_memory_is_the_parents_and_counted)
{
    gm_context *parent = support_context(1, 2), *child;
    const uint64_t before = bytes_of(parent);
    support_ok(parent, gm_context_create_child(&child, parent));
    ck_assert_uint_eq(gm_context_child_bytes(child), bytes_of(parent) - before);
    gm_tensor *tensor;
    const int64_t shape[1] = { 1000 };
    support_ok(parent, gm_tensor_create(&tensor, child, 1, shape));
    ck_assert_uint_ge(gm_context_child_bytes(child), 4000);
    ck_assert_uint_eq(gm_context_child_bytes(child), bytes_of(parent) - before);
    gm_context_release(parent); /* the child holds it */
    gm_context_release(child);  /* the tensor holds the child */
    gm_tensor_release(tensor);
}
END_TEST

START_TEST(test_a_sealed_one_gives_no_memory)
{
    gm_context *parent = support_context(1, 1), *child;
    support_ok(parent, gm_context_create_child(&child, parent));
    gm_rng *rng, *more;
    support_ok(parent, gm_rng_create(&rng, child, 3));
    gm_context_seal(child, 8);
    gm_memory_counters before, after;
    gm_context_memory(&before, parent);
    support_fails(parent, gm_rng_create(&more, child, 3), GM_E_NOMEM, "memory is for 8 rows");
    ck_assert_ptr_null(more);
    gm_context_memory(&after, parent);
    ck_assert_uint_eq(before.allocations, after.allocations);
    gm_rng_release(rng);
    gm_context_release(child);
    gm_context_release(parent);
}
END_TEST

START_TEST(test_what_is_the_parents)
{
    gm_context *parent = support_context(7, 2), *child, *other;
    struct {
        size_t size;
        int32_t value;
    } table = { sizeof table, 5 };
    support_ok(parent, gm_context_register(parent, "kind", "name", &table));
    support_ok(parent, gm_context_create_child(&child, parent));
    ck_assert_ptr_nonnull(gm_context_registered(child, "kind", "name"));
    ck_assert_uint_eq(gm_context_seed(child), 7);
    ck_assert_int_eq(gm_context_threads(child), 1);
    ck_assert_ptr_null(child->team);
    ck_assert_int_eq(child->kernels->own_products, 1);
    ck_assert_int_eq(parent->kernels->own_products, 0);
    (void)gm_fail(child, GM_E_INVALID, "a line");
    ck_assert_str_eq(gm_context_error(parent), "a line");
    ck_assert_str_eq(gm_context_error(child), "a line");
    support_ok(parent, gm_context_create_child(&other, parent));
    ck_assert_uint_ne(child->next_stream, other->next_stream);
    gm_context_release(other);
    gm_context_release(child);
    gm_context_release(parent);
}
END_TEST

Suite *gm_suite(void);
Suite *gm_suite(void)
{
    Suite *suite = suite_create("child");
    TCase *tests = tcase_create("child");
    tcase_add_test(tests, test_memory_is_the_parents_and_counted);
    tcase_add_test(tests, test_a_sealed_one_gives_no_memory);
    tcase_add_test(tests, test_what_is_the_parents);
    suite_add_tcase(suite, tests);
    return suite;
}
