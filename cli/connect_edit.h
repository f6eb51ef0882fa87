/*
 * Connect edit: the line that a person types at a terminal, with editing, history and completion (libedit), one key at a time, so that
 * what arrives meanwhile can be shown above it.
 */
#pragma once

#include "lib/base.h"

struct connect_edit;

/* NULL: out of memory, or the terminal cannot do it. `words` gives the completion's words by index, NULL at the end. */
struct connect_edit *connect_edit_new(const char *prompt, const char *(*words)(size_t index));
void connect_edit_free(struct connect_edit *edit);      /* leaves the terminal as it was */

enum connect_typed { CONNECT_TYPED_MORE, CONNECT_TYPED_LINE, CONNECT_TYPED_END };
/* Takes what was typed (standard input is readable). LINE: *ret_line is valid until the next call. */
enum connect_typed connect_edit_read(struct connect_edit *edit, const char **ret_line);

/* Put the typed line aside, so that something can be printed; and show it again. */
void connect_edit_hide(struct connect_edit *edit);
void connect_edit_show(struct connect_edit *edit);
