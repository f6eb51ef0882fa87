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
    free(mailbox->posted.array);
    free(mailbox->taken.array);
}

void mailbox_own(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->owner = pthread_self();
    mailbox->has_owner = true;
    pthread_mutex_unlock(&mailbox->lock);
}

static int letters_grow(struct letters *letters)
{
    size_t capacity = letters->capacity ? letters->capacity * 2 : SMALLEST_MAILBOX;
    struct letter *array = realloc(letters->array, capacity * sizeof(*array));
    if (!array)
        return -ENOMEM;
    letters->array = array;
    letters->capacity = capacity;
    return 0;
}

static void mailbox_wake(const struct mailbox *mailbox)
{
    uint64_t one = 1;
    while (write(mailbox->event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        assert(errno == EINTR);
    /* EAGAIN: the counter is full, and thus readable all the more. */
}

int mailbox_post(struct mailbox *mailbox, const struct letter *letter)
{
    bool must_wake = false;
    struct letters *posted = &mailbox->posted;
    pthread_mutex_lock(&mailbox->lock);
    int r = posted->count == posted->capacity ? letters_grow(posted) : 0;
    if (r == 0) {
        posted->array[posted->count++] = *letter;
        size_t count = atomic_load_explicit(&mailbox->posted_count, memory_order_relaxed);
        atomic_store_explicit(&mailbox->posted_count, count + 1, memory_order_relaxed);
        bool is_owner = mailbox->has_owner && pthread_equal(mailbox->owner, pthread_self());
        must_wake = !is_owner && !mailbox->is_signalled;
        if (must_wake)
            mailbox->is_signalled = true;
    }
    pthread_mutex_unlock(&mailbox->lock);

    if (must_wake)
        mailbox_wake(mailbox);
    return r;
}

/* Letters that wait. What was taken is read first: seeing a letter taken, one sees that it was posted. */
static size_t mailbox_count(struct mailbox *mailbox)
{
    size_t taken = atomic_load_explicit(&mailbox->taken_count, memory_order_acquire);
    return atomic_load_explicit(&mailbox->posted_count, memory_order_relaxed) - taken;
}

bool mailbox_has_room(struct mailbox *mailbox)
{
    return mailbox_count(mailbox) < mailbox->bound;
}

bool mailbox_is_empty(struct mailbox *mailbox)
{
    return mailbox_count(mailbox) == 0;
}

bool mailbox_take(struct mailbox *mailbox, struct letter *ret)
{
    struct letters *taken = &mailbox->taken;
    if (mailbox->next == taken->count) {
        if (mailbox_is_empty(mailbox))
            return false;
        struct letters done = *taken;
        done.count = 0;
        pthread_mutex_lock(&mailbox->lock);
        *taken = mailbox->posted;
        mailbox->posted = done;
        pthread_mutex_unlock(&mailbox->lock);
        mailbox->next = 0;
    }
    *ret = taken->array[mailbox->next++];
    size_t count = atomic_load_explicit(&mailbox->taken_count, memory_order_relaxed);
    atomic_store_explicit(&mailbox->taken_count, count + 1, memory_order_release);
    return true;
}

const struct letter *mailbox_peek(const struct mailbox *mailbox)
{
    return mailbox->next < mailbox->taken.count ? &mailbox->taken.array[mailbox->next] : NULL;
}

void mailbox_hear(struct mailbox *mailbox)
{
    uint64_t count;
    pthread_mutex_lock(&mailbox->lock);
    /* What is not read now makes it readable once more. */
    if (read(mailbox->event_fd, &count, sizeof(count)) < 0)
        assert(errno == EAGAIN || errno == EINTR);
    mailbox->is_signalled = false;
    pthread_mutex_unlock(&mailbox->lock);
}
