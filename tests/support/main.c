/* main.c - runs the one suite that a test file defines. No forking: a crash is a crash, and
 * sanitizers see all. */
#include <check.h>
#include <stdlib.h>

Suite *gm_suite(void);

int main(void)
{
    SRunner *runner = srunner_create(gm_suite());
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    /* A suite that ran nothing proves nothing. */
    return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
