/*
 * Poller: see poller.h.
 */
#include "daemon/net/poller.h"

#include <unistd.h>

int poller_init(struct poller *poller)
{
    poller->count = poller->at = 0;
    poller->told_strangers = 0;
    poller->descriptor = epoll_create1(EPOLL_CLOEXEC);
    return poller->descriptor < 0 ? -errno : 0;
}

void poller_done(struct poller *poller)
{
    if (poller->descriptor >= 0)
        close(poller->descriptor);
    poller->descriptor = -1;
}

int poller_arm(struct poller *poller, struct poll_source *source, uint32_t events)
{
    if (events == source->armed)
        return 0;
    /* A descriptor that waits for nothing is taken out: left in, it would report a hang-up again and again. */
    int operation = !events ? EPOLL_CTL_DEL : source->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(poller->descriptor, operation, source->descriptor, &event) < 0)
        return -errno;
    source->armed = events;
    return 0;
}

void poller_remove(struct poller *poller, struct poll_source *source)
{
    struct epoll_event none = {0};
    if (source->armed)
        epoll_ctl(poller->descriptor, EPOLL_CTL_DEL, source->descriptor, &none);
    poller_forget(poller, source);
}

void poller_forget(struct poller *poller, struct poll_source *source)
{
    source->armed = 0;
    for (int i = 0; i < poller->count; i++)
        if (poller->batch[i].data.ptr == source)
            poller->batch[i].data.ptr = NULL;
}

void poller_wait(struct poller *poller, int wait_ms)
{
    poller->at = 0;
    poller->count = epoll_wait(poller->descriptor, poller->batch, POLLER_BATCH, wait_ms);
}

/* Strangers gather at the beginning of the batch meanwhile. */
void poller_tell(struct poller *poller)
{
    int strangers = 0;
    for (poller->at = 0; poller->at < poller->count; ) {
        struct epoll_event event = poller->batch[poller->at++];
        struct poll_source *source = event.data.ptr;
        if (source && source->is_stranger)
            poller->batch[strangers++] = event;
        else if (source)
            source->on_ready(source, event.events);
    }
    poller->count = strangers;
}

bool poller_tell_strangers(struct poller *poller)
{
    unsigned count = (unsigned)poller->count, told = MIN(count, (unsigned)STRANGERS_PER_TURN);
    /* Not always the first: they could be ready again and again. */
    for (unsigned i = 0; i < told; i++) {
        struct epoll_event event = poller->batch[poller->told_strangers++ % count];
        struct poll_source *source = event.data.ptr;
        if (source)
            source->on_ready(source, event.events);
    }
    poller->count = 0;
    return count > 0;
}
