/*
 * Config: one whole, checked set of options, as plain fields. The table that fills it is options.c.
 * A snapshot is immutable once published and counted: config_ref() for as long as it is looked at.
 */
#pragma once

#include "lib/base.h"
#include "lib/log.h"

#include <stdatomic.h>

enum { OPTIONS_MAX = 160 };

struct key;
struct keys;

struct text_list {
    char **items;
    size_t count;
};

enum config_flush { FLUSH_WRITE, FLUSH_URING };                /* how bytes reach the sockets */
enum config_certificate { CERTIFICATE_NONE, CERTIFICATE_REQUEST, CERTIFICATE_REQUIRE };    /* of clients */
enum config_certificate_user { CERTIFICATE_USER_NONE, CERTIFICATE_USER_COMMON_NAME, CERTIFICATE_USER_DNS, CERTIFICATE_USER_EMAIL,
                               CERTIFICATE_USER_URI };
enum config_tls_version { TLS_1_2, TLS_1_3 };
enum config_plain { PLAIN_REFUSE, PLAIN_REDIRECT };            /* HTTP without TLS where TLS is spoken */
enum config_keep { KEEP_ALL, KEEP_LATEST };       /* of what a group remembers; KEEP_LATEST: of each key the newest alone */
enum config_store { STORE_MEMORY, STORE_DISK };         /* where histories are */
enum config_sync { SYNC_EACH, SYNC_INTERVAL, SYNC_NEVER };     /* when they are safe on the disk */
enum config_slow { SLOW_CLOSE, SLOW_DROP_OLDEST, SLOW_LATEST };        /* a group's envelopes, where too much waits for a client */

enum config_presence { PRESENCE_NONE, PRESENCE_USERS, PRESENCE_CONNECTIONS };   /* whose coming and going a group's members are told of */

/* What clients ask of a group, and who may: each includes those before it. WHO_DEFAULT stands in rules only. */
enum group_action { GROUP_JOIN, GROUP_PUBLISH, GROUP_PRESENCE, GROUP_HISTORY, GROUP_ACTION_COUNT };
enum config_who { WHO_NOBODY, WHO_TOKEN, WHO_MEMBERS, WHO_ANYONE, WHO_DEFAULT };

/* One item of `groups`: what holds for the groups that match. The rows are in group_options.c. */
struct group_rule {
    char *origin;                       /* "file:line" */
    char *match;
    uint8_t match_bytes, plain_bytes;   /* of `match`, and of what of it stands before the first star */
    enum config_who may[GROUP_ACTION_COUNT];
    enum config_slow slow;
    enum config_presence presence_events;
    struct {
        uint64_t envelopes, bytes, age_ms;      /* 0 envelopes: it keeps none */
        enum config_keep keep;
    } history;
};
enum { GROUP_RULES_MAX = 128 };

/* What a webhook is asked (the first two), or told. */
enum webhook_event { WEBHOOK_CONNECT, WEBHOOK_EVENT, WEBHOOK_CONNECTED, WEBHOOK_DISCONNECTED, WEBHOOK_ONLINE, WEBHOOK_OFFLINE,
                     WEBHOOK_OCCUPIED, WEBHOOK_VACATED, WEBHOOK_EPOCH, WEBHOOK_EVENT_COUNT };
enum config_queue_full { QUEUE_DROP_OLDEST, QUEUE_DROP_NEWEST };
enum config_spool_sync { SPOOL_SYNC_NONE, SPOOL_SYNC_EACH };
enum config_on_failure { ON_FAILURE_REFUSE, ON_FAILURE_ALLOW };

/* One item of `webhooks`. The rows are in webhook_options.c. */
struct webhook_rule {
    char *origin;                       /* "file:line" */
    char *name, *url, *secret_file, *ca_file;
    struct text_list event_words;       /* "online" */
    struct text_list groups, event_names;       /* patterns; none: all */
    unsigned events;                    /* a bit for each enum webhook_event */
    uint64_t timeout_ms, answer_bytes;
    uint64_t batch, batch_delay_ms;
    uint64_t queue;                     /* events */
    enum config_queue_full full;
    uint64_t retry_delay_ms, retry_delay_max_ms, retry_age_ms;
    uint64_t breaker_failures, breaker_pause_ms;
    uint64_t connections, waiting;      /* of requests that ask */
    enum config_on_failure on_failure;
    struct key *key;                    /* of secret_file; webhook_keys_load() puts it here. NULL: requests are not signed */
};
enum { WEBHOOKS_MAX = 32, WEBHOOK_NAME_MAX = 32, WEBHOOK_EVENT_NAME_MAX = 255 };

struct config {
    atomic_uint reference_count;
    uint32_t generation;                /* of the snapshots published so far; whoever keeps what this one says compares it */

    uint64_t workers;                   /* 0: one per core */
    struct text_list listen;            /* "127.0.0.1:8000" "[::1]:8000" "unix:/path" "systemd:NAME", "tls:" in front of any */
    struct {
        char *listen;                   /* path of the admin socket; "" picks $XDG_RUNTIME_DIR/rtcd or /run/rtcd */
        uint64_t mode;                  /* of the socket file, octal in the file */
        char *group;                    /* whose members may use it beside root and the daemon's own user; "" none */
        struct text_list viewers, operators, admins;    /* "uid:N" "gid:N" "user:NAME" "group:NAME" */
        uint64_t max_connections;
        uint64_t max_waits;
        uint64_t max_request_bytes;
        uint64_t queue_bytes;           /* unsent answers of one admin connection */
    } admin;
    struct {
        char *base_path;                /* "/rtc" */
        struct text_list origins;       /* allowed Origin values for browsers; "*" any */
        struct text_list hosts;         /* that a request may name, "example.org" or "example.org:8000"; empty: any */
        struct text_list trusted_proxies;   /* networks whose word on where clients come from is taken, see network.h */
        uint64_t head_bytes, header_count, target_bytes, body_bytes;
        uint64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
        uint64_t backlog;
        bool playground;                /* the page for trying things out, at / */
    } http;
    struct {
        enum config_flush flush;
    } net;
    struct {
        uint64_t timeout_ms;            /* of one command over HTTP */
        uint64_t idempotency_window_ms, idempotency_keys;
    } api;
    struct {
        struct text_list certificates;  /* "/cert.pem:/key.pem", or one file with both; the first is the default */
        char *client_ca;                /* path; "" none */
        enum config_certificate client_certificate;
        enum config_certificate_user client_user;       /* which name of the client's certificate is the user */
        enum config_tls_version minimum;
        enum config_plain plain;
        uint64_t handshake_timeout_ms;
        uint64_t handshakes;            /* under way at once, of one worker */
    } tls;
    struct {
        bool websocket, sse, longpoll, shortpoll;
        uint64_t poll_wait_ms;          /* default and cap of a long poll */
        uint64_t poll_batch_bytes;      /* one poll's answer stops growing here */
    } transports;
    struct {
        bool json, msgpack;
    } protocols;
    struct {
        bool websocket, polls;
        uint64_t min_bytes, level;
    } compression;
    struct {
        bool anonymous;                 /* connections without credentials */
        bool peer_users;                /* whose process it is, on Unix sockets */
        bool claimed_users;             /* ?user=NAME is believed; for development */
        uint64_t message_bytes, message_fragments;
        uint64_t keep_alive_ms, timeout_ms;
        uint64_t open_timeout_ms;       /* negotiated but never opened */
        uint64_t groups;                /* per connection */
    } connection;
    struct {
        struct text_list headers;       /* of requests, shown to whoever judges them */
        uint64_t waiting, timeout_ms;
    } gate;
    struct text_list plugins;           /* "PATH [ARGUMENTS]" */
    struct {
        struct text_list keys;          /* "FILE [alg=A] [kid=ID] [issuer=I]", see lib/key_source.h */
        char *api_keys;                 /* a file's path, or "credential:NAME"; "" none */
        struct text_list issuers, audiences;
        uint64_t leeway_ms;
        uint64_t url_refresh_ms, url_retry_ms;
        bool requires_exp;
        uint64_t revocations;           /* how many there may be */
        char *revocations_file;         /* "": in $STATE_DIRECTORY, where there is one */
        bool takes_query;               /* ?access_token= */
        char *user_claim;               /* "sub" */
        char *rights_claim;             /* "rtc" */
    } auth;
    struct {
        uint64_t window_ms;
        uint64_t envelopes, bytes;      /* kept after sending, until acknowledged */
        uint64_t parked, parked_per_user;   /* connections without a transport */
    } resume;
    struct {
        uint64_t bytes, envelopes, time_ms; /* unsent: the slow-consumer limits */
        uint64_t soft_bytes, soft_time_ms;
    } queue;
    struct {
        uint64_t connections, connections_per_address, connections_per_user;
        uint64_t mailbox;               /* letters waiting for one worker */
        /* A second, but of addresses a minute; 0: without a limit */
        uint64_t messages_per_connection, messages_per_user;
        uint64_t publishes_per_connection, publishes_per_user;
        uint64_t joins_per_connection, joins_per_user;
        uint64_t connects_per_address, failures_per_address, handshakes_per_address;
        uint64_t burst_ms;              /* as much as comes in so long may come at once */
        uint64_t fanout_slice;          /* deliveries in one loop turn before others are served */
    } limits;
    struct {
        bool to_user, to_connection, to_all;
    } publish;                          /* what clients may, beside groups */
    enum config_who may[GROUP_ACTION_COUNT];    /* where no rule says */
    struct group_rule *groups;          /* the first that matches holds */
    size_t group_count;
    struct webhook_rule *webhooks;
    size_t webhook_count;
    struct {
        char *source;                   /* of CloudEvents */
        char *spool;                    /* path; "" none */
        uint64_t spool_bytes;
        enum config_spool_sync spool_sync;
    } hooks;
    struct {
        uint64_t groups;                /* that remember */
        enum config_store store;
        char *path;                     /* a folder; "": in $STATE_DIRECTORY */
        enum config_sync sync;
        uint64_t sync_interval_ms;
        uint64_t disk_bytes;
        uint64_t queue, queue_bytes;    /* not yet on the disk */
    } history;
    struct {
        uint64_t keep_ms, count;        /* connections that ended lately; 0: none */
    } closed;
    struct {
        uint64_t members;               /* named in an answer, and when they come and go */
        uint64_t interval_ms;           /* changes are gathered for so long */
    } presence;
    struct {
        uint64_t timeout_ms;            /* for a reply */
        uint64_t pending, pending_per_connection;
        uint64_t queue_bytes;           /* on the way to the main thread */
    } handlers;
    enum log_level log_levels[LOG_AREA_COUNT];

    struct keys *keys;                  /* what auth.keys names, as it was read; auth_load() puts it here. NULL: nothing was */
    struct api_keys *api_keys;          /* the same of auth.api-keys */
    void (*free_keys)(struct config *config);
    bool (*has_key)(const struct config *config, uint64_t mark);   /* still; NULL: nothing was loaded */

    char *origins[OPTIONS_MAX];         /* by row of options[]: "file:line", "command line"; NULL: the default */
};

struct config *config_ref(struct config *config);
/* All options alike, nothing else; NULL: out of memory. */
struct config *config_clone(const struct config *config);
void config_unref(struct config *config);           /* NULL is fine */
static inline void config_free(struct config *config) { config_unref(config); }
DEFINE_SCOPED(config)
