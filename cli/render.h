/*
 * Render: rows and objects as tables for people, tab-separated lines or JSON for programs. One producer, many views.
 */
#pragma once

#include "cli/arguments.h"
#include "lib/json.h"

struct render;

/* NULL after saying what is wrong with --columns. `columns` is the command's; "" for objects. */
struct render *render_new(const struct invocation *invocation, const char *columns);
void render_free(struct render *render);

/* A page of rows: a JSON array of arrays. Returns how many there were. */
uint64_t render_rows(struct render *render, struct bytes rows);
/* The end of the listing; `cursor`, if not empty, is where it goes on; `matched` is how many rows there were, 0: all that were shown.
 * 0, or EX_IOERR. */
int render_finish(struct render *render, struct bytes cursor, uint64_t matched);

/* One object. 0, or EX_IOERR. */
int render_object(const struct invocation *invocation, struct bytes object);
