/*
 * Gate: see gate.h.
 */
#include "daemon/core/gate.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"

#include <stdlib.h>

void gate_init(struct gate *gate)
{
    list_init(&gate->unsent);
}

void gate_done(struct gate *gate)
{
    LIST_EACH(node, &gate->unsent) {
        list_remove(node);
        gate_call_free(CONTAINER_OF(node, struct gate_call, node));
    }
    assert(atomic_load_explicit(&gate->waiting, memory_order_relaxed) == 0);
}

void gate_set_judge(struct gate *gate, struct gate_judge *judge)
{
    atomic_store_explicit(&gate->judge, judge, memory_order_relaxed);
}

/* The slices of the facts, one after the other: true while there is one. */
static bool facts_slice(struct gate_facts *facts, unsigned index, struct bytes **ret)
{
    struct bytes *slices[] = {&facts->user, &facts->transport, &facts->protocol, &facts->origin, &facts->path, &facts->query};
    unsigned in_headers = index - COUNT_OF(slices);
    if (index >= COUNT_OF(slices) + 2 * facts->header_count)
        return false;
    if (index < COUNT_OF(slices))
        *ret = slices[index];
    else
        *ret = in_headers & 1 ? &facts->headers[in_headers / 2].value : &facts->headers[in_headers / 2].name;
    return true;
}

struct gate_call *gate_call_new(const struct gate_facts *facts)
{
    struct gate_facts copy = *facts;
    struct bytes *slice;
    size_t length = 0;
    for (unsigned i = 0; facts_slice(&copy, i, &slice); i++)
        length += slice->length;
    struct gate_call *call = calloc(1, sizeof(*call) + length);
    if (!call)
        return NULL;
    list_init(&call->node);
    call->facts = copy;
    unsigned char *at = call->kept;
    for (unsigned i = 0; facts_slice(&call->facts, i, &slice); i++) {
        if (slice->length)
            memcpy(at, slice->data, slice->length);
        slice->data = at;
        at += slice->length;
    }
    return call;
}

void gate_call_free(struct gate_call *call)
{
    if (!call)
        return;
    if (call->exchange)
        atomic_fetch_sub_explicit(&call->exchange->gate.waiting, 1, memory_order_relaxed);
    verdict_done(&call->verdict);
    free(call);
}

int gate_ask(struct exchange *exchange, const struct config *config, struct gate_call *call)
{
    const struct ports *ports = &exchange->ports;
    struct letter letter = {.kind = LETTER_GATE, .gate_call = call};
    call->exchange = exchange;
    if (atomic_fetch_add_explicit(&exchange->gate.waiting, 1, memory_order_relaxed) >= config->gate.waiting
        || !ports->has_room(ports->argument, MAIN_MAILBOX))
        return -EAGAIN;
    return ports->post(ports->argument, MAIN_MAILBOX, &letter);
}

/* False: there was no memory for the letter; it is tried again. */
static bool gate_send(struct gate_call *call)
{
    const struct ports *ports = &call->exchange->ports;
    struct letter letter = {.kind = LETTER_GATE, .gate_call = call};
    int r = ports->post(ports->argument, call->worker, &letter);
    if (r == -ESHUTDOWN)
        gate_call_free(call);
    return r == 0 || r == -ESHUTDOWN;
}

void gate_settle(struct gate *gate)
{
    LIST_EACH(node, &gate->unsent) {
        list_remove(node);
        if (gate_send(CONTAINER_OF(node, struct gate_call, node)))
            continue;
        list_append(&gate->unsent, node);
        return;
    }
}

void gate_answer(struct gate_call *call)
{
    struct gate *gate = &call->exchange->gate;
    list_append(&gate->unsent, &call->node);
    gate_settle(gate);
}

void gate_take(struct exchange *exchange, struct gate_call *call)
{
    struct gate_judge *judge = atomic_load_explicit(&exchange->gate.judge, memory_order_relaxed);
    if (judge)
        judge->take(judge, call);
    else
        gate_answer(call);
}
