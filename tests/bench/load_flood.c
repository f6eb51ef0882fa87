/*
 * Load of bad beginnings: what many clients who only begin cost a good one, who echoes one message at a time. The flood is a process
 * of its own, which has the processor only while the good client does not want it, and comes from another address.
 */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FLOOD_OPEN = 64, TURNS = 5, HELLO_MAX = 4096, FLOOD_ADDRESS = INADDR_LOOPBACK + 99 };

struct flood {
    struct sockaddr_in server, own;
    unsigned char hello[HELLO_MAX];
    size_t hello_length;
    atomic_ullong *begun;               /* shared with the process that floods */
    pid_t process;
};

/* What each of them says. */
static void flood_set_hello(struct flood *flood, const struct settings *settings)
{
    static const char http[] = "GET /rtc/websocket HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n";
    const char *what = settings->flood;
    if (strcmp(what, "hello") == 0) {
        flood->hello_length = client_tls_hello(flood->hello, sizeof(flood->hello));
    } else if (strcmp(what, "garbage") == 0) {
        /* A record that says it is a handshake's, of nothing that makes sense. */
        memcpy(flood->hello, (const unsigned char[]){0x16, 3, 1, 1, 0}, 5);
        for (size_t i = 5; i < 5 + 256; i++)
            flood->hello[i] = (unsigned char)(i * 167 + 13);
        flood->hello_length = 5 + 256;
    } else if (strcmp(what, "http") == 0) {
        memcpy(flood->hello, http, sizeof(http) - 1);
        flood->hello_length = sizeof(http) - 1;
    } else {
        errx(64, "--flood is hello, garbage or http");
    }
}

static int flood_begin(const struct flood *flood)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct linger reset = {.l_onoff = 1};
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (descriptor < 0 || bind(descriptor, (const struct sockaddr *)&flood->own, sizeof(flood->own)) < 0
        || connect(descriptor, (const struct sockaddr *)&flood->server, sizeof(flood->server)) < 0)
        err(1, "flood");
    /* Whether the server takes it is the server's business. */
    (void)!send(descriptor, flood->hello, flood->hello_length, MSG_NOSIGNAL);
    return descriptor;
}

/* As many as the server answers. One leaves once it has been answered: so each has cost the server what it can. */
static _Noreturn void flood_run(const struct flood *flood)
{
    int open[FLOOD_OPEN];
    struct sched_param parameter = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sched_setscheduler(0, SCHED_IDLE, &parameter);
    for (unsigned i = 0; i < FLOOD_OPEN; i++)
        open[i] = flood_begin(flood);
    for (unsigned i = 0; ; i = (i + 1) % FLOOD_OPEN) {
        char answer[64];
        (void)!recv(open[i], answer, sizeof(answer), 0);
        close(open[i]);
        open[i] = flood_begin(flood);
        atomic_fetch_add(flood->begun, 1);
    }
}

static void flood_start(struct flood *flood)
{
    flood->process = fork();
    if (flood->process < 0)
        err(1, "fork");
    if (flood->process == 0)
        flood_run(flood);
}

static void flood_stop(struct flood *flood)
{
    kill(flood->process, SIGKILL);
    waitpid(flood->process, NULL, 0);
}

/* How long an echo took, without what other programs had of the server's processor and of this one. */
static uint64_t echo_once(struct load *load, const struct settings *settings, struct bytes data)
{
    const struct servers self = {.pids = {getpid()}, .count = 1};
    uint64_t waited = measure_cpu(&settings->servers).waited_ns + measure_cpu(&self).waited_ns;
    uint64_t start = measure_now_ns(), before = load->messages;
    client_publish(load->clients, 0, data);
    while (load->messages == before) {
        if (!load_turn(load))
            errx(1, "an echo did not come");
    }
    uint64_t took = measure_now_ns() - start;
    waited = measure_cpu(&settings->servers).waited_ns + measure_cpu(&self).waited_ns - waited;
    return took > waited ? took - waited : 0;
}

/* The p99. */
static uint64_t echo_many(struct load *load, const struct settings *settings, uint64_t *samples)
{
    struct bytes data = load_data(settings);
    for (unsigned i = 0; i < WARM_UP_MESSAGES; i++)
        echo_once(load, settings, data);
    for (uint32_t i = 0; i < settings->messages; i++)
        samples[i] = echo_once(load, settings, data);
    return measure_percentile(samples, settings->messages, 0.99);
}

/* Turn by turn without a flood and with one. */
void load_flood(const struct settings *settings)
{
    struct load load;
    struct flood flood = {
        .server = {.sin_family = AF_INET, .sin_port = htons(settings->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(FLOOD_ADDRESS)},
        .begun = mmap(NULL, sizeof(*flood.begun), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
    };
    uint64_t *quiet = calloc((size_t)TURNS * settings->messages, sizeof(*quiet)), quiet_p99[TURNS], flooded_ns = 0;
    uint64_t *flooded = calloc((size_t)TURNS * settings->messages, sizeof(*flooded)), flooded_p99[TURNS];
    if (flood.begun == MAP_FAILED || !quiet || !flooded)
        err(1, "flood");
    flood_set_hello(&flood, settings);
    load_init(&load, settings->port, settings->is_tls, settings->bytes, 1);
    load_add(&load, settings->speech, (struct role){.group = 0, .to = 0});
    load_open(&load, 0, 1, 1);
    for (unsigned i = 0; i < TURNS; i++) {
        quiet_p99[i] = echo_many(&load, settings, quiet + (size_t)i * settings->messages);
        flood_start(&flood);
        uint64_t start = measure_now_ns();
        flooded_p99[i] = echo_many(&load, settings, flooded + (size_t)i * settings->messages);
        flooded_ns += measure_now_ns() - start;
        flood_stop(&flood);
    }
    uint64_t before = measure_percentile(quiet_p99, TURNS, 0.50), with = measure_percentile(flooded_p99, TURNS, 0.50);
    printf("{\"quiet_p99_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"to_quiet\": %.3f, \"quiet_p50_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
           ", \"flood_rate\": %.0f}\n", before, with, (double)with / (double)before,
           measure_percentile(quiet, (size_t)TURNS * settings->messages, 0.50),
           measure_percentile(flooded, (size_t)TURNS * settings->messages, 0.50), (double)*flood.begun * 1e9 / (double)flooded_ns);
    free(quiet);
    free(flooded);
    load_done(&load);
}
