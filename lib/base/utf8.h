/* utf8.h - is a text UTF-8? */
#ifndef GM_BASE_UTF8_H
#define GM_BASE_UTF8_H

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static inline int gm_utf8_valid(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        const unsigned lead = *p++;
        if (lead < 0x80) continue;
        if (lead < 0xc2 || lead > 0xf4) return 0;
        const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        /* The second byte closes the gaps; the text's end is never within range. */
        const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (*p < low || *p > high) return 0;
        p++;
        for (int i = 1; i < more; i++, p++)
            if (*p < 0x80 || *p > 0xbf) return 0;
    }
    return 1;
}

#endif
