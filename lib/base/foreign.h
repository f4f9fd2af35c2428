/* foreign.h - the kind of a file that is not of the format expected, from its first bytes. */
#ifndef GM_BASE_FOREIGN_H
#define GM_BASE_FOREIGN_H

#include <stdint.h>

#include "gm/context.h"

/* So many bytes of its beginning are enough; fewer of a shorter file. */
#define GM_FOREIGN_BYTES 512

/* "a Python pickle", "a web page (HTML)" and the like, for "FILE: is ..."; NULL: of no known kind.
 * To be asked only after the expected format has been ruled out: eight bytes can be a pickle's
 * and the length of a header as well. */
const char *gm_foreign_kind(const unsigned char *bytes, int64_t count);
/* GM_E_FORMAT with the line "path: is KIND, expected EXPECTED" if the kind is known, else
 * GM_OK and no line. */
gm_status gm_foreign_check(gm_context *ctx, const char *path, const unsigned char *bytes,
                           int64_t count, const char *expected);

#endif
