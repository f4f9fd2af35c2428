/* families.c - every family passes every check; and the tests have a maker for each family of the
 * library, and for no other. */
#include "conformance.h"
#include "models/family.h"

static int made(const char *family)
{
    for (int i = 0; i < maker_count; i++)
        if (!strcmp(makers[i].family, family)) return 1;
    return 0;
}

START_TEST(library_and_tests_have_the_same_families)
{
    int listed = 0;
    for (const gm_family *const *f = gm_families; *f; f++, listed++)
        ck_assert_msg(made((*f)->name), "family %s has no maker in tests/conformance/makers.c",
                      (*f)->name);
    ck_assert_int_ge(listed, 13);
    for (int i = 0; i < maker_count; i++)
        ck_assert_msg(gm_family_find(makers[i].family) != NULL, "the library has no family %s",
                      makers[i].family);
}
END_TEST

/* A family that takes labels has a maker with them and one without. */
START_TEST(makers_are_what_they_say)
{
    gm_context *ctx = support_context(1, 1);
    gm_model *model = NULL;
    support_ok(ctx, maker_make(&model, &makers[_i], ctx, NULL));
    ck_assert_str_eq(gm_model_family(model), makers[_i].family);
    ck_assert_int_eq(gm_model_labels(model), makers[_i].labels);
    ck_assert_int_eq(gm_model_row_size(model), MAKER_BITS);
    gm_model_release(model);
    gm_context_release(ctx);
}
END_TEST

START_TEST(conforms)
{
    conformance c = { .maker = &makers[_i % maker_count], .verbs = &conformance_library };
    conformance_checks[_i / maker_count].run(&c);
    ck_assert_msg(!c.failure[0], "%s: %s", conformance_checks[_i / maker_count].name, c.failure);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance of families");
    TCase *t = tcase_create("families");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, library_and_tests_have_the_same_families);
    tcase_add_loop_test(t, makers_are_what_they_say, 0, maker_count);
    tcase_add_loop_test(t, conforms, 0, conformance_check_count * maker_count);
    suite_add_tcase(s, t);
    return s;
}
