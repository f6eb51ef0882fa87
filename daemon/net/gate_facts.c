/*
 * Gate facts: see gate_facts.h.
 */
#include "daemon/net/gate_facts.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"

/* However it is written. */
static bool is_secret(struct bytes name, struct buf *scratch)
{
    buf_clear(scratch);
    if (text_url_decode(scratch, name, true) < 0)
        return true;
    return bytes_is(buf_bytes(scratch), "token") || bytes_is(buf_bytes(scratch), "access_token");
}

static void facts_add_query(struct bytes query, struct buf *out)
{
    struct bytes name, value;
    struct buf scratch = {0};
    while (http_next_parameter(&query, &name, &value)) {
        if (is_secret(name, &scratch))
            continue;
        if (out->length)
            buf_add_byte(out, '&');
        buf_add_bytes(out, name);
        if (value.data != name.data + name.length) {
            buf_add_byte(out, '=');
            buf_add_bytes(out, value);
        }
    }
    buf_done(&scratch);
}

void gate_facts_read(const struct link *link, const struct request *request, const struct identity *identity,
                     const struct transport *transport, enum codec_id codec, struct buf *query, struct gate_facts *ret)
{
    const struct text_list *names = &link->worker->hub->config->gate.headers;
    facts_add_query(request->head->query, query);
    *ret = (struct gate_facts){
        .address = link->work->address,
        .is_negotiation = !request->transport,
        .is_tls = link->is_tls,
        .is_proved = identity->is_proved,
        .user = identity->user,
        .transport = transport ? bytes_text(transport->name) : (struct bytes){0},
        .protocol = codec < CODEC_COUNT ? bytes_text(codecs[codec]->name) : (struct bytes){0},
        .origin = http_header(request->head, "origin"),
        .path = request->head->path,
        .query = buf_bytes(query),
    };
    for (size_t i = 0; i < names->count && ret->header_count < GATE_HEADERS_MAX; i++) {
        struct bytes value = http_header(request->head, names->items[i]);
        if (value.data)
            ret->headers[ret->header_count++] = (struct gate_header){bytes_text(names->items[i]), value};
    }
}
