/*
 * Load: puts one kind of load on a WebSocket server and prints what it cost as one JSON object. It knows two servers:
 * rtcd, and floor.c, which takes the same messages. Both get the same bytes.
 */
#include "tests/bench/client.h"
#include "tests/bench/measure.h"

#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 64, WARM_UP_MESSAGES = 20, DATA_MAX = 60000 };

struct settings {
    uint16_t port;
    pid_t server;
    bool is_rtcd;
    uint32_t clients;           /* members of the group */
    uint32_t msgpack_percent;   /* of them */
    uint32_t bytes;             /* of the data in each message */
    uint32_t window;            /* messages in flight */
    uint32_t messages;
};

/* An envelope for a group, with `bytes` bytes of data. */
static struct bytes envelope_for(const struct settings *settings, const char *group)
{
    static struct buf text;
    buf_clear(&text);
    buf_add_format(&text, "{\"eventName\":\"bench\",\"to\":{\"group\":\"%s\"},\"data\":\"", group);
    for (uint32_t i = 0; i < settings->bytes; i++)
        buf_add_byte(&text, (unsigned char)('a' + i % 26));
    buf_add_text(&text, "\"}");
    return buf_bytes(&text);
}

static void open_members(struct load *load, const struct settings *settings, const char *target)
{
    uint32_t msgpack = settings->clients * settings->msgpack_percent / 100;
    load_open(load, settings->clients - msgpack, AT_ONCE, target, settings->is_rtcd ? "rtc.v1.json" : NULL);
    load_open(load, msgpack, AT_ONCE, target, settings->is_rtcd ? "rtc.v1.msgpack" : NULL);
}

static void run_idle(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_rtcd, 0, settings->clients + AT_ONCE);
    /* What a server sets up once, for its first clients, is not what a connection costs. */
    load_open(&load, AT_ONCE, AT_ONCE, "/rtc/websocket?group=bench", NULL);
    uint64_t before = measure_rss_bytes(settings->server);
    open_members(&load, settings, "/rtc/websocket?group=bench");
    uint64_t after = measure_rss_bytes(settings->server);
    printf("{\"bytes\": %.1f}\n", (double)(after - before) / settings->clients);
    load_done(&load);
}

static void run_connect(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_rtcd, 0, settings->clients);
    uint64_t cpu = measure_cpu_ns(settings->server), start = measure_now_ns();
    open_members(&load, settings, "/rtc/websocket");
    uint64_t took = measure_now_ns() - start;
    printf("{\"rate\": %.0f, \"cpu_ns\": %.0f}\n", settings->clients * 1e9 / (double)took,
           (double)(measure_cpu_ns(settings->server) - cpu) / settings->clients);
    load_done(&load);
}

/* Publishes `messages` and waits until every member has every one; at most `window` are under way. */
static void publish_all(struct load *load, struct client *publisher, const struct settings *settings, uint32_t messages)
{
    struct bytes envelope = envelope_for(settings, "bench");
    uint64_t start = load->messages, members = settings->clients, sent = 0;
    while (load->messages - start < messages * members) {
        while (sent < messages && load->messages - start + settings->window * members >= (sent + 1) * members) {
            client_send(publisher, WS_TEXT, envelope);
            sent++;
        }
        if (!load_turn(load))
            errx(1, "%" PRIu64 " of %" PRIu64 " deliveries came, and nothing more happens", load->messages - start, sent * members);
    }
}

static void run_fanout(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_rtcd, settings->bytes, settings->clients + 1);
    open_members(&load, settings, "/rtc/websocket?group=bench");
    load_open(&load, 1, 1, "/rtc/websocket", NULL);
    struct client *publisher = &load.clients[load.count - 1];

    publish_all(&load, publisher, settings, WARM_UP_MESSAGES);
    uint64_t cpu = measure_cpu_ns(settings->server), start = measure_now_ns(), before = load.messages;
    publish_all(&load, publisher, settings, settings->messages);
    double deliveries = (double)(load.messages - before), took = (double)(measure_now_ns() - start);
    printf("{\"cpu_ns\": %.1f, \"rate\": %.0f}\n", (double)(measure_cpu_ns(settings->server) - cpu) / deliveries,
           deliveries * 1e9 / took);
    load_done(&load);
}

static void run_echo(const struct settings *settings)
{
    struct load load;
    load_init(&load, settings->port, settings->is_rtcd, settings->bytes, 1);
    load_open(&load, 1, 1, "/rtc/websocket?group=echo", NULL);
    struct bytes envelope = envelope_for(settings, "echo");
    uint64_t *samples = calloc(settings->messages, sizeof(*samples));
    uint64_t cpu = measure_cpu_ns(settings->server);
    for (uint32_t i = 0; i < settings->messages; i++) {
        uint64_t start = measure_now_ns(), before = load.messages;
        client_send(load.clients, WS_TEXT, envelope);
        while (load.messages == before) {
            if (!load_turn(&load))
                errx(1, "echo %u did not come", i);
        }
        samples[i] = measure_now_ns() - start;
    }
    printf("{\"cpu_ns\": %.1f, \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 "}\n",
           (double)(measure_cpu_ns(settings->server) - cpu) / settings->messages,
           measure_percentile(samples, settings->messages, 0.50), measure_percentile(samples, settings->messages, 0.99));
    free(samples);
    load_done(&load);
}

static const struct scenario {
    const char *name;
    void (*run)(const struct settings *settings);
} scenarios[] = {
    {"idle", run_idle},
    {"fanout", run_fanout},
    {"echo", run_echo},
    {"connect", run_connect},
};

static const struct option options[] = {
    {"port", required_argument, NULL, 'p'},     {"server", required_argument, NULL, 's'},
    {"rtcd", no_argument, NULL, 'r'},           {"clients", required_argument, NULL, 'c'},
    {"msgpack", required_argument, NULL, 'm'},  {"bytes", required_argument, NULL, 'b'},
    {"window", required_argument, NULL, 'w'},   {"messages", required_argument, NULL, 'n'},
    {0},
};

int main(int argc, char **argv)
{
    struct settings settings = {.clients = 1, .bytes = 128, .window = 1, .messages = 1};
    uint32_t *const numbers[] = {['c'] = &settings.clients, ['m'] = &settings.msgpack_percent, ['b'] = &settings.bytes,
                                 ['w'] = &settings.window, ['n'] = &settings.messages};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1; ) {
        if (letter == 'p')
            settings.port = (uint16_t)atoi(optarg);
        else if (letter == 's')
            settings.server = atoi(optarg);
        else if (letter == 'r')
            settings.is_rtcd = true;
        else if (letter != '?')
            *numbers[letter] = (uint32_t)strtoul(optarg, NULL, 10);
    }
    if (settings.bytes > DATA_MAX || settings.port == 0 || settings.server == 0 || optind >= argc)
        errx(64, "usage: load --port PORT --server PID [--rtcd] [--clients N] [--msgpack PERCENT] [--bytes N] [--window N] "
                 "[--messages N] idle|fanout|echo|connect");
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (strcmp(argv[optind], scenarios[i].name) == 0) {
            scenarios[i].run(&settings);
            return 0;
        }
    }
    errx(64, "%s: no such scenario", argv[optind]);
}
