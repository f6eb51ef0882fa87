/*
 * WebSocket extensions: see ws_extension.h. One pass over the bytes; whatever is malformed ends it, since nobody can say where the next
 * offer begins.
 */
#include "lib/ws_extension.h"

#include "lib/text.h"

#include <stdio.h>

static void skip_blanks(struct bytes *rest)
{
    while (rest->length && (*rest->data == ' ' || *rest->data == '\t'))
        *rest = bytes_of(rest->data + 1, rest->length - 1);
}

/* A sign between two parts, with blanks around it. */
static bool take_sign(struct bytes *rest, unsigned char sign)
{
    skip_blanks(rest);
    if (rest->length == 0 || *rest->data != sign)
        return false;
    *rest = bytes_of(rest->data + 1, rest->length - 1);
    skip_blanks(rest);
    return true;
}

static bool is_token_byte(unsigned char byte)
{
    return byte > ' ' && byte < 0x7f && !memchr("\"(),/:;<=>?@[\\]{}", byte, 17);
}

/* False: there is none. */
static bool take_token(struct bytes *rest, struct bytes *ret)
{
    size_t length = 0;
    while (length < rest->length && is_token_byte(rest->data[length]))
        length++;
    *ret = bytes_of(rest->data, length);
    *rest = bytes_of(rest->data + length, rest->length - length);
    return length > 0;
}

/* A token, bare or in quotes (RFC 6455 section 9.1: what is in them must be one as well). */
static bool take_value(struct bytes *rest, struct bytes *ret)
{
    if (rest->length == 0 || *rest->data != '"')
        return take_token(rest, ret);
    *rest = bytes_of(rest->data + 1, rest->length - 1);
    if (!take_token(rest, ret) || rest->length == 0 || *rest->data != '"')
        return false;
    *rest = bytes_of(rest->data + 1, rest->length - 1);
    return true;
}

/* 8 to 15, without anything in front of it (RFC 7692 section 7.1.2). */
static bool window_parse(struct bytes value, uint8_t *ret)
{
    uint64_t bits;
    if (value.length == 0 || value.data[0] == '0' || text_parse_uint(value, &bits) < 0 || bits < WS_WINDOW_BITS_MIN || bits > WS_WINDOW_BITS_MAX)
        return false;
    *ret = (uint8_t)bits;
    return true;
}

enum parameter { SERVER_NO_CONTEXT = 1, CLIENT_NO_CONTEXT = 2, SERVER_WINDOW = 4, CLIENT_WINDOW = 8 };

/* `value.data` is NULL: it has none. False: the offer cannot be taken. */
static bool offer_take_parameter(struct bytes name, struct bytes value, unsigned *seen, struct ws_deflate *offer)
{
    static const struct { const char *name; enum parameter parameter; } names[] = {
        {"server_no_context_takeover", SERVER_NO_CONTEXT}, {"client_no_context_takeover", CLIENT_NO_CONTEXT},
        {"server_max_window_bits", SERVER_WINDOW}, {"client_max_window_bits", CLIENT_WINDOW},
    };
    uint8_t bits;
    unsigned parameter = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (bytes_is(name, names[i].name))
            parameter = names[i].parameter;
    if (parameter == 0 || (*seen & parameter))
        return false;
    *seen |= parameter;
    switch (parameter) {
    case SERVER_WINDOW:
        offer->names_window = true;
        return window_parse(value, &offer->window_bits);
    case CLIENT_WINDOW:
        /* A hint alone: what the client sends is read with the largest window. */
        return !value.data || window_parse(value, &bits);
    default:
        return !value.data;
    }
}

/* One offer. -EBADMSG: malformed; -ENOENT: well formed, but not for us. */
static int take_offer(struct bytes *rest, struct ws_deflate *ret)
{
    struct bytes name, value;
    unsigned seen = 0;
    *ret = (struct ws_deflate){.window_bits = WS_WINDOW_BITS_MAX};
    if (!take_token(rest, &name))
        return -EBADMSG;
    bool is_fit = bytes_is(name, "permessage-deflate");
    while (take_sign(rest, ';')) {
        value = (struct bytes){0};
        if (!take_token(rest, &name) || (take_sign(rest, '=') && !take_value(rest, &value)))
            return -EBADMSG;
        is_fit = is_fit && offer_take_parameter(name, value, &seen, ret);
    }
    return is_fit ? 0 : -ENOENT;
}

bool ws_deflate_choose(struct bytes line, struct ws_deflate *ret)
{
    struct ws_deflate offer;
    do {
        skip_blanks(&line);
        /* A list may have empty places (RFC 9110 section 5.6.1). */
        if (line.length == 0 || *line.data == ',')
            continue;
        int r = take_offer(&line, &offer);
        skip_blanks(&line);
        if (r == -EBADMSG || (line.length && *line.data != ','))
            return false;
        if (r == 0) {
            *ret = offer;
            return true;
        }
    } while (take_sign(&line, ','));
    return false;
}

void ws_deflate_print(const struct ws_deflate *agreed, char ret_text[static WS_EXTENSION_ANSWER])
{
    int length = snprintf(ret_text, WS_EXTENSION_ANSWER, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (agreed->names_window)
        snprintf(ret_text + length, WS_EXTENSION_ANSWER - (size_t)length, "; server_max_window_bits=%u", agreed->window_bits);
}
