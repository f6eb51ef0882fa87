/*
 * Sent queue: what the client has to say, numbered, kept until the server has acknowledged it (rtc-protocol(7), "Stateful
 * reconnect"). Oldest first, three parts: sent on this connection, of which a new link may yet have to be given some again,
 * and not sent yet. Knows no transports and no I/O.
 */
#pragma once

#include "lib/client/codec_set.h"
#include "lib/list.h"

/* An envelope on its way. Its text is in `codec`; on a link with another protocol it is written anew. */
struct sent {
    struct list node;
    struct rtc_envelope envelope;       /* points into `memory` */
    const struct rtc_codec *codec;
    struct buf text;
    size_t weight;                      /* what it counts for in the bound: bytes of name and data */
    char memory[];
};

struct sent_queue {
    struct list entries;
    size_t count, weight;
    size_t count_max, weight_max;
    uint64_t first;                     /* number of the oldest entry, or of the next if there is none */
    size_t sent_count;                  /* of the oldest: given to a link of this connection, so the server may have them */
    size_t given_count;                 /* of those: given to the link of now */
    struct list *given;                 /* the last of them, or the list's head: so `queue` must not move */
};

void sent_queue_init(struct sent_queue *queue, size_t count_max, size_t weight_max);
void sent_queue_done(struct sent_queue *queue);

/* A copy of the envelope, written down with `codec`: RTC_BAD_ENVELOPE, RTC_NO_MEMORY. */
enum rtc_code sent_new(const struct rtc_envelope *envelope, const struct rtc_codec *codec, struct sent **ret);
void sent_free(struct sent *sent);
/* Its text in this codec; RTC_OK when that is so already. */
enum rtc_code sent_write(struct sent *sent, const struct rtc_codec *codec);

bool sent_queue_has_room(const struct sent_queue *queue, const struct sent *sent);
void sent_queue_push(struct sent_queue *queue, struct sent *sent);              /* takes it, whatever the bound */
/* Takes it, in front of all that was not sent yet: in the order of the calls. `at` starts as 0. */
void sent_queue_push_early(struct sent_queue *queue, struct sent *sent, size_t *at);

/* What the link of now has to be given next; NULL: it has all. */
struct sent *sent_queue_peek(const struct sent_queue *queue);
/* The link of now is given one more: its number in *ret_number; NULL: it has all. */
struct sent *sent_queue_next(struct sent_queue *queue, uint64_t *ret_number);
/* The server has all up to this number. -ERANGE: that was never sent. */
MUST_CHECK int sent_queue_acknowledge(struct sent_queue *queue, uint64_t received);
/* A new link has to be given everything that is not acknowledged. */
void sent_queue_rewind(struct sent_queue *queue);
/* A new connection: numbers begin at 1. What was sent on the old one moves to `ret_lost`, in order. Returns how many. */
size_t sent_queue_restart(struct sent_queue *queue, struct list *ret_lost);
/* Takes out the envelope with this request id if no link was given it. false: it is not there, or may have been sent. */
bool sent_queue_withdraw(struct sent_queue *queue, uint64_t id);
bool sent_queue_has_unsent(const struct sent_queue *queue, uint64_t id);
static inline bool sent_queue_is_given(const struct sent_queue *queue) { return queue->given_count == queue->count; }
