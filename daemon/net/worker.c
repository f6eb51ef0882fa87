/*
 * Worker: see worker.h. A turn of the loop: wait for events and run their callbacks, take letters, then flush
 * every connection that has something to send, once.
 */
#include "daemon/net/worker.h"

#include "daemon/config/config.h"
#include "daemon/core/api_call.h"
#include "daemon/core/archive.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/net/gate_wait.h"
#include "daemon/net/http.h"
#include "daemon/net/link.h"
#include "daemon/net/listener.h"
#include "daemon/net/stream.h"
#include "daemon/net/proxy_link.h"
#include "daemon/net/tls_link.h"
#include "lib/log.h"
#include "lib/packer.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LETTERS_PER_TURN = 4096,
    RESUMED_PER_TURN = 16,
    STOP_GRACE_MS = 3000,           /* for farewells to reach slow peers */
    STEP_MS = 1,                    /* for the main thread to make room */
};

uint64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t worker_now(struct worker *worker)
{
    worker->hub->now_ms = worker->clock_ms();
    return worker->hub->now_ms;
}

struct packer *worker_packer(struct worker *worker)
{
    if (!worker->packer)
        worker->packer = packer_new();
    return worker->packer;
}

static void on_mailbox(struct poll_source *source, uint32_t events)
{
    struct worker *worker = CONTAINER_OF(source, struct worker, mailbox_source);
    mailbox_hear(&worker->mailboxes[worker->index]);
}

/* Timers run, and stalled links try again. */
static void worker_tick(struct worker *worker)
{
    if (worker->hub->now_ms < worker->tick_ms)
        return;
    worker->tick_ms = worker->hub->now_ms + WHEEL_TICK_MS;
    reclaim_tick(&worker->reclaim, &worker->hub->metrics, worker->hub->now_ms);
    wheel_run(&worker->hub->wheel, worker->hub->now_ms);
    buckets_sweep(limits_buckets(worker->hub->exchange->limits), worker->hub->now_ms);
    archive_sweep(worker->hub->exchange->directory, worker->hub->now_ms);

    struct list retried;
    list_init(&retried);
    list_move_all(&retried, &worker->stalled);
    while (!list_is_empty(&retried)) {
        struct link_work *work = CONTAINER_OF(retried.next, struct link_work, stalled_node);
        struct link *link = work->link;
        list_remove(&work->stalled_node);
        link->is_stalled = false;
        link->handler->on_retry(link);
    }
}

int worker_init(struct worker *worker, unsigned index, struct exchange *exchange, struct config *config,
                const struct router *router, struct mailbox *mailboxes, unsigned worker_count)
{
    reclaim_prepare();
    worker->index = index;
    worker->router = router;
    worker->mailboxes = mailboxes;
    worker->worker_count = worker_count;
    list_init(&worker->links);
    list_init(&worker->graveyard);
    list_init(&worker->stalled);
    list_init(&worker->resumed);
    list_init(&worker->listeners);

    if (!worker->clock_ms)
        worker->clock_ms = clock_now_ms;
    worker->hub = hub_new(index, exchange, config, worker->clock_ms());
    if (!worker->hub)
        return -ENOMEM;
    worker->mailbox_source = (struct poll_source){.on_ready = on_mailbox, .descriptor = mailboxes[index].event_fd};
    int r = poller_init(&worker->poller);
    return r < 0 ? r : poller_arm(&worker->poller, &worker->mailbox_source, EPOLLIN);
}

static void worker_bury(struct worker *worker)
{
    while (!list_is_empty(&worker->graveyard)) {
        struct link *link = CONTAINER_OF(worker->graveyard.next, struct link, node);
        list_remove(&link->node);
        link_bury(link);
    }
}

/* What nobody will handle any more: references are given back, visits sent home. */
static void worker_drop_letter(struct worker *worker, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_VISIT:
        for (bool is_over = hub_handle(worker->hub, letter, 1); !is_over; is_over = hub_continue(worker->hub))
            ;
        break;
    case LETTER_PLACE:
        place_unref(letter->place);
        message_unref(letter->message);
        break;
    case LETTER_CONNECTION:
    case LETTER_ALL:
        message_unref(letter->message);
        break;
    case LETTER_ADOPT:
        close(letter->link->source.descriptor);
        link_bury(letter->link);
        break;
    case LETTER_CONFIG:
        config_unref(letter->config);
        break;
    case LETTER_NOTICE:
        free(letter->notice);
        break;
    case LETTER_CALL:
        api_call_free(letter->call);
        break;
    case LETTER_ANSWER:
        /* Its link still knows it. */
        letter->call->on_answer(letter->call);
        break;
    case LETTER_GATE:
        letter->gate_call->on_answer(letter->gate_call);
        break;
    default:
        break;
    }
}

void worker_done(struct worker *worker)
{
    struct letter letter;
    while (worker->hub && worker->hub->fanout_count && !hub_continue(worker->hub))
        ;
    while (mailbox_take(&worker->mailboxes[worker->index], &letter))
        worker_drop_letter(worker, &letter);
    LIST_EACH(node, &worker->links)
        link_free(CONTAINER_OF(node, struct link, node));
    worker_bury(worker);
    listener_free_all(worker);
    tls_worker_free(worker->tls);
    packer_free(worker->packer);
    hub_free(worker->hub);
    poller_done(&worker->poller);
    buf_done(&worker->scratch);
    buf_done(&worker->head_out);
}

/* At the end of its time it goes on alone, and what the main thread has no room for is lost. */
static void worker_close_on(struct worker *worker)
{
    if (worker->hub->now_ms >= worker->stop_ms) {
        lifecycle_set_in_step(&worker->hub->exchange->lifecycle, false);
        hub_close_all(worker->hub, FAULT_SHUTDOWN);
        worker->has_closed = true;
    } else {
        worker->has_closed = hub_close_in_step(worker->hub, FAULT_SHUTDOWN);
    }
}

/* Nothing new is accepted; every connection is told, every link closes once its last words are out. */
static void worker_stop(struct worker *worker)
{
    worker->is_stopping = true;
    worker->stop_ms = worker_now(worker) + STOP_GRACE_MS;
    listener_free_all(worker);
    lifecycle_set_in_step(&worker->hub->exchange->lifecycle, true);
    worker_close_on(worker);
    LIST_EACH(node, &worker->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (!tls_link_stop(link) && !proxy_link_stop(link) && !gate_wait_stop(link))
            http_stop(link);
    }
}

static void worker_adopt(struct worker *worker, struct link *link)
{
    if (worker->is_stopping)
        worker_drop_letter(worker, &(struct letter){.kind = LETTER_ADOPT, .link = link});
    else
        link_adopt(link, worker);
}

/* The letter, with those behind it that go to the same place. */
static uint32_t worker_gather(struct worker *worker, struct letter letters[static FANOUT_LETTERS])
{
    struct mailbox *mailbox = &worker->mailboxes[worker->index];
    const struct letter *next;
    uint32_t count = 1;
    while (letters->kind == LETTER_PLACE && count < FANOUT_LETTERS && (next = mailbox_peek(mailbox))
           && next->kind == LETTER_PLACE && next->place == letters->place && mailbox_take(mailbox, &letters[count]))
        count++;
    return count;
}

/* True: the next letter may be taken. */
static bool worker_handle(struct worker *worker, struct letter letters[static FANOUT_LETTERS])
{
    const struct letter *letter = letters;
    switch (letter->kind) {
    case LETTER_ADOPT:
        worker_adopt(worker, letter->link);
        return true;
    case LETTER_CONFIG:
        config_unref(worker->hub->config);
        worker->hub->config = letter->config;
        grants_take_config(worker->hub);
        announcer_take_config(worker->hub);
        listener_take_config(worker);
        return true;
    case LETTER_ANSWER:
        letter->call->on_answer(letter->call);
        return true;
    case LETTER_GATE:
        letter->gate_call->on_answer(letter->gate_call);
        return true;
    case LETTER_STOP:
        worker_stop(worker);
        return true;
    default:
        return hub_handle(worker->hub, letters, worker_gather(worker, letters));
    }
}

/* As many as one turn can bear: what comes for the same connections leaves in the same sends. */
static void worker_take_letters(struct worker *worker)
{
    UNINITIALIZED struct letter letters[FANOUT_LETTERS];
    if (worker->hub->fanout_count && !hub_continue(worker->hub))
        return;
    for (unsigned i = 0; i < LETTERS_PER_TURN && !hub_is_full(worker->hub) && mailbox_take(&worker->mailboxes[worker->index], letters); i++)
        if (!worker_handle(worker, letters))
            return;
}

/* Those that come meanwhile have their turn in the next one, as have those for whom there is no time in this one. */
static void worker_feed_resumed(struct worker *worker)
{
    struct list resumed;
    list_init(&resumed);
    list_move_all(&resumed, &worker->resumed);
    for (unsigned i = 0; i < RESUMED_PER_TURN && !list_is_empty(&resumed); i++) {
        struct link_work *work = CONTAINER_OF(resumed.next, struct link_work, stalled_node);
        list_remove(&work->stalled_node);
        link_feed_kept(work->link);
    }
    list_move_all(&resumed, &worker->resumed);
    list_move_all(&worker->resumed, &resumed);
}

/* The first worker looks after what groups may remember, even where it has nothing else to do. */
static int worker_idle_ms(struct worker *worker)
{
    if (worker->index != 0 || worker->hub->config->group_count == 0)
        return -1;
    uint64_t due_ms = archive_due_ms(worker->hub->exchange->directory);
    return due_ms > worker->hub->now_ms ? (int)(due_ms - worker->hub->now_ms) : 0;
}

/* How long a turn may wait: the tick runs only while a timer or a stalled link needs it, so an idle daemon sleeps. */
static int worker_wait_ms(struct worker *worker)
{
    if (worker->is_stopping && !worker->has_closed)
        return STEP_MS;
    if (hub_is_busy(worker->hub) || !list_is_empty(&worker->resumed) || !mailbox_is_empty(&worker->mailboxes[worker->index])
        || (worker->tls && tls_worker_is_busy(worker->tls)))
        return 0;
    if (!worker->hub->wheel.count && list_is_empty(&worker->stalled) && !worker->is_stopping
        && !reclaim_is_due(&worker->reclaim, &worker->hub->metrics))
        return worker_idle_ms(worker);
    return worker->tick_ms > worker->hub->now_ms ? (int)(worker->tick_ms - worker->hub->now_ms) : 0;
}

void worker_settle(struct worker *worker)
{
    flusher_run(&worker->flusher);
}

bool worker_is_finished(struct worker *worker)
{
    return worker->has_closed && (worker->link_count == 0 || worker_now(worker) >= worker->stop_ms);
}

void worker_begin(struct worker *worker)
{
    mailbox_own(&worker->mailboxes[worker->index]);
    flusher_init(&worker->flusher, worker->hub->config, stream_on_sent);
}

void worker_turn(struct worker *worker, int wait_ms)
{
    poller_wait(&worker->poller, wait_ms);
    worker_now(worker);
    poller_tell(&worker->poller);
    worker_tick(worker);
    worker_take_letters(worker);
    worker_feed_resumed(worker);
    if (worker->is_stopping && !worker->has_closed)
        worker_close_on(worker);
    hub_finish_turn(worker->hub);
    if (poller_tell_strangers(&worker->poller))
        hub_finish_turn(worker->hub);
    if (worker->tls)
        tls_worker_turn(worker->tls);
    worker_bury(worker);
}

void worker_end(struct worker *worker)
{
    flusher_done(&worker->flusher);
}

/* It must get there: the main thread waits for it. */
static void worker_tell_end(struct worker *worker)
{
    static const struct timespec pause = {.tv_nsec = STEP_MS * 1000000};
    const struct ports *ports = &worker->hub->exchange->ports;
    struct letter letter = {.kind = LETTER_ENDED};
    while (ports->post(ports->argument, MAIN_MAILBOX, &letter) < 0)
        nanosleep(&pause, NULL);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    worker_begin(worker);
    while (!worker_is_finished(worker))
        worker_turn(worker, worker_wait_ms(worker));
    worker_end(worker);
    worker_tell_end(worker);
    return NULL;
}

int worker_start(struct worker *worker)
{
    int r = pthread_create(&worker->thread, NULL, worker_run, worker);
    worker->is_running = r == 0;
    if (worker->is_running) {
        char name[16] = "worker ";
        name[7] = (char)('0' + worker->index / 10);
        name[8] = (char)('0' + worker->index % 10);
        pthread_setname_np(worker->thread, name);
    }
    return -r;
}

void worker_join(struct worker *worker)
{
    if (worker->is_running)
        pthread_join(worker->thread, NULL);
    worker->is_running = false;
}
