/*
 * Life-cycle: see lifecycle.h.
 */
#include "daemon/core/lifecycle.h"

#include "daemon/core/letter.h"

#include <stdlib.h>
#include <sys/random.h>

int lifecycle_init(struct lifecycle *lifecycle, const struct ports *ports)
{
    unsigned char random[LIFECYCLE_EPOCH_TEXT / 4 * 3];
    lifecycle->ports = ports;
    lifecycle->sequence = LIFECYCLE_EPOCH_SEQUENCE;
    pthread_mutex_init(&lifecycle->lock, NULL);
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -EIO;
    struct buf text = {.data = (unsigned char *)lifecycle->epoch, .capacity = LIFECYCLE_EPOCH_TEXT};    /* it fits: no memory is asked for */
    text_add_base64url(&text, bytes_of(random, sizeof(random)));
    assert(text.length == LIFECYCLE_EPOCH_TEXT && buf_status(&text) == 0);
    return 0;
}

void lifecycle_done(struct lifecycle *lifecycle)
{
    pthread_mutex_destroy(&lifecycle->lock);
}

uint64_t lifecycle_set_wanted(struct lifecycle *lifecycle, unsigned kinds)
{
    pthread_mutex_lock(&lifecycle->lock);
    atomic_store_explicit(&lifecycle->wanted, kinds, memory_order_relaxed);
    uint64_t sequence = lifecycle->sequence;
    pthread_mutex_unlock(&lifecycle->lock);
    return sequence;
}

uint64_t lifecycle_sequence(struct lifecycle *lifecycle)
{
    pthread_mutex_lock(&lifecycle->lock);
    uint64_t sequence = lifecycle->sequence;
    pthread_mutex_unlock(&lifecycle->lock);
    return sequence;
}

void lifecycle_set_in_step(struct lifecycle *lifecycle, bool is_in_step)
{
    atomic_store_explicit(&lifecycle->is_in_step, is_in_step, memory_order_relaxed);
}

bool lifecycle_has_room(struct lifecycle *lifecycle)
{
    bool is_wanted = atomic_load_explicit(&lifecycle->wanted, memory_order_relaxed) >> NOTICE_FIRST_NUMBERED;
    return !is_wanted || lifecycle->ports->has_room(lifecycle->ports->argument, MAIN_MAILBOX);
}

static int lifecycle_post(struct lifecycle *lifecycle, struct notice *notice)
{
    const struct ports *ports = lifecycle->ports;
    struct letter letter = {.kind = LETTER_NOTICE, .notice = notice};
    if (!notice)
        return -ENOMEM;
    bool must_fit = !atomic_load_explicit(&lifecycle->is_in_step, memory_order_relaxed);
    int r = must_fit && !ports->has_room(ports->argument, MAIN_MAILBOX) ? -EAGAIN : ports->post(ports->argument, MAIN_MAILBOX, &letter);
    if (r < 0)
        free(notice);
    return r;
}

int lifecycle_pass(struct lifecycle *lifecycle, const struct notice_draft *draft)
{
    return lifecycle_post(lifecycle, notice_new(draft, lifecycle->ports->wall_ms(lifecycle->ports->argument)));
}

uint64_t lifecycle_skip(struct lifecycle *lifecycle, enum notice_kind kind)
{
    pthread_mutex_lock(&lifecycle->lock);
    uint64_t sequence = lifecycle_wants(lifecycle, kind) ? 0 : ++lifecycle->sequence;
    pthread_mutex_unlock(&lifecycle->lock);
    return sequence;
}

uint64_t lifecycle_tell(struct lifecycle *lifecycle, const struct notice_draft *draft)
{
    struct notice *notice = notice_new(draft, lifecycle->ports->wall_ms(lifecycle->ports->argument));
    pthread_mutex_lock(&lifecycle->lock);
    uint64_t lost = atomic_load_explicit(&lifecycle->lost, memory_order_relaxed), sequence = ++lifecycle->sequence;
    if (notice) {
        notice->lost = lost;
        notice_number(notice, lifecycle->epoch, sequence);
    }
    if (lifecycle_post(lifecycle, notice) < 0)
        atomic_store_explicit(&lifecycle->lost, lost + 1, memory_order_relaxed);
    pthread_mutex_unlock(&lifecycle->lock);
    return sequence;
}
