/*
 * Commands: those that need more than one request and one reply. All return an exit status (sysexits.h).
 */
#pragma once

#include "cli/arguments.h"
#include "cli/request.h"

#include <stdio.h>

/* The event and its data, as publish takes them: members of a request. 0, or an exit status. */
MUST_CHECK int command_add_event(const struct invocation *invocation, struct json_writer *json);
int command_publish(const struct invocation *invocation, struct session *session);
int command_publish_stream(const struct invocation *invocation, struct session *session);
/* listen; and handle without --exec, whose envelopes come the same way. */
int command_listen(const struct invocation *invocation, struct session *session);
int command_handle(const struct invocation *invocation, struct session *session);
int command_reply(const struct invocation *invocation, struct session *session);
/* Those with a TOKEN, which may be - or @FILE. */
int command_with_token(const struct invocation *invocation, struct session *session);
/* An access token: itself, - or @FILE, without blanks behind it. 0, or an exit status. */
MUST_CHECK int command_read_token(const char *text, struct buf *ret);
int command_key_create(const struct invocation *invocation);
int command_token_create(const struct invocation *invocation);
int command_bench(const struct invocation *invocation);
int command_connect(const struct invocation *invocation);
int command_wait_ready(const struct invocation *invocation);
int command_completion(const struct invocation *invocation);
int command_help(const struct invocation *invocation);

/* A command's usage line, broken to the width of a terminal. */
void help_usage(FILE *out, const struct admin_command *command);

/* The request's data: every argument that was given, by name. `skip` are names that are not sent. */
void command_add_arguments(const struct invocation *invocation, const char *const *skip, struct json_writer *json);
