/*
 * Text: UTF-8, base64, hex, UUIDs, and the sizes and spans people write ("64KiB", "25s").
 * Pure functions; no allocation but into the caller's buf.
 */
#pragma once

#include "lib/buf.h"

/*
 * UTF-8 (RFC 3629), resumable across pieces: start with state = UTF8_ACCEPT, feed pieces in order.
 * After the last piece the text is valid when the state is UTF8_ACCEPT again. Overlong forms,
 * surrogates and code points above U+10FFFF are refused at the first byte that cannot be right.
 */
enum { UTF8_ACCEPT = 0, UTF8_REJECT = 12 };
uint32_t utf8_feed(uint32_t state, struct bytes piece);
bool utf8_is_valid(struct bytes text);

/* 1 to `max` bytes of valid UTF-8 without control characters (C0, DEL, C1, U+2028, U+2029). */
bool name_is_valid(struct bytes name, size_t max);

/* Appends `code_point` (at most U+10FFFF, no surrogate) as UTF-8. */
void text_add_code_point(struct buf *out, uint32_t code_point);

/* Base64 (RFC 4648 section 4, padded) and its URL-safe form (section 5, unpadded). */
void text_add_base64(struct buf *out, struct bytes bytes);
void text_add_base64url(struct buf *out, struct bytes bytes);
/* Strict: no blanks, canonical last bits, padding required (base64) or refused (base64url). -EBADMSG if not. */
MUST_CHECK int text_base64_decode(struct buf *out, struct bytes text);
MUST_CHECK int text_base64url_decode(struct buf *out, struct bytes text);

/* Percent-decodes a URL component (RFC 3986 section 2.1); `plus_is_blank` for query values.
 * -EBADMSG: bad escape or a NUL byte. */
MUST_CHECK int text_url_decode(struct buf *out, struct bytes text, bool plus_is_blank);

/* Percent-encodes all but the unreserved characters (RFC 3986 section 2.3): for a query's value. */
void text_add_url_encoded(struct buf *out, struct bytes text);

/* Random UUIDs (RFC 9562 section 5.4), as 36 characters in lower case. */
enum { UUID_BYTES = 16, UUID_TEXT = 36 };
struct uuid { unsigned char bytes[UUID_BYTES]; };
void uuid_print(const struct uuid *uuid, char ret_text[static UUID_TEXT + 1]);
MUST_CHECK int uuid_parse(struct bytes text, struct uuid *ret_uuid);      /* -EBADMSG */

/* Decimal digits only, no sign, no blanks: -EBADMSG; does not fit: -ERANGE. */
MUST_CHECK int text_parse_uint(struct bytes text, uint64_t *ret_value);

/* "512", "64KiB", "1MiB", "2GiB" → bytes. "250ms", "25s", "10min", "1h", "2d" → milliseconds; a bare
 * number is refused except 0. -EBADMSG: not of that form; -ERANGE: does not fit. */
MUST_CHECK int text_parse_size(struct bytes text, uint64_t *ret_bytes);
MUST_CHECK int text_parse_span(struct bytes text, uint64_t *ret_ms);
/* The shortest exact spelling that the readers above take back. */
void text_add_size(struct buf *out, uint64_t bytes);
void text_add_span(struct buf *out, uint64_t ms);

/* Appends `text` so that it is safe on a terminal and in a log: control characters, those that turn the direction of
 * writing, quotes, backslashes and invalid UTF-8 become \xNN (or \n \r \t \" \\). At most `limit` bytes of input, then "…". */
void text_add_escaped(struct buf *out, struct bytes text, size_t limit);
/* The same for what is not put between quotes: quotes and backslashes stay as they are. */
void text_add_sentence(struct buf *out, struct bytes text, size_t limit);

/* Shell-like match: `*` any run, `?` any byte, all else literal. Linear in both. */
bool text_matches(struct bytes pattern, struct bytes text);

/* Edit distance of the two (insert, delete, replace, swap neighbours), at most `limit` + 1. */
unsigned text_distance(const char *a, const char *b, unsigned limit);
