/*
 * WebSocket's handshake: see handshake.h.
 */
#include "daemon/transport/handshake.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/admission.h"
#include "daemon/net/router.h"
#include "lib/ws_extension.h"
#include "lib/ws_frame.h"

#include <stdio.h>
#include <strings.h>

/* The first subprotocol offered that is on: false when some were offered and none fits (RFC 6455 section 4.2.2). */
static bool handshake_choose_protocol(const struct http_head *head, const struct config *config, const char *prefix,
                                      enum codec_id *ret_codec, bool *ret_named)
{
    *ret_named = prefix && http_header(head, "sec-websocket-protocol").data != NULL;
    *ret_codec = CODEC_JSON;
    if (!prefix)
        return true;
    if (!*ret_named)
        return admission_offers(config, CODEC_JSON);
    for (unsigned i = 0; i < head->header_count; i++) {
        struct bytes rest = head->headers[i].value, token;
        if (head->headers[i].name.length != 22 || strncasecmp((const char *)head->headers[i].name.data, "sec-websocket-protocol", 22) != 0)
            continue;
        while (http_next_token(&rest, &token)) {
            for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++) {
                char name[32];
                snprintf(name, sizeof(name), "%s%s", prefix, codecs[codec]->name);
                if (admission_offers(config, codec) && bytes_is(token, name)) {
                    *ret_codec = codec;
                    return true;
                }
            }
        }
    }
    return false;
}

static bool is_handshake(const struct http_head *head)
{
    return head->minor_version == 1 && head->is_upgrade && http_header_has_token(head, "upgrade", "websocket")
        && bytes_is(http_header(head, "sec-websocket-version"), "13");
}

/* The first offer that can be kept (RFC 7692 section 5.1); one that cannot is no fault. */
static bool handshake_choose_deflate(const struct http_head *head, const struct config *config, struct ws_deflate *ret)
{
    for (unsigned i = 0; config->compression.websocket && i < head->header_count; i++) {
        const struct http_header *header = &head->headers[i];
        if (header->name.length == 24 && strncasecmp((const char *)header->name.data, "sec-websocket-extensions", 24) == 0
            && ws_deflate_choose(header->value, ret))
            return true;
    }
    return false;
}

bool handshake_agree(struct link *link, const struct request *request, struct handshake *ret)
{
    const struct http_head *head = request->head;
    const struct dialect *dialect = request->dialect->dialect;
    struct fault fault = {0};
    char accept[WS_ACCEPT_TEXT + 1];
    bool is_named;

    if (!is_handshake(head)) {
        fault_set(&fault, FAULT_UPGRADE_REQUIRED, "%s", "");
        http_refuse(link, &fault, true, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        return false;
    }
    int r = ws_accept(http_header(head, "sec-websocket-key"), accept);
    if (r < 0) {
        fault_set(&fault, r == -ENOMEM ? FAULT_INTERNAL : FAULT_BAD_REQUEST,
                  r == -ENOMEM ? "out of memory" : "Sec-WebSocket-Key must be 16 bytes in base64");
        http_refuse(link, &fault, true, NULL);
        return false;
    }
    if (!handshake_choose_protocol(head, link->worker->hub->config, dialect->subprotocol, &ret->codec, &is_named)) {
        fault_set(&fault, FAULT_NO_TRANSPORT, "offer %sjson or %smsgpack in Sec-WebSocket-Protocol", dialect->subprotocol,
                  dialect->subprotocol);
        http_refuse(link, &fault, true, NULL);
        return false;
    }
    int length = snprintf(ret->headers, sizeof(ret->headers), "Sec-WebSocket-Accept: %s\r\n", accept);
    if (is_named)
        length += snprintf(ret->headers + length, sizeof(ret->headers) - (size_t)length, "Sec-WebSocket-Protocol: %s%s\r\n",
                           dialect->subprotocol, codecs[ret->codec]->name);
    struct ws_deflate deflate = {0};
    if (handshake_choose_deflate(head, link->worker->hub->config, &deflate)) {
        char extension[WS_EXTENSION_ANSWER];
        ws_deflate_print(&deflate, extension);
        snprintf(ret->headers + length, sizeof(ret->headers) - (size_t)length, "Sec-WebSocket-Extensions: %s\r\n", extension);
    }
    ret->window_bits = deflate.window_bits;
    return true;
}
