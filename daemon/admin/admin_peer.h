/*
 * Admin peer: which program is at the other end of an admin connection, by the kernel's word, and how much it may do. Knows no command.
 */
#pragma once

#include "lib/admin_commands.h"

struct config;

enum { PEER_GROUPS_MAX = 1024 };

struct admin_peer {
    unsigned uid, gid;
    int pid;
    enum admin_access access;
    const char *by;                     /* what says so: an option's name, "root" or "the daemon's own user"; of a key its id */
    bool is_key;                        /* it called over HTTP with an API key, and is no process of this machine */
};

/* The option that lists those who have it. */
const char *admin_access_option(enum admin_access access);

/* -EACCES: it may do nothing at all (*ret says who it is); or another negative errno: the kernel does not say who it is. */
MUST_CHECK int admin_peer_judge(const struct config *config, int descriptor, struct admin_peer *ret);
