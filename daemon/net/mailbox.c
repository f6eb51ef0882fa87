/*
 * Mailbox: see mailbox.h.
 */
#include "daemon/net/mailbox.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SMALLEST_MAILBOX = 64 };

int mailbox_init(struct mailbox *mailbox, size_t bound)
{
    *mailbox = (struct mailbox){.bound = bound};
    mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->event_fd < 0)
        return -errno;
    pthread_mutex_init(&mailbox->lock, NULL);
    return 0;
}

void mailbox_done(struct mailbox *mailbox)
{
    if (mailbox->event_fd < 0)
        return;
    close(mailbox->event_fd);
    mailbox->event_fd = -1;
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox->ring);
    mailbox->ring = NULL;
}

void mailbox_own(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->owner = pthread_self();
    mailbox->has_owner = true;
    pthread_mutex_unlock(&mailbox->lock);
}

static int mailbox_grow(struct mailbox *mailbox)
{
    size_t capacity = mailbox->capacity ? mailbox->capacity * 2 : SMALLEST_MAILBOX;
    struct letter *ring = malloc(capacity * sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < mailbox->count; i++)
        ring[i] = mailbox->ring[(mailbox->head + i) & (mailbox->capacity - 1)];
    free(mailbox->ring);
    mailbox->ring = ring;
    mailbox->capacity = capacity;
    mailbox->head = 0;
    return 0;
}

int mailbox_post(struct mailbox *mailbox, const struct letter *letter)
{
    bool must_wake = false;
    pthread_mutex_lock(&mailbox->lock);
    int r = mailbox->count == mailbox->capacity ? mailbox_grow(mailbox) : 0;
    if (r == 0) {
        mailbox->ring[(mailbox->head + mailbox->count) & (mailbox->capacity - 1)] = *letter;
        mailbox->count++;
        atomic_store_explicit(&mailbox->visible_count, mailbox->count, memory_order_relaxed);
        bool is_owner = mailbox->has_owner && pthread_equal(mailbox->owner, pthread_self());
        must_wake = !is_owner && !mailbox->is_signalled;
        if (must_wake)
            mailbox->is_signalled = true;
    }
    pthread_mutex_unlock(&mailbox->lock);

    uint64_t one = 1;
    if (must_wake && write(mailbox->event_fd, &one, sizeof(one)) < 0)
        assert(errno == EAGAIN);        /* the counter is full: then it is readable all the more */
    return r;
}

bool mailbox_has_room(struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->visible_count, memory_order_relaxed) < mailbox->bound;
}

bool mailbox_is_empty(struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->visible_count, memory_order_relaxed) == 0;
}

bool mailbox_take(struct mailbox *mailbox, struct letter *ret)
{
    if (mailbox_is_empty(mailbox))
        return false;
    pthread_mutex_lock(&mailbox->lock);
    bool has_one = mailbox->count > 0;
    if (has_one) {
        *ret = mailbox->ring[mailbox->head];
        mailbox->head = (mailbox->head + 1) & (mailbox->capacity - 1);
        mailbox->count--;
        atomic_store_explicit(&mailbox->visible_count, mailbox->count, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return has_one;
}

void mailbox_hear(struct mailbox *mailbox)
{
    uint64_t count;
    pthread_mutex_lock(&mailbox->lock);
    if (read(mailbox->event_fd, &count, sizeof(count)) < 0)
        assert(errno == EAGAIN);
    mailbox->is_signalled = false;
    pthread_mutex_unlock(&mailbox->lock);
}
