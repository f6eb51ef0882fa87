/*
 * HTTP fields: looking into headers and query strings that http_parse.c has found.
 */
#include "daemon/net/http_parse.h"

#include <strings.h>

static bool is_name(struct bytes text, const char *name)
{
    return text.length == strlen(name) && strncasecmp((const char *)text.data, name, text.length) == 0;
}

struct bytes http_header(const struct http_head *head, const char *name)
{
    for (unsigned i = 0; i < head->header_count; i++)
        if (is_name(head->headers[i].name, name))
            return head->headers[i].value;
    return (struct bytes){0};
}

static bool is_blank(unsigned char byte)
{
    return byte == ' ' || byte == '\t';
}

bool http_next_token(struct bytes *rest, struct bytes *ret_token)
{
    while (rest->length) {
        const unsigned char *comma = memchr(rest->data, ',', rest->length);
        size_t length = comma ? (size_t)(comma - rest->data) : rest->length;
        struct bytes token = bytes_of(rest->data, length);
        size_t used = MIN(length + 1, rest->length);
        *rest = bytes_of(rest->data + used, rest->length - used);
        while (token.length && is_blank(token.data[0]))
            token = bytes_of(token.data + 1, token.length - 1);
        while (token.length && is_blank(token.data[token.length - 1]))
            token.length--;
        if (token.length) {
            *ret_token = token;
            return true;
        }
    }
    return false;
}

bool http_header_has_token(const struct http_head *head, const char *name, const char *token)
{
    for (unsigned i = 0; i < head->header_count; i++) {
        struct bytes rest = head->headers[i].value, found;
        if (!is_name(head->headers[i].name, name))
            continue;
        while (http_next_token(&rest, &found)) {
            /* Parameters such as ;q=1 are not part of the token. */
            const unsigned char *semicolon = memchr(found.data, ';', found.length);
            if (semicolon)
                found.length = (size_t)(semicolon - found.data);
            while (found.length && is_blank(found.data[found.length - 1]))
                found.length--;
            if (is_name(found, token))
                return true;
        }
    }
    return false;
}

bool http_next_parameter(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value)
{
    while (rest->length) {
        const unsigned char *separator = memchr(rest->data, '&', rest->length);
        size_t length = separator ? (size_t)(separator - rest->data) : rest->length;
        struct bytes pair = bytes_of(rest->data, length);
        size_t used = MIN(length + 1, rest->length);
        *rest = bytes_of(rest->data + used, rest->length - used);
        if (pair.length == 0)
            continue;
        const unsigned char *equals = memchr(pair.data, '=', pair.length);
        size_t name_length = equals ? (size_t)(equals - pair.data) : pair.length;
        *ret_name = bytes_of(pair.data, name_length);
        *ret_value = equals ? bytes_of(equals + 1, pair.length - name_length - 1) : bytes_of(pair.data + pair.length, 0);
        return true;
    }
    return false;
}
