/* op_table.c - every built-in operation, for the test that demands a gradient check of each. */
#include "autodiff/activation.h"

#define ROW(word) &gm_op_##word,
#define WORDS_ROW(WORD, word) ROW(word)
#define ACTIVATION_ROW(WORD, word, parameter, from_result, formula) &gm_op_##word,

/* clang-format off */
const gm_op *const gm_op_table[] = {
    GM_OP_TABLE(ROW)
    GM_UNARY_TABLE(WORDS_ROW)
    GM_BINARY_TABLE(WORDS_ROW)
    GM_COMPARISON_TABLE(WORDS_ROW)
    GM_ACTIVATION_TABLE(ACTIVATION_ROW)
    NULL,
};
