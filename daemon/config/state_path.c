/*
 * State path: see state_path.h.
 */
#include "daemon/config/state_path.h"

#include <stdlib.h>
#include <string.h>

int state_path_add(const char *given, const char *name, struct buf *out)
{
    const char *state = getenv("STATE_DIRECTORY");
    if (given[0])
        buf_add_text(out, given);
    else if (!state || state[0] != '/')
        return -ENOENT;
    else
        buf_add_format(out, "%.*s/%s", (int)strcspn(state, ":"), state, name);      /* the first, where the unit names several */
    return buf_status(out);
}
