/*
 * Load: puts one kind of load on a server and prints what it cost as one JSON object. This file reads the arguments, and
 * opens the clients for all kinds.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes load_data(const struct settings *settings)
{
    static unsigned char data[DATA_MAX];
    for (uint32_t i = 0; i < settings->bytes; i++)
        data[i] = (unsigned char)('a' + i % 26);
    return bytes_of(data, settings->bytes);
}

void load_open_members(struct load *load, const struct settings *settings, bool have_users)
{
    uint32_t first = load->count;
    for (uint32_t i = 0; i < settings->clients; i++) {
        struct role role = {.group = (int)(i % settings->groups), .to = GROUP_NONE, .user = have_users ? load->count + 1 : 0};
        load_add(load, settings->mix && i % 2 ? settings->mix : settings->speech, role);
    }
    load_open(load, first, settings->clients, settings->at_once);
}

struct client *load_open_publisher(struct load *load, const struct settings *settings)
{
    struct client *publisher = load_add(load, speech_of_publisher(settings->speech), (struct role){.group = GROUP_NONE});
    load_open(load, load->count - 1, 1, 1);
    return publisher;
}

uint32_t load_publish_all(struct load *load, struct client *publisher, const struct settings *settings, uint32_t messages,
                          uint32_t members)
{
    struct bytes data = load_data(settings);
    uint64_t start = load->messages, whole = members, until_ns = measure_now_ns() + settings->limit_ms * 1000000ull;
    uint32_t sent = 0;
    while (load->messages - start < messages * whole) {
        while (sent < messages && load->messages - start + settings->window * whole >= (sent + 1) * whole) {
            client_publish(publisher, 0, data);
            sent++;
        }
        if (!load_turn(load))
            errx(1, "%" PRIu64 " of %" PRIu64 " deliveries came, and nothing more happens", load->messages - start, sent * whole);
        if (sent < messages && measure_now_ns() > until_ns)
            messages = sent;
    }
    return messages;
}

static const struct kind {
    const char *name;
    void (*run)(const struct settings *settings);
} kinds[] = {
    {"idle", load_idle},     {"connect", load_connect}, {"resume", load_resume}, {"fanout", load_fanout},
    {"groups", load_groups}, {"admin", load_admin},     {"echo", load_echo},     {"half", load_half},
    {"comeback", load_comeback}, {"flood", load_flood},   {"api", load_api},      {"history", load_history},
};

static const struct option options[] = {
    {"port", required_argument, NULL, 'p'},     {"server", required_argument, NULL, 's'},
    {"speak", required_argument, NULL, 'k'},    {"mix", required_argument, NULL, 'x'},
    {"speeches", no_argument, NULL, 'l'},       {"admin", required_argument, NULL, 'a'},
    {"clients", required_argument, NULL, 'c'},  {"groups", required_argument, NULL, 'g'},
    {"bytes", required_argument, NULL, 'b'},    {"window", required_argument, NULL, 'w'},
    {"messages", required_argument, NULL, 'n'}, {"deaf", required_argument, NULL, 'd'},
    {"missed", required_argument, NULL, 'm'},   {"at-once", required_argument, NULL, 'o'},
    {"limit", required_argument, NULL, 't'},    {"tls", no_argument, NULL, 'T'},
    {"flood", required_argument, NULL, 'f'},    {"publishers", required_argument, NULL, 'P'},
    {"batch", required_argument, NULL, 'B'},    {"key", required_argument, NULL, 'K'},
    {0},
};

static const struct speech *speech_named(const char *name)
{
    const struct speech *speech = speech_find(name);
    if (!speech)
        errx(64, "%s: no such speech", name);
    return speech;
}

static void read_option(struct settings *settings, int letter, const char *value)
{
    uint32_t *const numbers[] = {
        ['c'] = &settings->clients,  ['g'] = &settings->groups, ['b'] = &settings->bytes,  ['w'] = &settings->window,
        ['n'] = &settings->messages, ['d'] = &settings->deaf_percent, ['m'] = &settings->missed, ['o'] = &settings->at_once,
        ['t'] = &settings->limit_ms, ['P'] = &settings->publishers, ['B'] = &settings->batch,
    };
    if (letter == 'p')
        settings->port = (uint16_t)atoi(value);
    else if (letter == 's' && settings->servers.count < MEASURE_PROCESSES_MAX)
        settings->servers.pids[settings->servers.count++] = atoi(value);
    else if (letter == 'k')
        settings->speech = speech_named(value);
    else if (letter == 'x')
        settings->mix = speech_named(value);
    else if (letter == 'a')
        settings->admin = value;
    else if (letter == 'f')
        settings->flood = value;
    else if (letter == 'K')
        settings->key = value;
    else if (letter == 'T')
        settings->is_tls = true;
    else if ((size_t)letter < COUNT_OF(numbers) && numbers[letter])
        *numbers[letter] = (uint32_t)strtoul(value, NULL, 10);
    else
        exit(64);
}

int main(int argc, char **argv)
{
    struct settings settings = {.clients = 1, .groups = 1, .bytes = 128, .window = 1, .messages = 1, .limit_ms = LIMIT_MS, .flood = "hello",
                                .at_once = AT_ONCE, .publishers = 1, .batch = 1, .key = ""};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1; ) {
        if (letter == 'l') {
            speech_print_names();
            return 0;
        }
        read_option(&settings, letter, optarg);
    }
    if (!settings.speech || settings.bytes > DATA_MAX || settings.port == 0 || settings.servers.count == 0
        || settings.clients == 0 || settings.groups == 0 || settings.messages == 0 || optind >= argc)
        errx(64, "usage: load --port PORT --server PID... --speak SPEECH [--mix SPEECH] [--clients N] [--groups N] [--bytes N] "
                 "[--window N] [--messages N] [--limit MS] [--deaf PERCENT] [--missed N] [--at-once N] [--admin SOCKET] [--tls] [--flood WHAT] "
                 "[--publishers N] [--batch N] [--key KEY] KIND");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(argv[optind], kinds[i].name) == 0) {
            kinds[i].run(&settings);
            return 0;
        }
    }
    errx(64, "%s: no such kind of load", argv[optind]);
}
