/*
 * Uring: see uring.h.
 */
#include "daemon/net/uring.h"

#include <liburing.h>
#include <stdlib.h>

struct uring {
    struct io_uring ring;
    unsigned count;                     /* prepared since the last run */
};

int uring_new(unsigned sends_max, struct uring **ret)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    if (!uring)
        return -ENOMEM;
    /* Completions are looked for by this thread alone, and only when it asks: since Linux 6.1. Before it, plainly. */
    int r = io_uring_queue_init(sends_max, &uring->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (r == -EINVAL)
        r = io_uring_queue_init(sends_max, &uring->ring, 0);
    if (r < 0) {
        free(uring);
        return r;
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
    bool is_able = probe && io_uring_opcode_supported(probe, IORING_OP_SEND) && io_uring_opcode_supported(probe, IORING_OP_SENDMSG);
    io_uring_free_probe(probe);
    if (!is_able) {
        uring_free(uring);
        return -EOPNOTSUPP;
    }
    /* Saves looking the ring up at each call; where it cannot be had, nothing is lost. */
    io_uring_register_ring_fd(&uring->ring);
    *ret = uring;
    return 0;
}

void uring_free(struct uring *uring)
{
    if (!uring)
        return;
    io_uring_queue_exit(&uring->ring);
    free(uring);
}

void uring_add(struct uring *uring, int descriptor, const struct msghdr *message)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    assert(entry);
    if (message->msg_iovlen == 1)
        io_uring_prep_send(entry, descriptor, message->msg_iov->iov_base, message->msg_iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        io_uring_prep_sendmsg(entry, descriptor, message, MSG_NOSIGNAL | MSG_DONTWAIT);
    entry->user_data = uring->count++;
}

/* Takes the results that are there. Returns how many. */
static unsigned uring_reap(struct uring *uring, ssize_t *results)
{
    struct io_uring_cqe *entry;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&uring->ring, head, entry) {
        results[entry->user_data] = entry->res;
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count;
}

int uring_run(struct uring *uring, ssize_t *results)
{
    unsigned count = uring->count, done = 0;
    uring->count = 0;
    for (unsigned i = 0; i < count; i++)
        results[i] = -ECANCELED;
    while (done < count) {
        int r = io_uring_submit_and_wait(&uring->ring, count - done);
        if (r < 0 && r != -EINTR)
            return r;
        done += uring_reap(uring, results);
    }
    return 0;
}
