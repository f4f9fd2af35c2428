/* status.c - statuses and the version, as text. */
#include "gm/context.h"

#define TEXT(x) #x
#define VERSION_TEXT(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *gm_status_name(gm_status status)
{
    switch (status) {
    case GM_OK:
        return "GM_OK";
    case GM_E_NOMEM:
        return "GM_E_NOMEM";
    case GM_E_INVALID:
        return "GM_E_INVALID";
    case GM_E_SHAPE:
        return "GM_E_SHAPE";
    case GM_E_STALE:
        return "GM_E_STALE";
    case GM_E_STATE:
        return "GM_E_STATE";
    case GM_E_UNSUPPORTED:
        return "GM_E_UNSUPPORTED";
    case GM_E_IO:
        return "GM_E_IO";
    case GM_E_FORMAT:
        return "GM_E_FORMAT";
    case GM_E_VERSION:
        return "GM_E_VERSION";
    case GM_E_NUMERIC:
        return "GM_E_NUMERIC";
    case GM_E_CANCELLED:
        return "GM_E_CANCELLED";
    case GM_E_INTERNAL:
        return "GM_E_INTERNAL";
    default:
        return "GM_E_UNKNOWN";
    }
}

int32_t gm_version(void)
{
    return GM_HEADER_VERSION;
}

const char *gm_version_text(void)
{
    return VERSION_TEXT(GM_VERSION_MAJOR, GM_VERSION_MINOR, GM_VERSION_PATCH);
}
