/*
 * Fuzzes what receivers of webhooks answer: whether a client may connect, and what to reply to an event. A verdict that is taken is
 * one that could be given again; one that is not leaves nothing behind.
 */
#include "daemon/hook/webhook_connect.h"
#include "daemon/hook/webhook_event.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verdict verdict = {0};
    struct webhook_reply reply;
    const char *problem = NULL;
    struct bytes body = bytes_of(data, size);
    int r = webhook_connect_read(&verdict, body, &problem);
    bool is_empty = verdict.refusal.id == FAULT_NONE && verdict.user.length == 0 && verdict.groups.length == 0 && verdict.labels.length == 0
        && verdict.info.length == 0;
    if (r < 0 && (!problem || !is_empty))
        abort();
    if (r == 0 && webhook_connect_read(&verdict, body, &problem) < 0)
        abort();
    verdict_done(&verdict);
    if (webhook_event_read(body, &reply) == 0 && size > 0) {
        struct bytes slices[] = {reply.data, reply.code, reply.message};
        for (size_t i = 0; i < COUNT_OF(slices); i++)
            if (slices[i].length && (slices[i].data < data || slices[i].data + slices[i].length > data + size))
                abort();
    }
    return 0;
}
