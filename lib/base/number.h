/* number.h - numbers as text, the same in every locale. */
#ifndef GM_BASE_NUMBER_H
#define GM_BASE_NUMBER_H

#include <stdint.h>

#define GM_NUMBER_TEXT 40

/* The shortest decimal that reads back as the same double; inf, -inf, nan. Returns text. */
const char *gm_number_format(char text[GM_NUMBER_TEXT], double value);
/* All of the text must be the number; 0 when it is not. */
int gm_number_parse(const char *text, double *out);
int gm_number_parse_int(const char *text, int64_t *out);

#endif
