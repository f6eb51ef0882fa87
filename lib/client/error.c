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
    error->own_code[0] = '\0';
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

const char *rtc_error_word(const struct rtc_error *error)
{
    return error->own_code[0] ? error->own_code : rtc_code_name(error->code);
}

void error_set_named(struct rtc_error *error, struct bytes name, struct bytes message)
{
    char quoted[ERROR_QUOTE];
    enum rtc_code code = error_code_by_name(name);
    bool is_own = code == RTC_INTERNAL && !bytes_is(name, rtc_code_name(RTC_INTERNAL));
    error_set(error, is_own ? RTC_OTHER : code, "%s", error_quote(message, quoted));
    if (is_own && snprintf(error->own_code, sizeof(error->own_code), "%s", error_quote(name, quoted)) >= RTC_OWN_CODE_MAX)
        error_trim(error->own_code, RTC_OWN_CODE_MAX - 1);
}

enum rtc_code error_code_by_name(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code != RTC_OK && bytes_is(name, codes[i].name))
            return codes[i].code;
    return RTC_INTERNAL;
}

/* The length of the character at `text`, or 0: there is no valid one. */
static size_t character_length(struct bytes text)
{
    for (size_t length = 1; length <= 4 && length <= text.length; length++)
        if (utf8_is_valid(bytes_of(text.data, length)))
            return length;
    return 0;
}

const char *error_quote(struct bytes text, char ret[static ERROR_QUOTE])
{
    static const char more[] = "…";
    size_t at = 0;
    while (text.length) {
        size_t length = character_length(text), used = length ? length : 1;
        bool is_shown = length > 1 || (length == 1 && *text.data >= ' ' && *text.data != 0x7f);
        if (at + used + sizeof(more) > ERROR_QUOTE) {
            memcpy(ret + at, more, sizeof(more));
            return ret;
        }
        memcpy(ret + at, is_shown ? text.data : (const unsigned char *)"????", used);
        at += used;
        text = bytes_of(text.data + used, text.length - used);
    }
    ret[at] = '\0';
    return ret;
}
