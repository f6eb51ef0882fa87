/*
 * Load of clients that come back: the real ones of librtc, all in this process, whose links are all cut at once. The other
 * kinds of load know what a server must do; this one includes what a client does.
 */
#include "lib/rtc.h"
#include "tests/bench/load.h"

#include <err.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512, SILENCE_MS = 20000, EPOLL_EACH = 1, SOCKETS_EACH = 1, SPARE_DESCRIPTORS = 64 };

struct member {
    struct crowd *crowd;
    struct rtc_client *rtc;
    uint64_t due_ms;                    /* UINT64_MAX: it waits for its links alone */
    bool is_member, is_back, has_message;
};

struct crowd {
    int epoll;
    struct member *members;
    uint32_t count, joined, back, reached;
};

static uint64_t now_ms(void)
{
    return measure_now_ns() / 1000000;
}

static void touched(struct member *member)
{
    int wait_ms = rtc_timeout_ms(member->rtc);
    member->due_ms = wait_ms < 0 ? UINT64_MAX : now_ms() + (uint64_t)wait_ms;
}

static void process(struct member *member)
{
    rtc_process(member->rtc);
    touched(member);
}

static void turn(struct crowd *crowd)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now = now_ms(), next = now + SILENCE_MS;
    for (uint32_t i = 0; i < crowd->count; i++) {
        if (crowd->members[i].rtc && crowd->members[i].due_ms <= now)
            process(&crowd->members[i]);
        if (crowd->members[i].rtc)
            next = MIN(next, crowd->members[i].due_ms);
    }
    int count = epoll_wait(crowd->epoll, events, EVENTS_AT_ONCE, next <= now ? 0 : (int)(next - now));
    for (int i = 0; i < count; i++)
        process(events[i].data.ptr);
    if (count == 0 && next - now >= SILENCE_MS)
        errx(1, "%u of %u clients are members, %u are back, %u have the message, and nothing more happens", crowd->joined, crowd->count,
             crowd->back, crowd->reached);
}

static void on_joined(struct rtc_client *rtc, const struct rtc_error *error, const char *json, void *argument)
{
    struct member *member = argument;
    if (error->code)
        errx(1, "a client could not join: %s", error->message);
    member->is_member = true;
    member->crowd->joined++;
}

static void on_message(struct rtc_client *rtc, const struct rtc_message *message, void *argument)
{
    struct member *member = argument;
    if (member->has_message)
        errx(1, "a message came twice");
    member->has_message = true;
    member->crowd->reached++;
}

static void on_reconnected(struct rtc_client *rtc, const struct rtc_reconnected *how, void *argument)
{
    struct member *member = argument;
    if (!how->is_resumed)
        errx(1, "a connection was not resumed");
    if (!member->is_back)
        member->crowd->back++;
    member->is_back = true;
}

static void on_close(struct rtc_client *rtc, const struct rtc_error *reason, void *argument)
{
    errx(1, "a client gave up: %s", reason->message);
}

static void start(struct crowd *crowd, const struct rtc_builder *builder, struct member *member)
{
    static const struct rtc_life life = {.on_reconnected = on_reconnected, .on_close = on_close};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
    struct rtc_error error;
    member->crowd = crowd;
    member->rtc = rtc_builder_build(builder, &error);
    if (!member->rtc)
        errx(1, "%s", error.message);
    rtc_set_life(member->rtc, &life, member);
    if (rtc_on(member->rtc, "back", on_message, member) != RTC_OK || rtc_start(member->rtc) != RTC_OK
        || rtc_join(member->rtc, "all", NULL, on_joined, member) != RTC_OK)
        errx(1, "%s", rtc_error(member->rtc)->message);
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, rtc_fd(member->rtc), &event) < 0)
        err(1, "epoll_ctl");
    touched(member);
}

/* Resets every connection to the server: connect(2) to no address does that to a stream socket, whoever owns it. */
static uint32_t cut_all(uint16_t port)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int last = (int)sysconf(_SC_OPEN_MAX);
    uint32_t count = 0;
    for (int descriptor = 3; descriptor < last; descriptor++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof(peer);
        if (getpeername(descriptor, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
            count += connect(descriptor, &nobody, sizeof(nobody)) == 0;
    }
    return count;
}

static uint64_t own_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void open_all(struct crowd *crowd, const struct settings *settings)
{
    struct rtc_builder *builder = rtc_builder_new();
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/rtc", settings->port);
    rtc_builder_url(builder, url);
    rtc_builder_transports(builder, "websocket");
    uint32_t started = 0;
    while (crowd->joined < crowd->count) {
        while (started < crowd->count && started - crowd->joined < settings->at_once)
            start(crowd, builder, &crowd->members[started++]);
        turn(crowd);
    }
    rtc_builder_free(builder);
}

void load_comeback(const struct settings *settings)
{
    uint32_t allowed = (uint32_t)(sysconf(_SC_OPEN_MAX) - SPARE_DESCRIPTORS - settings->at_once) / (EPOLL_EACH + SOCKETS_EACH);
    struct crowd crowd = {.epoll = epoll_create1(EPOLL_CLOEXEC), .count = MIN(settings->clients, allowed)};
    crowd.members = calloc(crowd.count, sizeof(*crowd.members));
    if (!crowd.members)
        errx(1, "out of memory");
    open_all(&crowd, settings);

    uint64_t cpu = measure_cpu_ns(&settings->servers), own = own_cpu_ns(), start_ns = measure_now_ns();
    if (cut_all(settings->port) < crowd.count)
        errx(1, "some connections could not be cut");
    /* Said while away, by one of them: that it reaches all of them once shows that they are what they were. */
    struct rtc_target all = {.kind = RTC_TO_GROUP, .name = "all"};
    if (rtc_send_to(crowd.members[0].rtc, &all, "back", "1") != RTC_OK)
        errx(1, "%s", rtc_error(crowd.members[0].rtc)->message);
    touched(&crowd.members[0]);
    while (crowd.back < crowd.count || crowd.reached < crowd.count)
        turn(&crowd);
    printf("{\"comeback_ns\": %" PRIu64 ", \"clients\": %u, \"cpu_ns\": %.0f, \"client_cpu_ns\": %.0f}\n", measure_now_ns() - start_ns,
           crowd.count, (double)(measure_cpu_ns(&settings->servers) - cpu) / crowd.count, (double)(own_cpu_ns() - own) / crowd.count);
    for (uint32_t i = 0; i < crowd.count; i++)
        rtc_free(crowd.members[i].rtc);
    free(crowd.members);
    close(crowd.epoll);
}
