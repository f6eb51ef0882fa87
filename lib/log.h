/*
 * Log: one line an event, to the journal (with fields) when stderr is the journal, else to stderr.
 *
 * The one process-wide state of the project, because a process has one stderr and one journal.
 * Safe from every thread; never waits for whoever reads the log: what a full pipe or journal does not take is dropped and counted.
 * Whatever a peer sent is escaped here (text_add_escaped), so callers pass it as it is.
 * A message (area, format) that comes too often is suppressed and counted: "suppressed N".
 */
#pragma once

#include "lib/base.h"

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_COUNT };

enum log_area {
    LOG_AREA_DAEMON,       /* start, stop, systemd */
    LOG_AREA_CONFIG,       /* reading and reloading the config */
    LOG_AREA_NET,          /* sockets, HTTP, transports */
    LOG_AREA_CORE,         /* connections, groups, users */
    LOG_AREA_ADMIN,        /* the admin socket */
    LOG_AREA_COUNT,
};

/* A field beside the message: RTCD_<NAME>= in the journal, name=value on stderr. A row with a NULL
 * name ends the list; a NULL value is left out. */
struct log_field {
    const char *name;      /* lower case: connection, user, group, reason, address */
    const char *value;
};

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {NULL, NULL}})

void log_write(enum log_level level, enum log_area area, const struct log_field *fields,
               const char *format, ...) PRINTF_LIKE(4, 5);

/* `fields` may be NULL. The arguments are evaluated only when the level is on. */
#define log_at(level, area, fields, ...) \
    do { if (log_is_on(level, area)) log_write(level, area, fields, __VA_ARGS__); } while (0)
#define log_error(area, fields, ...) log_at(LOG_LEVEL_ERROR, area, fields, __VA_ARGS__)
#define log_warning(area, fields, ...) log_at(LOG_LEVEL_WARNING, area, fields, __VA_ARGS__)
#define log_info(area, fields, ...) log_at(LOG_LEVEL_INFO, area, fields, __VA_ARGS__)
#define log_debug(area, fields, ...) log_at(LOG_LEVEL_DEBUG, area, fields, __VA_ARGS__)

bool log_is_on(enum log_level level, enum log_area area);
void log_set_level(enum log_area area, enum log_level level);      /* any time, any thread */

/* Notices whether stderr is the journal (JOURNAL_STREAM). Call once, before threads. Without it: stderr. */
void log_start(void);

/* How many lines were suppressed or could not be written since the start. */
uint64_t log_dropped_count(void);
