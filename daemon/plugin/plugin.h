/*
 * Plug-in: one that is loaded, and one call of it: what the files of this folder share. plugin_load.c brings it in, plugin_services.c is
 * what the daemon does for it, plugin_hooks.c asks it, plugins.c has them all.
 */
#pragma once

#include "daemon/core/hub.h"
#include "daemon/core/middleware.h"
#include "lib/rtcd_plugin.h"

enum { PLUGIN_NAME_MAX = 64 };

struct plugin {
    void *handle;                       /* of dlopen(3) */
    struct rtcd_plugin table;           /* its own, with NULL for what it does not know yet */
    char *path, *arguments;
    void *state;                        /* its own */
    void **worker_states;               /* its own, one for each worker */
    unsigned workers_ready;             /* so many of them were made */
    bool is_ready;                      /* init has succeeded */
};

struct plugins {
    struct plugin *items;
    size_t count;
    unsigned worker_count;
    struct exchange *exchange;
    struct middleware middleware;
    char **names;                       /* of the middleware */
};

enum plugin_hook { PLUGIN_START, PLUGIN_NEGOTIATE, PLUGIN_CONNECT, PLUGIN_EVENT, PLUGIN_DISCONNECT };

struct plugin_call {
    struct rtcd_call call;              /* what the plug-in sees */
    const struct plugin *plugin;
    struct plugins *plugins;
    enum plugin_hook hook;
    struct hub *hub;                    /* NULL: no worker runs */
    struct verdict *verdict;            /* negotiate, connect */
    struct middleware_event *event;     /* event */
};

extern const struct rtcd_services plugin_services;

static inline struct bytes plugin_bytes(struct rtcd_text text) { return bytes_of(text.bytes, text.length); }
static inline struct rtcd_text plugin_text(struct bytes bytes)
{
    return (struct rtcd_text){bytes.data ? (const char *)bytes.data : "", bytes.length};
}

/* One item of the option, "PATH [ARGUMENTS]": may its file be loaded? -EINVAL: *problem is what is wrong, as a sentence's end. */
MUST_CHECK int plugin_check(const char *item, struct buf *problem);
/* The same, and it is loaded; nothing of it has run but its constructors. plugin_unload() in any case. */
MUST_CHECK int plugin_load(struct plugin *plugin, const char *item, struct buf *problem);
void plugin_unload(struct plugin *plugin);

/* Where some plug-in has a use for it. */
void plugin_hooks_fill(struct plugins *plugins, struct middleware *middleware);
