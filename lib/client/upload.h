/*
 * Upload: the way up for transports that only carry downwards: POST …/send, one request at a time. A request that gets no answer
 * is made again: the server knows by the number of its first envelope what it has already (rtc-protocol(7), "Transports").
 */
#pragma once

#include "lib/client/caller.h"
#include "lib/client/link.h"

struct upload {
    struct rtc_link *link;
    struct caller caller;
    struct io_timer timer;              /* until the next try, or until an answer must have come */
    struct buf body;
    uint64_t first;                     /* 0: without a number */
    bool is_under_way, is_waiting;
    unsigned failed_count;
    void (*on_sent)(struct upload *upload);
};

void upload_init(struct upload *upload, struct rtc_link *link, void (*on_sent)(struct upload *upload));    /* on_sent may be NULL */
void upload_done(struct upload *upload);
static inline bool upload_is_idle(const struct upload *upload) { return !upload->is_under_way; }
void upload_send(struct upload *upload, uint64_t first, const struct rtc_bytes *envelopes, size_t count);

/* The fields that every request of a link has. */
void link_add_fields(const struct rtc_link *link, struct buf *out);
