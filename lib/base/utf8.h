/* utf8.h - is a text UTF-8? */
#ifndef GM_BASE_UTF8_H
#define GM_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How many bytes the character at text takes, of `left` that are there; 0 if it is none. RFC 3629:
 * no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static inline int gm_utf8_length(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned lead = left ? p[0] : 0xff;
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    const int length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (left < (size_t)length) return 0;
    /* The second byte closes the gaps. */
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 0;
    for (int i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf) return 0;
    return length;
}

static inline int gm_utf8_valid(const char *text)
{
    size_t left = strlen(text);
    while (left) {
        const int length = gm_utf8_length(text, left);
        if (!length) return 0;
        text += length;
        left -= (size_t)length;
    }
    return 1;
}

/* Writes a character's bytes, 1 to 4, and tells how many. */
static inline int gm_utf8_encode(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (int i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[length] | c);
    return length;
}

#endif
