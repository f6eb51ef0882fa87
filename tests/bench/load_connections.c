/*
 * Load of connections: what they cost at rest, in coming, and in coming back.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

enum { IDLE_BROADCASTS = 3 };

static const uint64_t QUIET_NS = UINT64_C(8000000000);

/* One whole turn of the server's loop has passed when a new client is open: it has taken what came before. */
static void pass_turn(struct load *load, const struct settings *settings)
{
    load_add(load, speech_of_publisher(settings->speech), (struct role){.group = GROUP_NONE, .to = GROUP_NONE});
    load_open(load, load->count - 1, 1, 1);
}

/* Sends something to everybody, and waits until it is acknowledged: by the pings that a server sends until it is, and by
 * polls, which acknowledge in asking for more. */
static void talk_to_all(struct load *load, const struct settings *settings, struct client *publisher, uint32_t members)
{
    load_publish_all(load, publisher, settings, IDLE_BROADCASTS, members);
    load_expect_pings(load);
    while (settings->speech->is_pinged_until_acknowledged && load->pinged_count < load->count) {
        if (!load_turn(load))
            errx(1, "%u of %u clients were pinged, and nothing more happens", load->pinged_count, load->count);
    }
    pass_turn(load, settings);
}

/* A server may need to be quiet for a while before it gives memory back: it gets the time, as long as it holds more than before. */
static uint64_t wait_for_memory(struct load *load, const struct settings *settings, uint64_t before)
{
    uint64_t end_ns = measure_now_ns() + QUIET_NS, now = measure_rss_bytes(&settings->servers), surplus = now > before ? now - before : 0;
    while (now > before + surplus / 4 && measure_now_ns() < end_ns) {
        load_wait(load, 100);
        now = measure_rss_bytes(&settings->servers);
    }
    return now;
}

void load_idle(const struct settings *settings)
{
    struct load load;
    struct settings first = *settings;
    first.clients = settings->at_once;
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients + settings->at_once + 4);
    /* What a server sets up once, for its first clients, is not what a connection costs. */
    load_open_members(&load, &first, true);
    struct client *publisher = load_open_publisher(&load, settings);
    talk_to_all(&load, settings, publisher, first.clients);
    uint64_t bare = measure_rss_bytes(&settings->servers);
    load_open_members(&load, settings, true);
    pass_turn(&load, settings);
    uint64_t before = measure_rss_bytes(&settings->servers);
    talk_to_all(&load, settings, publisher, settings->clients + first.clients);
    uint64_t after = wait_for_memory(&load, settings, before);
    printf("{\"bytes\": %.1f, \"after_bytes\": %.1f}\n", ((double)before - (double)bare) / settings->clients,
           ((double)after - (double)bare) / settings->clients);
    load_done(&load);
}

static uint64_t open_strangers(struct load *load, const struct settings *settings)
{
    uint32_t first = load->count;
    for (uint32_t i = 0; i < settings->clients; i++)
        load_add(load, settings->speech, (struct role){.group = GROUP_NONE, .to = GROUP_NONE});
    uint64_t start = measure_now_ns();
    load_open(load, first, settings->clients, settings->at_once);
    return measure_now_ns() - start;
}

void load_connect(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients);
    uint64_t cpu = measure_cpu_ns(&settings->servers);
    uint64_t took = open_strangers(&load, settings);
    printf("{\"rate\": %.0f, \"cpu_ns\": %.0f}\n", settings->clients * 1e9 / (double)took,
           (double)(measure_cpu_ns(&settings->servers) - cpu) / settings->clients);
    load_done(&load);
}

/* All links break, messages are missed, and all come back for them. Beside it, as many bare connects to the same server, which
 * by then has seen as many. */
void load_resume(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_tls, settings->bytes, 2 * settings->clients + 4);
    load_open_members(&load, settings, false);
    load_cut(&load, 0, settings->clients);
    pass_turn(&load, settings);

    uint64_t cpu = measure_cpu_ns(&settings->servers);
    uint32_t first = load.count;
    uint64_t bare_ns = open_strangers(&load, settings), bare_cpu_ns = measure_cpu_ns(&settings->servers) - cpu;
    load_cut(&load, first, settings->clients);

    /* The publisher is a member too: when it has its messages, so has everybody's queue. */
    struct client *publisher = load_add(&load, settings->speech, (struct role){.group = 0});
    load_open(&load, load.count - 1, 1, 1);
    load_publish_all(&load, publisher, settings, settings->missed, 1);
    pass_turn(&load, settings);

    cpu = measure_cpu_ns(&settings->servers);
    uint64_t start = measure_now_ns(), before = load.messages, missed = (uint64_t)settings->missed * settings->clients;
    load_open(&load, 0, settings->clients, settings->at_once);
    while (load.messages - before < missed) {
        if (!load_turn(&load))
            errx(1, "%" PRIu64 " of %" PRIu64 " missed messages came, and nothing more happens", load.messages - before, missed);
    }
    uint64_t took = measure_now_ns() - start;
    printf("{\"bare_ns\": %" PRIu64 ", \"resume_ns\": %" PRIu64 ", \"to_bare\": %.3f, \"cpu_ns\": %.0f, \"cpu_to_bare\": %.3f}\n",
           bare_ns, took, (double)took / (double)bare_ns,
           (double)(measure_cpu_ns(&settings->servers) - cpu) / settings->clients,
           (double)(measure_cpu_ns(&settings->servers) - cpu) / (double)bare_cpu_ns);
    load_done(&load);
}
