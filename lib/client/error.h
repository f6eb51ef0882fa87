/*
 * Error: filling a struct rtc_error, and the words of its codes. Pure.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

/* Fills `error` (NULL is fine; what does not fit is cut on a character) and returns `code`, so that one can `return error_set(...)`. */
enum rtc_code error_set(struct rtc_error *error, enum rtc_code code, const char *format, ...) PRINTF_LIKE(3, 4);
enum rtc_code error_no_memory(struct rtc_error *error);

/* The code that this word of the wire means; RTC_INTERNAL when nobody knows it. */
enum rtc_code error_code_by_name(struct bytes name);

/* As somebody behind the server said it: a word that nobody knows is his own code. */
void error_set_named(struct rtc_error *error, struct bytes name, struct bytes message);

/* What a peer said, cut to a sentence's length, control characters and bad bytes as ?: for a %s. `ret` holds it. */
enum { ERROR_QUOTE = 160 };
const char *error_quote(struct bytes text, char ret[static ERROR_QUOTE]);
