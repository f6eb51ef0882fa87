/*
 * Load of echoes: each client is alone in a group and publishes to it. At rest one message at a time; under half load
 * at a steady rate, whatever comes back, with the time at which a message was due as its stamp.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALIBRATION_MESSAGES = 20000, DUE_MAX = 4096, SLICES = 25 };

static void open_echoes(struct load *load, const struct settings *settings)
{
    load_init(load, settings->port, settings->is_tls, settings->bytes, settings->clients);
    for (uint32_t i = 0; i < settings->clients; i++)
        load_add(load, settings->speech, (struct role){.group = (int)i, .to = (int)i});
    load_open(load, 0, settings->clients, settings->at_once);
}

/* The median of the percentiles of equal slices of a run: another program's turn on the processor spoils a slice, not the run. */
static uint64_t percentile_of_slices(uint64_t *samples, size_t count, double share)
{
    uint64_t slices[SLICES];
    for (size_t i = 0; i < SLICES; i++)
        slices[i] = measure_percentile(samples + i * count / SLICES, (i + 1) * count / SLICES - i * count / SLICES, share);
    return measure_percentile(slices, SLICES, 0.50);
}

/* `rate`: of the messages, a second; 0: what came of it. */
static void print_latency(const struct settings *settings, const struct watch *watch, uint64_t *samples, size_t count, double rate)
{
    struct cpu cpu = measure_cpu(&settings->servers);
    double took_ns = (double)(measure_now_ns() - watch->start_ns);
    uint64_t p50 = percentile_of_slices(samples, count, 0.50), p99 = percentile_of_slices(samples, count, 0.99);
    printf("{\"cpu_ns\": %.1f, \"rate\": %.0f, \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"waited_percent\": %.1f}\n",
           (double)(cpu.all_ns - watch->cpu.all_ns) / (double)count, rate > 0 ? rate : (double)count * 1e9 / took_ns, p50, p99,
           (double)(cpu.waited_ns - watch->cpu.waited_ns) * 100 / took_ns);
}

void load_echo(const struct settings *settings)
{
    struct load load;
    open_echoes(&load, settings);
    struct bytes data = load_data(settings);
    uint64_t *samples = calloc(settings->messages, sizeof(*samples));
    struct watch watch = watch_start(&load, settings);
    for (uint32_t i = 0; i < settings->messages; i++) {
        struct client *client = &load.clients[i % load.count];
        uint64_t start = measure_now_ns(), before = load.messages;
        client_publish(client, client->role.to, data);
        while (load.messages == before) {
            if (!load_turn(&load))
                errx(1, "echo %u did not come", i);
        }
        samples[i] = measure_now_ns() - start;
    }
    print_latency(settings, &watch, samples, settings->messages, 0);
    free(samples);
    load_done(&load);
}

/* What is under way. The messages of one client come back in the order they went: its n-th was due at due[n]. */
struct timing {
    struct load *load;
    uint64_t (*due)[DUE_MAX];           /* of each client, a ring */
    uint64_t *samples, count;
};

static void time_message(struct client *client, void *argument)
{
    struct timing *timing = argument;
    uint64_t due_ns = timing->due[client - timing->load->clients][client->messages % DUE_MAX];
    timing->samples[timing->count++] = measure_now_ns() - due_ns;
}

static void send_due(struct timing *timing, uint32_t number, uint64_t due_ns, struct bytes data)
{
    struct client *client = &timing->load->clients[number % timing->load->count];
    uint64_t sequence = number / timing->load->count;
    if (sequence - client->messages >= DUE_MAX)
        errx(1, "the server is overloaded at what should be half of its load");
    timing->due[client - timing->load->clients][sequence % DUE_MAX] = due_ns;
    client_publish(client, client->role.to, data);
}

/* One message every `gap_ns`; 0: as fast as the server takes them, at most one a client under way. Returns how many there
 * were in the time that there is. */
static uint32_t run_steadily(struct timing *timing, const struct settings *settings, uint32_t messages, uint64_t gap_ns)
{
    struct bytes data = load_data(settings);
    uint64_t start = measure_now_ns(), last_ns = start;
    uint32_t sent = 0;
    timing->count = 0;
    while (timing->count < messages) {
        uint64_t now = measure_now_ns();
        while (sent < messages && (gap_ns ? start + sent * gap_ns <= now : sent - timing->count < timing->load->count)) {
            send_due(timing, sent, gap_ns ? start + sent * gap_ns : now, data);
            sent++;
            load_wait(timing->load, 0);
        }
        if (load_wait(timing->load, 0))
            last_ns = now;
        else if (now - last_ns > 10000000000)
            errx(1, "%" PRIu64 " of %u echoes came, and nothing more happens", timing->count, sent);
        if (sent < messages && now - start > settings->limit_ms * 1000000ull)
            messages = sent;
    }
    for (uint32_t i = 0; i < timing->load->count; i++)
        timing->load->clients[i].messages = 0;
    return messages;
}

/* First in a closed loop, to see what an echo costs the server; then at half the rate that this cost allows. */
void load_half(const struct settings *settings)
{
    struct load load;
    open_echoes(&load, settings);
    struct timing timing = {.load = &load, .due = calloc(settings->clients, sizeof(*timing.due)),
                            .samples = calloc((size_t)settings->messages + CALIBRATION_MESSAGES, sizeof(uint64_t))};
    load.on_message = time_message;
    load.argument = &timing;

    uint64_t cpu = measure_cpu_ns(&settings->servers);
    uint32_t count = run_steadily(&timing, settings, CALIBRATION_MESSAGES, 0);
    uint64_t cost_ns = (measure_cpu_ns(&settings->servers) - cpu) / count, gap_ns = MAX(2 * cost_ns, 1u);
    struct watch watch = watch_start(&load, settings);
    count = run_steadily(&timing, settings, settings->messages, gap_ns);
    print_latency(settings, &watch, timing.samples, count, 1e9 / (double)gap_ns);
    free(timing.due);
    free(timing.samples);
    load_done(&load);
}
