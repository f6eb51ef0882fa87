/*
 * Worker: see worker.h. A turn of the loop: wait for events and run their callbacks, take letters, then flush
 * every connection that has something to send, once.
 */
#include "daemon/net/worker.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/net/http.h"
#include "daemon/net/link.h"
#include "daemon/net/listener.h"
#include "lib/log.h"

#include <stdlib.h>
#include <time.h>

enum {
    LETTERS_PER_TURN = 256,
    STOP_GRACE_MS = 3000,           /* for farewells to reach slow peers */
};

uint64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t worker_now(struct worker *worker)
{
    worker->hub->now_ms = clock_now_ms();
    return worker->hub->now_ms;
}

static void on_mailbox(evutil_socket_t descriptor, short what, void *argument)
{
    struct worker *worker = argument;
    mailbox_hear(&worker->mailboxes[worker->index]);
}

static void on_tick(evutil_socket_t descriptor, short what, void *argument)
{
    struct worker *worker = argument;
    wheel_run(&worker->hub->wheel, worker_now(worker));

    struct list retried;
    list_init(&retried);
    list_move_all(&retried, &worker->stalled);
    while (!list_is_empty(&retried)) {
        struct link *link = CONTAINER_OF(retried.next, struct link, stalled_node);
        list_remove(&link->stalled_node);
        link->handler->on_retry(link);
    }
}

int worker_init(struct worker *worker, unsigned index, struct exchange *exchange, struct config *config,
                const struct router *router, struct mailbox *mailboxes, unsigned worker_count)
{
    worker->index = index;
    worker->router = router;
    worker->mailboxes = mailboxes;
    worker->worker_count = worker_count;
    list_init(&worker->links);
    list_init(&worker->graveyard);
    list_init(&worker->stalled);
    list_init(&worker->listeners);

    struct event_config *base_config = event_config_new();
    if (base_config) {
        event_config_set_flag(base_config, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(base_config, EVENT_BASE_FLAG_NO_CACHE_TIME);
        worker->base = event_base_new_with_config(base_config);
        event_config_free(base_config);
    }
    worker->hub = hub_new(index, exchange, config, clock_now_ms());
    if (!worker->base || !worker->hub)
        return -ENOMEM;
    worker->mailbox_event = event_new(worker->base, mailboxes[index].event_fd, EV_READ | EV_PERSIST, on_mailbox, worker);
    worker->tick_event = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
    if (!worker->mailbox_event || !worker->tick_event || event_add(worker->mailbox_event, NULL) < 0)
        return -ENOMEM;
    return 0;
}

static void worker_bury(struct worker *worker)
{
    while (!list_is_empty(&worker->graveyard)) {
        struct link *link = CONTAINER_OF(worker->graveyard.next, struct link, node);
        list_remove(&link->node);
        buf_done(&link->in);
        buf_done(&link->out);
        upload_free(link->upload);
        if (link->state)
            link->free_state(link->state);
        free(link->origin);
        free(link);
    }
}

/* What nobody will handle any more: references are given back, visits sent home. */
static void worker_drop_letter(struct worker *worker, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_VISIT:
        while (letter->visit->run(letter->visit, worker->hub))
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
        evutil_closesocket(letter->link->descriptor);
        buf_done(&letter->link->in);
        free(letter->link->origin);
        free(letter->link);
        break;
    case LETTER_CONFIG:
        config_unref(letter->config);
        break;
    case LETTER_NOTICE:
        free(letter->notice);
        break;
    default:
        break;
    }
}

void worker_done(struct worker *worker)
{
    struct letter letter;
    while (worker->hub && worker->hub->has_fanout && !hub_continue(worker->hub))
        ;
    while (mailbox_take(&worker->mailboxes[worker->index], &letter))
        worker_drop_letter(worker, &letter);
    LIST_EACH(node, &worker->links)
        link_free(CONTAINER_OF(node, struct link, node));
    worker_bury(worker);
    listener_free_all(worker);
    if (worker->mailbox_event)
        event_free(worker->mailbox_event);
    if (worker->tick_event)
        event_free(worker->tick_event);
    hub_free(worker->hub);
    if (worker->base)
        event_base_free(worker->base);
    buf_done(&worker->scratch);
}

/* Nothing new is accepted; every connection is told, every link closes once its last words are out. */
static void worker_stop(struct worker *worker)
{
    worker->is_stopping = true;
    worker->stop_ms = worker_now(worker) + STOP_GRACE_MS;
    listener_free_all(worker);
    hub_close_all(worker->hub, FAULT_SHUTDOWN);
    LIST_EACH(node, &worker->links)
        http_stop(CONTAINER_OF(node, struct link, node));
}

static void worker_adopt(struct worker *worker, struct link *link)
{
    if (worker->is_stopping)
        worker_drop_letter(worker, &(struct letter){.kind = LETTER_ADOPT, .link = link});
    else
        link_adopt(link, worker);
}

/* True: the next letter may be taken. */
static bool worker_handle(struct worker *worker, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_ADOPT:
        worker_adopt(worker, letter->link);
        return true;
    case LETTER_CONFIG:
        config_unref(worker->hub->config);
        worker->hub->config = letter->config;
        return true;
    case LETTER_STOP:
        worker_stop(worker);
        return true;
    default:
        return hub_handle(worker->hub, letter);
    }
}

static void worker_take_letters(struct worker *worker)
{
    struct letter letter;
    if (worker->hub->has_fanout && !hub_continue(worker->hub))
        return;
    for (unsigned i = 0; i < LETTERS_PER_TURN && !worker->hub->is_pressed && mailbox_take(&worker->mailboxes[worker->index], &letter); i++)
        if (!worker_handle(worker, &letter))
            return;
}

/* The tick runs only while a timer or a stalled link needs it: an idle daemon sleeps. */
static void worker_set_tick(struct worker *worker)
{
    static const struct timeval tick = {0, WHEEL_TICK_MS * 1000};
    bool is_needed = worker->hub->wheel.count || !list_is_empty(&worker->stalled) || worker->is_stopping;
    bool is_set = event_pending(worker->tick_event, EV_TIMEOUT, NULL);
    if (is_needed && !is_set)
        event_add(worker->tick_event, &tick);
    else if (!is_needed && is_set)
        event_del(worker->tick_event);
}

static bool worker_is_finished(struct worker *worker)
{
    return worker->is_stopping && (worker->link_count == 0 || worker_now(worker) >= worker->stop_ms);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    mailbox_own(&worker->mailboxes[worker->index]);
    while (!worker_is_finished(worker)) {
        bool is_busy = worker->hub->has_fanout || !mailbox_is_empty(&worker->mailboxes[worker->index]);
        event_base_loop(worker->base, EVLOOP_ONCE | (is_busy ? EVLOOP_NONBLOCK : 0));
        worker_now(worker);
        worker_take_letters(worker);
        hub_finish_turn(worker->hub);
        worker_bury(worker);
        worker_set_tick(worker);
    }
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
