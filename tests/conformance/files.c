/* files.c - hostile files of every family. Apart from the other checks, since they take longer. */
#include "conformance.h"

START_TEST(hostile_files_are_refused)
{
    conformance c = { .maker = &makers[_i], .verbs = &conformance_library };
    check_hostile(&c);
    ck_assert_msg(!c.failure[0], "%s", c.failure);
}
END_TEST

Suite *gm_suite(void)
{
    Suite *s = suite_create("conformance of files");
    TCase *t = tcase_create("files");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, hostile_files_are_refused, 0, maker_count);
    suite_add_tcase(s, t);
    return s;
}
