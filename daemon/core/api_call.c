/*
 * API call: see api_call.h.
 */
#include "daemon/core/api_call.h"

#include <stdlib.h>

struct api_call *api_call_new(void)
{
    return calloc(1, sizeof(struct api_call));
}

void api_call_free(struct api_call *call)
{
    if (!call)
        return;
    buf_done(&call->caller);
    buf_done(&call->command);
    buf_done(&call->data);
    buf_done(&call->key);
    buf_done(&call->answer);
    for (size_t i = 0; i < call->item_count; i++)
        api_call_free(call->items[i]);
    free(call->items);
    free(call);
}
