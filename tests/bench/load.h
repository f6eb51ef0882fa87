/*
 * Load: what the kinds of load have in common. load.c reads the arguments; each load_*.c has a few kinds, which print what
 * they measured as one JSON object.
 */
#pragma once

#include "tests/bench/client.h"
#include "tests/bench/measure.h"
#include "tests/bench/speech.h"

enum { AT_ONCE = 64, WARM_UP_MESSAGES = 20, DATA_MAX = 60000, LIMIT_MS = 60000 };

struct settings {
    uint16_t port;
    bool is_tls;
    struct servers servers;
    const struct speech *speech, *mix;  /* mix: every other member speaks it; NULL: none does */
    uint32_t clients;                   /* members */
    uint32_t groups;                    /* that they are spread over */
    uint32_t deaf_percent;              /* of the members: they read nothing */
    uint32_t bytes;                     /* of the data in each message */
    uint32_t window;                    /* messages in flight */
    uint32_t messages, limit_ms;        /* to publish at most, and for at most that long; what was published is waited for */
    uint32_t missed;                    /* messages that come while a client is away */
    uint32_t at_once;                   /* connects under way */
    uint32_t publishers;                /* by HTTP, each with one request under way */
    uint32_t batch;                     /* messages in a request */
    const char *key;                    /* rtcd's API key */
    const char *admin;                  /* the path of rtcd's admin socket */
    const char *flood;                  /* what those who flood begin with */
};

/* When a measurement began, and with what. */
struct watch {
    struct cpu cpu;
    uint64_t start_ns, messages;
};

static inline struct watch watch_start(const struct load *load, const struct settings *settings)
{
    return (struct watch){.cpu = measure_cpu(&settings->servers), .start_ns = measure_now_ns(), .messages = load->messages};
}

struct bytes load_data(const struct settings *settings);
/* Adds and opens the members: member i is in group i modulo the number of groups. */
void load_open_members(struct load *load, const struct settings *settings, bool have_users);
/* Opens one more client, that publishes to the first group. */
struct client *load_open_publisher(struct load *load, const struct settings *settings);
/* Publishes up to `messages` to the first group, at most `window` under way, and waits until `members` have every one.
 * Returns how many there were. */
uint32_t load_publish_all(struct load *load, struct client *publisher, const struct settings *settings, uint32_t messages,
                          uint32_t members);

void load_idle(const struct settings *settings);            /* load_connections.c */
void load_connect(const struct settings *settings);
void load_resume(const struct settings *settings);
void load_fanout(const struct settings *settings);          /* load_deliveries.c */
void load_groups(const struct settings *settings);
void load_admin(const struct settings *settings);
void load_echo(const struct settings *settings);            /* load_latency.c */
void load_half(const struct settings *settings);
void load_comeback(const struct settings *settings);        /* load_comeback.c */
void load_flood(const struct settings *settings);           /* load_flood.c */
void load_api(const struct settings *settings);             /* load_api.c */
void load_history(const struct settings *settings);
