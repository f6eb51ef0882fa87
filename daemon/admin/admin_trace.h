/*
 * Admin trace: publishes whose answer says what became of the message: publish --wait, which counts, and trace publish, which names
 * each recipient. Answered once all recipients are settled, or when the time is over; nobody looks again and again.
 */
#pragma once

#include "daemon/admin/admin_call.h"

struct message;
struct tracing;

/* Does the call ask for it? */
bool admin_trace_is_wanted(const struct admin_call *call);
/* By the call's arguments. NULL: refused. */
struct tracing *admin_trace_new(struct admin_call *call);
/* The message is to be published, and nobody has it yet. */
void admin_trace_message(struct tracing *tracing, struct message *message);
/* It was published: answers later, and not before it is stored, where its group's history is. */
void admin_trace_start(struct tracing *tracing, const struct message *message, unsigned recipients);
/* The message of that call is stored. False: the call is none of these. */
bool admin_trace_stored(const struct admin_return *back);
/* It was not. */
void admin_trace_drop(struct tracing *tracing);
/* The daemon ends: none is answered any more. */
void admin_traces_done(struct admin *admin);
