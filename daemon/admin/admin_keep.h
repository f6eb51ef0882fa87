/*
 * Admin keep: calls with an idempotency key, from a header or among their arguments. What was answered to one that was carried out is
 * kept, and answered again. Commands need not know of it. Those of viewers change nothing, and have no need of it.
 */
#pragma once

#include "daemon/admin/admin_call.h"

struct api_call;

/* Is it to be carried out? Else it was answered, or refused. */
bool admin_keep_begin(struct admin_call *call, const struct admin_client *client);
/* The same for all calls of a batch together: FAULT_NONE: *ret_answer, if not empty, is the answer; or why it is refused. */
enum fault_id admin_keep_begin_batch(struct admin *admin, struct api_call *batch, struct bytes command, struct bytes data, struct bytes *ret_answer);
/* It was carried out, and answered so; or nothing was done. */
void admin_keep_end(struct admin *admin, struct answered_entry *kept, struct bytes answer);
void admin_keep_drop(struct admin *admin, struct answered_entry *kept);
