/*
 * Fault: what went wrong with a peer's request or connection, as one row of faults.def plus a
 * detail for people. Faults travel up to the layer that decides; they are never logged here.
 */
#pragma once

#include "lib/base.h"

enum fault_id {
    FAULT_NONE,
#define FAULT(id, name, code, close, status, reconnect, sentence) FAULT_##id,
#include "lib/faults.def"
#undef FAULT
    FAULT_COUNT,
};

struct fault_row {
    const char *name;          /* the reason, e.g. "slow-consumer" */
    const char *code;          /* the error code on the wire */
    uint16_t close;            /* WebSocket close code */
    uint16_t status;           /* HTTP status */
    bool reconnect;            /* does coming back make sense */
    const char *sentence;
};

extern const struct fault_row fault_rows[FAULT_COUNT];

struct fault {
    enum fault_id id;
    char detail[160];          /* what was wrong, where, what to do; may be empty; no secrets */
};

/* Fills `fault` (NULL is fine) and returns DECODE_BAD, so decoders can `return fault_set(...)`. */
enum decode fault_set(struct fault *fault, enum fault_id id, const char *format, ...) PRINTF_LIKE(3, 4);

/* The detail if there is one, else the row's sentence. */
const char *fault_message(const struct fault *fault);

/* FAULT_NONE when no row has this name. */
enum fault_id fault_by_name(const char *name);
