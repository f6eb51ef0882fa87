/*
 * rtcd_plugin: what a plug-in of rtcd gives to the daemon, and what the daemon gives to it. A plug-in is a shared object that the
 * option `plugins` names; it has one symbol, rtcd_plugin, a table of functions. Described in rtcd_plugin(3).
 *
 * Threads. init, done, worker_init and worker_done run on the main thread, while no worker runs. All others are hooks, and run on the
 * threads of the workers, many at once: what they share needs locks or atomics of the plug-in's own; what hangs from call->worker is
 * one worker's alone, and needs none.
 *
 * A hook holds up every client of its worker. It must not block: no reading of files or sockets, no lock held for long, no sleeping.
 * The daemon logs a hook that takes long. It must not call back into the daemon but through the services, must not keep a pointer
 * that it was given, not even `call`, beyond its return, must not throw, fork, exit, change signals or the working directory, and
 * must not start threads that outlive done. What it does wrong, the daemon does: it runs in the same process.
 *
 * Several plug-ins are asked in the order of the config. What one says is added to what those before it said.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a plug-in that was built for an older one would not do any more. Members are only ever added at the ends of structs, behind
 * those that `size` counts: so what was built for an earlier header of the same number is taken. */
#define RTCD_PLUGIN_ABI 1

/* UTF-8, length bytes; no NUL stands behind them. Never NULL. */
struct rtcd_text {
    const char *bytes;
    size_t length;
};

/* For literals. */
#define RTCD_TEXT(literal) ((struct rtcd_text){"" literal, sizeof(literal) - 1})

enum rtcd_level { RTCD_ERROR, RTCD_WARNING, RTCD_INFO, RTCD_DEBUG };
enum rtcd_target { RTCD_TO_GROUP, RTCD_TO_USER, RTCD_TO_CONNECTION };

struct rtcd_services;

/* One call of a function of the plug-in's. */
struct rtcd_call {
    size_t size;
    const struct rtcd_services *services;
    void *plugin;                       /* the plug-in's own: set by init */
    void *worker;                       /* the plug-in's own for this worker: set by worker_init; in init and done NULL */
    unsigned worker_index;              /* from 0 */
    unsigned worker_count;
};

/*
 * What the daemon does for a plug-in. Text and data are copied. Each int is 0, or a negative errno: -EINVAL for what is no such thing (and
 * the log says what is wrong), -E2BIG where a bound is reached, -ENOMEM, -EPERM where this function has no place in this hook. A
 * failed one changes nothing.
 */
struct rtcd_services {
    size_t size;

    /* In every function: a line in the daemon's log, with the plug-in's name in front. Control characters are escaped. */
    void (*log)(struct rtcd_call *call, enum rtcd_level level, const char *text);
    /* Milliseconds: of a clock that never jumps; since 1970. */
    uint64_t (*now_ms)(struct rtcd_call *call);
    uint64_t (*wall_ms)(struct rtcd_call *call);

    /* In hooks: publishes an event with data in JSON (empty: null) to a group, a user or a connection, as rtcctl publish does.
     * Also -EAGAIN: a worker is too far behind, and nobody got it; -ENOENT: no such connection. */
    int (*publish)(struct rtcd_call *call, enum rtcd_target target, struct rtcd_text to, struct rtcd_text event_name, struct rtcd_text json);

    /* In negotiate, connect and event: refuses with an error code and words for the client (up to 159 bytes; empty: those of the code).
     * Of a request: forbidden, unauthorized, expired, not-found, rate-limited, unsupported or draining; of an event: any name. Those
     * behind this plug-in are not asked any more. */
    int (*refuse)(struct rtcd_call *call, struct rtcd_text code, struct rtcd_text message);

    /* In negotiate and connect. The user counts where the client has proved none; naming another than he has proved refuses him. At most
     * 64 groups, which he joins whatever the policy says; 16 labels (names of 64, values of 255, 1024 bytes together), one in place of
     * another with its name; 1024 bytes of info, any JSON. */
    int (*set_user)(struct rtcd_call *call, struct rtcd_text user);
    int (*add_group)(struct rtcd_call *call, struct rtcd_text group);
    int (*add_label)(struct rtcd_call *call, struct rtcd_text name, struct rtcd_text value);
    int (*set_info)(struct rtcd_call *call, struct rtcd_text json);

    /* In negotiate: a transport or protocol (websocket, sse, longpoll, shortpoll; json, msgpack) is not offered to this client. A
     * client that opens one at once, without negotiating, is refused. It does not bind a connection that is there already. */
    int (*withhold)(struct rtcd_call *call, struct rtcd_text name);
    /* In negotiate: the client is to negotiate there, an http or https URL of up to 2048 bytes that ends with the base path, with this access
     * token (empty: without one). A client that opens a transport at once is refused. */
    int (*redirect)(struct rtcd_call *call, struct rtcd_text url, struct rtcd_text access_token);

    /* In event: the data of the reply, in JSON (empty: null). */
    int (*reply)(struct rtcd_call *call, struct rtcd_text json);
};

struct rtcd_header { struct rtcd_text name, value; };

/* A request for a connection. */
struct rtcd_request {
    size_t size;
    struct rtcd_text address;           /* the client's, without a port: "192.0.2.7", "2001:db8::1", "unix" */
    struct rtcd_text user;              /* empty: none */
    int is_proved;                      /* the user, by credentials, or a plug-in before named it; else it is a claim */
    int is_negotiation;                 /* else it opens a transport at once */
    int is_tls;
    struct rtcd_text transport, protocol;       /* "websocket", "json"; in negotiate of a negotiation both are empty */
    struct rtcd_text origin;            /* of the page that asks; empty: none was named */
    struct rtcd_text path, query;       /* as they came, percent-encoded; without access tokens and connection tokens */
    const struct rtcd_header *headers;  /* those that the option gate.headers names, as far as they are there */
    size_t header_count;
};

/* A connection. */
struct rtcd_connection {
    size_t size;
    struct rtcd_text id;
    struct rtcd_text user;              /* empty: none */
    struct rtcd_text address;
    struct rtcd_text transport, protocol;       /* the present or last ones; the transport is empty before the first */
    struct rtcd_text labels;            /* a JSON object; empty: it has none */
    struct rtcd_text info;              /* JSON; empty: it has none */
    int was_opened;                     /* a transport has carried it */
};

struct rtcd_event {
    size_t size;
    struct rtcd_text name;
    struct rtcd_text json;              /* the data; empty: null */
    int wants_reply;
};

/* Of event. */
enum { RTCD_PASS = 0, RTCD_HANDLED = 1 };

/* All functions but init may be NULL. */
struct rtcd_plugin {
    size_t size;                        /* sizeof(struct rtcd_plugin) */
    uint32_t abi;                       /* RTCD_PLUGIN_ABI */
    uint32_t flags;                     /* 0 */
    const char *name;                   /* "guard": in logs and rtcctl status */
    const char *version;                /* "1.0" */

    /* Once, at the start. `arguments` is what stands behind the path in the config, "" for nothing; it may be kept until done. Sets
     * call->plugin. 0, or a negative errno, with which the daemon does not start; the plug-in logs why. */
    int (*init)(struct rtcd_call *call, const char *arguments);
    /* After the last worker has ended; not when init failed. */
    void (*done)(struct rtcd_call *call);
    /* For each worker, after init. Sets call->worker. As init. */
    int (*worker_init)(struct rtcd_call *call);
    void (*worker_done)(struct rtcd_call *call);

    /* A client asks for a connection, by negotiating or by opening a transport at once; neither was answered yet. A client that comes back
     * to its connection is not asked about. */
    void (*negotiate)(struct rtcd_call *call, const struct rtcd_request *request);
    /* Behind negotiate of all plug-ins, and before the connection is made: it may still be refused afterwards, by others or for
     * want of room, and disconnect is not told of it then. */
    void (*connect)(struct rtcd_call *call, const struct rtcd_request *request);
    /* A client has sent an event to the server (without `to`). RTCD_HANDLED: nobody else gets it, and a client that wants a reply
     * has it at once: what reply() or refuse() said, else null. RTCD_PASS: it goes on to the plug-ins behind this one, then to listeners and
     * handlers; after refuse() or reply() it is handled all the same. */
    int (*event)(struct rtcd_call *call, const struct rtcd_connection *connection, const struct rtcd_event *event);
    /* A connection has ended, once for each that was made. The reason is one of those in rtc-protocol(7), "Errors". */
    void (*disconnect)(struct rtcd_call *call, const struct rtcd_connection *connection, struct rtcd_text reason);
};

/* What the plug-in defines. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern const struct rtcd_plugin rtcd_plugin;

#ifdef __cplusplus
}
#endif
