/*
 * Admin rows: what the listing commands answer with. Handlers hand in all rows there are; which of them are wanted (--filter), which
 * come first (--sort), what is shown of them (--columns) and how many (--limit) is seen to here, once for all commands whose
 * synopsis has ADMIN_LISTING or ADMIN_PAGES. One thread has it at a time.
 */
#pragma once

#include "daemon/admin/admin_call.h"
#include "lib/row.h"

struct admin_rows;

/* By the call's command and arguments. `order`, if not NULL, is how rows are sorted where the call does not say. NULL: refused. */
struct admin_rows *admin_rows_new(struct admin_call *call, const char *order);
void admin_rows_free(struct admin_rows *rows);      /* NULL is fine */

/* A cell for each of the command's columns. */
void admin_rows_add(struct admin_rows *rows, const struct cell *cells);
/* No more are needed: the page is full. Those that are sorted are needed all. */
bool admin_rows_is_full(const struct admin_rows *rows);
bool admin_rows_are_sorted(const struct admin_rows *rows);
/* Of `slots` rows to look at in one go, as many as a filter leaves time for; at least one. */
uint32_t admin_rows_slice(const struct admin_rows *rows, uint32_t slots);

/* Answers: {"rows":…}, with "cursor", if it is not empty, and of sorted ones how many were "matched". Frees them. */
void admin_rows_reply(struct admin_rows *rows, const struct admin_return *back, struct bytes cursor);
/* The same for who adds more to the answer: begins it, with its object still open. The caller ends and sends it. */
void admin_rows_write(struct admin_rows *rows, struct json_writer *json, struct bytes cursor);
