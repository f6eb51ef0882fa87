/*
 * Bench run: the course of a benchmark: open all, publish by the clock or by a window, wait for what is under way, leave.
 * Decides when what is sent and when it is over; the reporting is bench_report.c's.
 */
#include "cli/bench_client.h"
#include "cli/bench_message.h"
#include "cli/sequence.h"
#include "lib/json.h"
#include "lib/text.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)

enum {
    OPENING_AT_ONCE = 128,
    SILENCE_MS = 5000,                  /* nothing that is awaited comes for so long: it is given up */
    LATE_MS = 250,                      /* beyond the end, for what was due before it */
    LEAVE_MS = 2000,
    PROGRESS_MS = 250,
    PUBLISH_AT_ONCE = 256,              /* then what has come is read in between */
    QUEUED_BYTES_MAX = 256 * 1024,      /* of a publisher that the daemon does not read */
    WAKE_NS_MIN = 50000,
    /* At a given rate, for each connection. Half of the daemon's defaults (queue.bytes, queue.envelopes): a pace that nobody keeps up
     * with shows in what is not sent, and must not make rtcctl the slow consumer that loses its connections. */
    UNDER_WAY_BYTES_MAX = 512 * 1024, UNDER_WAY_MAX = 2048,
};

struct bench {
    const struct bench_settings *settings;
    struct bench_result *result;
    struct bench_target target;
    struct bench_clients clients;
    struct bench_message message;
    struct sequence *sequences;         /* for each connection, one for each publisher */
    uint64_t *numbers;                  /* each publisher's next */
    uint64_t turn;                      /* whose it is to publish */
    uint64_t outstanding;               /* deliveries that open connections still wait for */
    uint64_t start_ns, heard_ns;        /* heard_ns: when what is awaited last came, or began to be awaited */
    uint64_t progress_ns;
    int signals, timer;
    unsigned interrupts;
    bool is_over;                       /* it makes no sense to go on */
    bool is_blocked;                    /* what is due cannot go yet */
    bool shows_progress;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND_NS
        + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* How long rtcctl has been ready to run and had no core (proc(5), schedstat); 0 where the kernel does not count it. */
static uint64_t cpu_wait_ns(void)
{
    unsigned long long used, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &used, &waited) != 2)
        waited = 0;
    fclose(file);
    return waited;
}

static void show_progress(struct bench *bench, uint64_t now)
{
    const struct bench_result *result = bench->result;
    if (!bench->shows_progress || now < bench->progress_ns)
        return;
    bench->progress_ns = now + PROGRESS_MS * MS_NS;
    if (bench->start_ns == 0)
        fprintf(stderr, "\r\033[K%llu of %llu connections are open", (unsigned long long)bench->clients.open,
                (unsigned long long)bench->settings->connections);
    else
        fprintf(stderr, "\r\033[K%.1f s: published %llu, delivered %llu, under way %llu", (double)(now - bench->start_ns) / 1e9,
                (unsigned long long)result->published, (unsigned long long)result->delivered, (unsigned long long)bench->outstanding);
}

static void check_signals(struct bench *bench)
{
    struct signalfd_siginfo info;
    while (read(bench->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        bench->interrupts++;
        bench->result->was_interrupted = true;
    }
}

/* One turn that ends at `until_ns` at the latest. Returns the time. */
static uint64_t run_turn(struct bench *bench, uint64_t until_ns)
{
    uint64_t now = now_ns();
    if (bench->shows_progress)
        until_ns = MIN(until_ns, MAX(bench->progress_ns, now));
    bench_clients_turn(&bench->clients, until_ns > now ? (int)MIN((until_ns - now + MS_NS - 1) / MS_NS, (uint64_t)60000) : 0);
    check_signals(bench);
    now = now_ns();
    show_progress(bench, now);
    return now;
}

/* An envelope that is not one of ours: the protocol's own, or somebody else's in the same group. */
static void take_other(struct bench *bench, struct bytes message)
{
    struct buf room = {0}, scratch = {0}, shown = {0};
    struct bytes json, text;
    if (bench_client_read(&bench->clients, message, &room, &json) < 0) {
        text_add_escaped(&shown, message, 80);
        bench_fail(&bench->result->failure, EX_PROTOCOL, "the server sent what is no envelope: %s", buf_text(&shown));
        bench->is_over = true;
    } else if (json_string_is(json_member(json, "eventName"), "rtc.error")) {
        struct bytes data = json_member(json, "data");
        bool is_forbidden = json_string_is(json_member(data, "code"), "forbidden");
        if (json_string(json_member(data, "message"), &scratch, &text) == 0)
            text_add_escaped(&shown, text, 300);
        bench_fail(&bench->result->failure, is_forbidden ? EX_NOPERM : EX_PROTOCOL, "the daemon refuses to publish: %s%s", buf_text(&shown),
                   is_forbidden ? ". With publish.to-group: members in its config, it lets the members of a group" : "");
        bench->is_over = true;
    }
    buf_done(&room);
    buf_done(&scratch);
    buf_done(&shown);
}

static void on_message(void *argument, struct bench_client *client, struct bytes message)
{
    struct bench *bench = argument;
    struct bench_result *result = bench->result;
    struct bench_stamp stamp;
    uint64_t publishers = bench->settings->publishers;
    if (!bench_message_find(&bench->message, message, &stamp) || stamp.publisher >= publishers) {
        take_other(bench, message);
        return;
    }
    uint64_t now = now_ns(), index = (uint64_t)(client - bench->clients.all);
    enum sequence_verdict verdict = sequence_take(&bench->sequences[index * publishers + stamp.publisher], stamp.number);
    if (verdict == SEQUENCE_DOUBLE) {
        result->doubled++;
        return;
    }
    result->late += verdict == SEQUENCE_LATE;
    result->delivered++;
    client->received++;
    bench->outstanding -= bench->outstanding > 0;
    bench->heard_ns = now;
    histogram_add(&result->latency_ns, now > stamp.due_ns ? now - stamp.due_ns : 0);
}

static void on_lost(void *argument, struct bench_client *client)
{
    struct bench *bench = argument;
    uint64_t missed = bench->result->published > client->received ? bench->result->published - client->received : 0;
    bench->result->connections_lost++;
    bench->outstanding -= MIN(bench->outstanding, missed);
}

static void open_all(struct bench *bench)
{
    struct bench_clients *clients = &bench->clients;
    uint64_t wanted = bench->settings->connections, before = 0, start = now_ns(), now = start;
    bench->heard_ns = now;
    while (clients->open < wanted && !bench->result->failure.status && !bench->interrupts) {
        while (clients->started < wanted && clients->started - clients->open < OPENING_AT_ONCE && !bench->result->failure.status)
            bench_clients_start(clients);
        now = run_turn(bench, bench->heard_ns + SILENCE_MS * MS_NS);
        if (clients->open > before)
            bench->heard_ns = now;
        else if (now > bench->heard_ns + SILENCE_MS * MS_NS)
            bench_fail(&bench->result->failure, EX_UNAVAILABLE, "the server says nothing: %llu of %llu connections are open, and no "
                       "other came up in %d s", (unsigned long long)clients->open, (unsigned long long)wanted, SILENCE_MS / 1000);
        before = clients->open;
    }
    bench->result->opened = clients->open;
    bench->result->open_ns = now - start;
}

/* Without products that could wrap. */
static uint64_t due_ns_of(const struct bench *bench, uint64_t message)
{
    uint64_t rate = bench->settings->rate;
    return bench->start_ns + message / rate * SECOND_NS + message % rate * SECOND_NS / rate;
}

static uint64_t messages_due(const struct bench *bench, uint64_t now)
{
    uint64_t rate = bench->settings->rate, ms = bench->settings->duration_ms;
    uint64_t elapsed = MIN(now - bench->start_ns, ms * MS_NS);
    uint64_t all = MAX(ms / 1000 * rate + ms % 1000 * rate / 1000, UINT64_C(1));
    return MIN(elapsed / SECOND_NS * rate + elapsed % SECOND_NS * rate / SECOND_NS + 1, all);
}

/* The publisher whose turn it is: NULL when it has no room, or when none is left (which ends the run). */
static struct bench_client *pick_publisher(struct bench *bench, uint64_t *ret_publisher)
{
    uint64_t publishers = bench->settings->publishers;
    for (uint64_t i = 0; i < publishers; i++) {
        *ret_publisher = bench->turn++ % publishers;
        struct bench_client *client = &bench->clients.all[*ret_publisher];
        if (client->state != BENCH_OPEN)
            continue;
        if (client->out.length < QUEUED_BYTES_MAX)
            return client;
        bench->turn--;
        return NULL;
    }
    bench->is_over = true;
    return NULL;
}

static bool publish_one(struct bench *bench, uint64_t due_ns)
{
    uint64_t publisher;
    struct bench_client *client = pick_publisher(bench, &publisher);
    if (!client)
        return false;
    struct bench_stamp stamp = {.publisher = publisher, .number = bench->numbers[publisher]++, .due_ns = due_ns};
    bench_client_add(&bench->clients, client, bench_message_stamp(&bench->message, &stamp));
    if (bench->outstanding == 0)
        bench->heard_ns = now_ns();
    bench->outstanding += bench->clients.open;
    bench->result->published++;
    return true;
}

/* Messages that may be under way to a connection. */
static uint64_t window_of(const struct bench_settings *settings)
{
    if (settings->rate == 0)
        return settings->window;
    return MIN(MAX(UNDER_WAY_BYTES_MAX / settings->data_bytes, UINT64_C(1)), (uint64_t)UNDER_WAY_MAX);
}

/* What is due, or what the window has room for. Returns when there is more to do, if nothing comes before. */
static uint64_t publish_some(struct bench *bench, uint64_t now)
{
    struct bench_result *result = bench->result;
    uint64_t rate = bench->settings->rate, due = rate ? messages_due(bench, now) : UINT64_MAX, window = window_of(bench->settings);
    unsigned count = 0;
    bench->is_blocked = false;
    while (!bench->is_blocked && count < PUBLISH_AT_ONCE && result->published < due) {
        bool has_room = bench->outstanding + bench->clients.open <= window * bench->clients.open;
        bench->is_blocked = !has_room || !publish_one(bench, rate ? due_ns_of(bench, result->published) : now_ns());
        count += !bench->is_blocked;
    }
    for (uint64_t i = 0; i < bench->settings->publishers; i++)
        if (!bench->clients.all[i].waits_for_room)
            bench_client_flush(&bench->clients, &bench->clients.all[i]);
    if (count == PUBLISH_AT_ONCE)
        return now;
    if (rate && !bench->is_blocked && result->published >= due) {
        /* Beyond that pace, several are sent each time: what they wait is part of their latency. */
        uint64_t next_ns = MAX(due_ns_of(bench, result->published), now + (rate > SECOND_NS / WAKE_NS_MIN ? WAKE_NS_MIN : 0));
        struct itimerspec at = {.it_value = {(time_t)(next_ns / SECOND_NS), (long)(next_ns % SECOND_NS)}};
        timerfd_settime(bench->timer, TFD_TIMER_ABSTIME, &at, NULL);
    }
    return UINT64_MAX;
}

/* Nothing came although something should: there is no use in waiting on. */
static bool is_silent(const struct bench *bench, uint64_t now)
{
    return bench->outstanding > 0 && now > bench->heard_ns + SILENCE_MS * MS_NS;
}

static bool goes_on(const struct bench *bench, uint64_t now, uint64_t end_ns)
{
    if (bench->is_over || bench->interrupts || bench->clients.open == 0)
        return false;
    bool is_behind = bench->settings->rate && !bench->is_blocked && bench->result->published < messages_due(bench, now);
    return now < end_ns || (is_behind && now < end_ns + LATE_MS * MS_NS);
}

static void publish_all(struct bench *bench)
{
    struct bench_result *result = bench->result;
    uint64_t now = now_ns(), end_ns = now + bench->settings->duration_ms * MS_NS;
    bench->start_ns = bench->heard_ns = now;
    while (goes_on(bench, now, end_ns)) {
        uint64_t until_ns = MIN(publish_some(bench, now), end_ns);
        if (bench->is_over)
            break;
        if (bench->outstanding)
            until_ns = MIN(until_ns, bench->heard_ns + SILENCE_MS * MS_NS + MS_NS);
        now = run_turn(bench, until_ns);
        bench->is_over = bench->is_over || is_silent(bench, now);
    }
    result->publish_ns = now - bench->start_ns;
    bool was_cut = bench->is_over || bench->interrupts || bench->clients.open == 0;
    uint64_t due = bench->settings->rate && !was_cut ? messages_due(bench, now) : 0;
    result->unsent = due > result->published ? due - result->published : 0;
}

static void wait_for_rest(struct bench *bench)
{
    while (bench->outstanding > 0 && bench->clients.open > 0 && !bench->is_over && bench->interrupts < 2) {
        uint64_t now = run_turn(bench, bench->heard_ns + SILENCE_MS * MS_NS + MS_NS);
        bench->is_over = bench->is_over || is_silent(bench, now);
    }
}

static void leave_all(struct bench *bench)
{
    uint64_t now = now_ns(), end_ns = now + LEAVE_MS * MS_NS;
    unsigned interrupts = bench->interrupts;
    bench_clients_leave(&bench->clients);
    while (now < end_ns && bench->clients.closed < bench->clients.started && bench->interrupts <= interrupts + 1) {
        bench_clients_turn(&bench->clients, (int)((end_ns - now + MS_NS - 1) / MS_NS));
        check_signals(bench);
        now = now_ns();
    }
}

static bool bench_prepare(struct bench *bench)
{
    const struct bench_settings *settings = bench->settings;
    struct bench_failure *failure = &bench->result->failure;
    unsigned char mark[BENCH_MARK / 2];
    sigset_t stops;
    if (!bench_target_find(&bench->target, settings, failure) || !bench_clients_init(&bench->clients, settings->connections))
        return false;
    random_take(&bench->clients.random, mark, sizeof(mark));
    bench->sequences = calloc(settings->connections * settings->publishers, sizeof(*bench->sequences));
    bench->numbers = calloc(settings->publishers, sizeof(*bench->numbers));
    if (!bench->sequences || !bench->numbers
        || bench_message_init(&bench->message, mark, settings->group, settings->data_bytes, settings->is_msgpack) < 0) {
        bench_fail(failure, EX_OSERR, "there is not enough memory for so many connections");
        return false;
    }
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    bench->signals = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
    bench->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (bench->signals >= 0 && bench->timer >= 0 && bench_clients_watch(&bench->clients, bench->signals, false)
        && bench_clients_watch(&bench->clients, bench->timer, true))
        return true;
    bench_fail(failure, EX_OSERR, "cannot begin: %s", strerror(errno));
    return false;
}

static void bench_measure(struct bench *bench)
{
    struct bench_result *result = bench->result;
    uint64_t cpu_before = cpu_ns(), wait_before = cpu_wait_ns(), bytes_before = bench->clients.received_bytes;
    publish_all(bench);
    result->cpu_ns = cpu_ns() - cpu_before;
    result->cpu_wait_ns = cpu_wait_ns() - wait_before;
    wait_for_rest(bench);
    result->received_bytes = bench->clients.received_bytes - bytes_before;
    result->deliver_ns = bench->heard_ns - bench->start_ns;
    result->expected = result->published * result->opened;
    if (result->delivered < result->expected)
        bench_fail(&result->failure, EX_SOFTWARE, "%llu of %llu deliveries did not come", (unsigned long long)(result->expected - result->delivered),
                   (unsigned long long)result->expected);
    else if (result->doubled || result->late)
        bench_fail(&result->failure, EX_SOFTWARE, "messages came twice or out of order");
}

void bench_run(const struct bench_settings *settings, struct bench_result *ret)
{
    struct bench bench = {
        .settings = settings, .result = ret, .signals = -1, .timer = -1, .shows_progress = isatty(STDERR_FILENO),
        .clients = {.epoll = -1, .target = &bench.target, .is_msgpack = settings->is_msgpack, .failure = &ret->failure,
                    .on_message = on_message, .on_lost = on_lost, .argument = &bench},
    };
    if (bench_prepare(&bench)) {
        open_all(&bench);
        if (bench.result->opened == settings->connections)
            bench_measure(&bench);
        else if (bench.interrupts)
            bench_fail(&ret->failure, EX_TEMPFAIL, "interrupted before anything was published");
        leave_all(&bench);
        if (bench.shows_progress)
            fprintf(stderr, "\r\033[K");
    }
    bench_clients_done(&bench.clients);
    bench_target_done(&bench.target);
    bench_message_done(&bench.message);
    free(bench.sequences);
    free(bench.numbers);
    if (bench.signals >= 0)
        close(bench.signals);
    if (bench.timer >= 0)
        close(bench.timer);
}
