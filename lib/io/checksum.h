/* checksum.h - what tells that a tensor in a file is not what was written. */
#ifndef GM_IO_CHECKSUM_H
#define GM_IO_CHECKSUM_H

#include "io/archive.h"

/* The text that holds them in a file: for each tensor in the order of names, its CRC-32 as 8
 * hexadecimal digits, with blanks between. It is no text of the archive. */
#define GM_CHECKSUM_KEY "gm.crc32"

/* CRC-32 of name, type, axes and bytes. */
uint32_t gm_checksum_of(const gm_archive_tensor *t);
/* Compares a's tensors, sorted by name, with its text and takes that away; an archive without it is
 * fine, and one of a reader (base/child.h) is not compared again. GM_E_FORMAT with the tensor and
 * both numbers. */
gm_status gm_checksum_check(gm_archive *a);

#endif
