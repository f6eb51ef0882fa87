/*
 * Webhook connect: whether a client may connect, asked of a webhook: one question for each request at the gate, whose answer becomes
 * its verdict.
 */
#pragma once

#include "daemon/core/gate.h"
#include "daemon/hook/webhook.h"

/* Owns the call, and gives it to gate_answer() at once or later. */
void webhook_connect(struct webhook *webhook, struct gate_call *call);

/* What an answer's body says goes into the verdict. 0; -EBADMSG, -EINVAL, -E2BIG, -ENOMEM: nothing does, and *ret_problem ends a sentence
 * that begins with "its answer". */
MUST_CHECK int webhook_connect_read(struct verdict *verdict, struct bytes body, const char **ret_problem);
