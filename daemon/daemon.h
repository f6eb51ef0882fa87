/*
 * Daemon: owns everything: config, exchange, workers, admin socket, signals. Starts its parts in the order of a table and
 * stops them in reverse. Runs the main thread's loop.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

struct daemon_arguments {
    const char *config_path;                    /* NULL: defaults alone */
    const char *const *overrides;               /* --set */
    size_t override_count;
    bool is_dumpable;                           /* core files and debuggers are wanted */
};

/* Runs until a signal stops it. An exit status of sysexits.h. */
int daemon_run(const struct daemon_arguments *arguments);
