/*
 * Daemon threads: the workers, the mailboxes between them and the main thread, and what core calls outward.
 */
#include "daemon/daemon_state.h"

#include "daemon/api/api.h"
#include "daemon/dialect/dialects.h"
#include "daemon/page/pages.h"
#include "daemon/transport/transports.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_MS = 2000, FLUSH_TICK_MS = 50 };

static struct mailbox *daemon_mailbox(struct daemon *daemon, unsigned worker)
{
    return &daemon->mailboxes[worker == MAIN_MAILBOX ? daemon->worker_count : worker];
}

int daemon_post(void *argument, unsigned worker, const struct letter *letter)
{
    const struct daemon *daemon = argument;
    if (worker != MAIN_MAILBOX && worker >= daemon->ready_count)
        return -ESHUTDOWN;
    return mailbox_post(daemon_mailbox(argument, worker), letter);
}

static bool on_has_room(void *argument, unsigned worker)
{
    return mailbox_has_room(daemon_mailbox(argument, worker));
}

static void on_settle(void *argument, unsigned worker)
{
    worker_settle(&((struct daemon *)argument)->workers[worker]);
}

uint64_t daemon_wall_ms(void *argument)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t on_now_ms(void *argument)
{
    return clock_now_ms();
}

static void daemon_take_counted(struct daemon *daemon, struct place *place)
{
    if (daemon->admin)
        admin_take_counted(daemon->admin, place);
    place_unref(place);
}

static void daemon_take_letters(struct daemon *daemon)
{
    struct letter letter;
    while (mailbox_take(daemon_mailbox(daemon, MAIN_MAILBOX), &letter)) {
        if (letter.kind == LETTER_VISIT)
            letter.visit->arrive(letter.visit);
        else if (letter.kind == LETTER_CALL)
            admin_carry_out(daemon->admin, letter.call);
        else if (letter.kind == LETTER_EVENT && daemon->handlers)
            handlers_take(daemon->handlers, letter.event);
        else if (letter.kind == LETTER_EVENT)
            free(letter.event);
        else if (letter.kind == LETTER_GATE)
            gate_take(daemon->exchange, letter.gate_call);
        else if (letter.kind == LETTER_NOTICE)
            notices_take(&daemon->notices, letter.notice);
        else if (letter.kind == LETTER_STORED && daemon->admin)
            admin_stored(daemon->admin, &letter);
        else if (letter.kind == LETTER_COUNTED)
            daemon_take_counted(daemon, letter.place);
        else if (letter.kind == LETTER_ENDED)
            daemon->running_count--;
    }
    if (daemon->exchange) {
        notices_settle(&daemon->notices);
        gate_settle(&daemon->exchange->gate);
    }
}

static void on_mailbox(evutil_socket_t descriptor, short what, void *argument)
{
    struct daemon *daemon = argument;
    mailbox_hear(daemon_mailbox(daemon, MAIN_MAILBOX));
    daemon_take_letters(daemon);
}

int daemon_start_mailboxes(struct daemon *daemon)
{
    daemon->mailboxes = calloc(daemon->worker_count + 1, sizeof(*daemon->mailboxes));
    if (!daemon->mailboxes)
        return -ENOMEM;
    for (unsigned i = 0; i <= daemon->worker_count; i++)
        daemon->mailboxes[i].event_fd = -1;
    for (unsigned i = 0; i <= daemon->worker_count; i++) {
        int r = mailbox_init(&daemon->mailboxes[i], daemon->config->limits.mailbox);
        if (r < 0)
            return r;
    }
    struct mailbox *own = daemon_mailbox(daemon, MAIN_MAILBOX);
    daemon->mailbox_event = event_new(daemon->base, own->event_fd, EV_READ | EV_PERSIST, on_mailbox, daemon);
    return daemon->mailbox_event && event_add(daemon->mailbox_event, NULL) == 0 ? 0 : -ENOMEM;
}

void daemon_stop_mailboxes(struct daemon *daemon)
{
    if (!daemon->mailboxes)
        return;
    daemon_take_letters(daemon);
    if (daemon->mailbox_event)
        event_free(daemon->mailbox_event);
    for (unsigned i = 0; i <= daemon->worker_count; i++)
        mailbox_done(&daemon->mailboxes[i]);
    free(daemon->mailboxes);
}

int daemon_start_exchange(struct daemon *daemon)
{
    struct ports ports = {.post = daemon_post, .has_room = on_has_room, .settle = on_settle, .wall_ms = daemon_wall_ms, .now_ms = on_now_ms,
                          .argument = daemon};
    daemon->router = (struct router){.dialects = dialect_fronts, .dialect_count = dialect_count, .api = &api_front,
                                     .transports = transport_fronts, .transport_count = TRANSPORT_COUNT,
                                     .files = pages, .file_count = PAGE_COUNT};
    for (size_t i = 0; i < dialect_count; i++)
        if (dialect_fronts[i]->is_for_tests)
            log_warning(LOG_AREA_DAEMON, NULL, "this build has the dialect %s, which is for tests (-Dtest_dialects); never install it",
                        dialect_fronts[i]->dialect->name);
    daemon->exchange = exchange_new(daemon->worker_count, &ports);
    return daemon->exchange ? 0 : -ENOMEM;
}

void daemon_stop_exchange(struct daemon *daemon)
{
    exchange_free(STEAL(daemon->exchange));
}

/* Sinks are there before the workers, and gone behind them. */
int daemon_start_notices(struct daemon *daemon)
{
    notices_init(&daemon->notices, daemon->exchange, &daemon->metrics);
    return 0;
}

int daemon_start_workers(struct daemon *daemon)
{
    notices_begin(&daemon->notices);
    daemon->workers = calloc(daemon->worker_count, sizeof(*daemon->workers));
    if (!daemon->workers)
        return -ENOMEM;
    for (unsigned i = 0; i < daemon->worker_count; i++) {
        struct worker *worker = &daemon->workers[i];
        daemon->ready_count++;
        int r = worker_init(worker, i, daemon->exchange, daemon->config, &daemon->router, daemon->mailboxes,
                            daemon->worker_count);
        if (r == 0)
            r = listener_add_all(worker, &daemon->sockets, certificates_store(daemon->certificates));
        if (r < 0)
            return r;
    }
    /* Signals are the main thread's alone. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    for (unsigned i = 0; i < daemon->worker_count && r == 0; i++)
        if ((r = worker_start(&daemon->workers[i])) == 0)
            daemon->running_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* A turn of the loop ends when something happens, or at the latest with a tick of this. */
static void on_flush_tick(evutil_socket_t descriptor, short what, void *argument)
{
}

/* The last notices go out, as far as those who want them take them in time. */
static void daemon_flush_notices(struct daemon *daemon)
{
    static const struct timeval tick_span = {0, FLUSH_TICK_MS * 1000};
    uint64_t end_ms = clock_now_ms() + FLUSH_MS;
    struct event *tick = event_new(daemon->base, -1, EV_PERSIST, on_flush_tick, NULL);
    webhooks_hurry(&daemon->webhooks);
    if (tick && event_add(tick, &tick_span) == 0)
        while (notices_are_busy(&daemon->notices) && clock_now_ms() < end_ms)
            event_base_loop(daemon->base, EVLOOP_ONCE);
    if (tick)
        event_free(tick);
}

void daemon_stop_workers(struct daemon *daemon)
{
    struct letter stop = {.kind = LETTER_STOP};
    store_hush(daemon->store);
    for (unsigned i = 0; i < daemon->ready_count; i++)
        if (daemon->workers[i].is_running && daemon_post(daemon, i, &stop) < 0)
            _exit(EX_OSERR);
    /* What they say of their ends is handed on meanwhile, a second signal is heard, and whoever asks is answered. */
    while (daemon->running_count > 0)
        event_base_loop(daemon->base, EVLOOP_ONCE);
    for (unsigned i = 0; i < daemon->ready_count; i++)
        worker_join(&daemon->workers[i]);
    if (daemon->admin)
        admin_close_ears(daemon->admin);
    for (unsigned i = 0; i < daemon->ready_count; i++)
        worker_done(&daemon->workers[i]);
    daemon->ready_count = 0;
    /* Visits that came home last are answered, or at least freed, while those who sent them still live. */
    daemon_take_letters(daemon);
    daemon_flush_notices(daemon);
    free(daemon->workers);
}
