/*
 * Floor over io_uring: one batched send for each member and turn, as requests of one submit for all of a turn's members, on
 * registered files. Readiness still comes from epoll.
 */
#include "tests/bench/floor.h"

#include <err.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RING_ENTRIES = 4096, FILES_MAX = 1 << 20 };

static struct io_uring ring;
static struct member *sending[RING_ENTRIES];    /* whose send each request of this submit is */
static struct group *groups_of[RING_ENTRIES];
static struct msghdr messages[RING_ENTRIES];
static unsigned pending_count, files_max;

static void uring_init(struct floor *floor)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);       /* there can be no more registered files than open ones */
    files_max = (unsigned)MIN(limit.rlim_cur, (rlim_t)FILES_MAX);
    int r = io_uring_queue_init(RING_ENTRIES, &ring, 0);
    if (r == 0)
        r = io_uring_register_files_sparse(&ring, files_max);
    if (r < 0)
        errx(1, "io_uring with registered files: %s", strerror(-r));
}

static void uring_joined(struct member *member)
{
    if ((unsigned)member->descriptor >= files_max
        || io_uring_register_files_update(&ring, (unsigned)member->descriptor, &member->descriptor, 1) != 1)
        errx(1, "a file cannot be registered");
}

static void uring_left(struct member *member)
{
    int none = -1;
    io_uring_register_files_update(&ring, (unsigned)member->descriptor, &none, 1);
}

static void uring_finish(struct floor *floor)
{
    if (pending_count == 0)
        return;
    io_uring_submit_and_wait(&ring, pending_count);
    for (unsigned i = 0; i < pending_count; i++) {
        struct io_uring_cqe *completion;
        if (io_uring_wait_cqe(&ring, &completion) < 0)
            errx(1, "a completion did not come");
        unsigned slot = (unsigned)io_uring_cqe_get_data64(completion);
        int sent = completion->res;
        io_uring_cqe_seen(&ring, completion);
        if (sent >= 0 || sent == -EAGAIN)
            floor_keep_rest(floor, sending[slot], groups_of[slot]->frames, groups_of[slot]->frame_count, sent > 0 ? (size_t)sent : 0);
    }
    pending_count = 0;
}

static void uring_write(struct floor *floor, struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        struct member *member = group->members[i];
        if (member->rest.length) {
            floor_keep_rest(floor, member, group->frames, group->frame_count, 0);
            continue;
        }
        if (pending_count == RING_ENTRIES)
            uring_finish(floor);
        struct io_uring_sqe *request = io_uring_get_sqe(&ring);
        unsigned slot = pending_count++;
        sending[slot] = member;
        groups_of[slot] = group;
        if (group->frame_count == 1) {
            io_uring_prep_send(request, member->descriptor, group->frames[0].iov_base, group->frames[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
            messages[slot] = (struct msghdr){.msg_iov = group->frames, .msg_iovlen = (size_t)group->frame_count};
            io_uring_prep_sendmsg(request, member->descriptor, &messages[slot], MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        request->flags |= IOSQE_FIXED_FILE;
        io_uring_sqe_set_data64(request, slot);
    }
}

const struct writer writer_uring = {
    .name = "uring", .frames_per_turn = FRAMES_PER_TURN, .init = uring_init, .receive = floor_receive, .send = floor_send,
    .joined = uring_joined, .left = uring_left, .write = uring_write, .finish = uring_finish,
};
