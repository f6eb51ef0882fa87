/*
 * Fault: the table of faults.def, and how one is filled and looked up.
 */
#include "lib/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct fault_row fault_rows[FAULT_COUNT] = {
    [FAULT_NONE] = {"none", "internal", 1000, 200, false, "nothing is wrong"},
#define FAULT(id, name, code, close, status, reconnect, sentence) \
    [FAULT_##id] = {name, code, close, status, reconnect, sentence},
#include "lib/faults.def"
#undef FAULT
};

enum decode fault_set(struct fault *fault, enum fault_id id, const char *format, ...)
{
    if (!fault)
        return DECODE_BAD;
    fault->id = id;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->detail, sizeof(fault->detail), format, arguments);
    va_end(arguments);
    return DECODE_BAD;
}

const char *fault_message(const struct fault *fault)
{
    return fault->detail[0] ? fault->detail : fault_rows[fault->id].sentence;
}

enum fault_id fault_by_name(const char *name)
{
    for (enum fault_id id = FAULT_NONE + 1; id < FAULT_COUNT; id++)
        if (strcmp(fault_rows[id].name, name) == 0)
            return id;
    return FAULT_NONE;
}
