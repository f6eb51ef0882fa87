/*
 * Error: see error.h.
 */
#include "lib/client/error.h"

#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>

static const struct { enum rtc_code code; const char *name; } codes[] = {
#define CODE(code, name) {code, name},
#include "lib/client/codes.def"
#undef CODE
};

/* A cut in the middle of a character would make the whole sentence unprintable for some. */
static void error_trim(char *text, size_t length)
{
    while (length && !utf8_is_valid(bytes_of(text, length)))
        length--;
    text[length] = '\0';
}

enum rtc_code error_set(struct rtc_error *error, enum rtc_code code, const char *format, ...)
{
    if (!error)
        return code;
    char text[RTC_MESSAGE_MAX];         /* `error` itself may be among the arguments */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof(text))
        error_trim(text, sizeof(text) - 1);
    error->code = code;
    memcpy(error->message, text, sizeof(text));
    return code;
}

enum rtc_code error_no_memory(struct rtc_error *error)
{
    return error_set(error, RTC_NO_MEMORY, "out of memory");
}

const char *rtc_code_name(enum rtc_code code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "unknown";
}

enum rtc_code error_code_by_name(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code != RTC_OK && bytes_is(name, codes[i].name))
            return codes[i].code;
    return RTC_INTERNAL;
}

const char *error_quote(struct bytes text, char ret[static ERROR_QUOTE])
{
    struct buf shown = {0};
    text_add_escaped(&shown, text, 100);
    snprintf(ret, ERROR_QUOTE, "%s", buf_text(&shown));
    if (shown.length >= ERROR_QUOTE)
        error_trim(ret, ERROR_QUOTE - 1);
    buf_done(&shown);
    return ret;
}
