/*
 * Notice: one thing that happened to a connection, a user or a group, or that a client sent to the server, told to the main
 * thread and there to whoever wants its kind. Made only while somebody does; never waits for anybody.
 */
#pragma once

#include "lib/envelope.h"
#include "lib/text.h"

struct connection;
struct fault;
struct json_writer;

enum notice_kind {
    NOTICE_EVENT,               /* what a client sent to the server: not numbered */
    NOTICE_GAP,                 /* made on the main thread: `lost` life-cycle events are missing just here */
    NOTICE_EPOCH,               /* made on the main thread: whatever an earlier epoch said is void */
    NOTICE_CONNECTED,
    NOTICE_DISCONNECTED,
    NOTICE_ONLINE,              /* a user's first opened connection is there */
    NOTICE_OFFLINE,             /* the last one has ended */
    NOTICE_OCCUPIED,            /* a group has a first member */
    NOTICE_VACATED,             /* the last one has left */
    NOTICE_KIND_COUNT,
    NOTICE_FIRST_NUMBERED = NOTICE_EPOCH,       /* life-cycle events are those from here on */
};
static inline bool notice_is_numbered(enum notice_kind kind) { return kind >= NOTICE_FIRST_NUMBERED; }
const char *notice_kind_name(enum notice_kind kind);        /* "rtc.connected"; of NOTICE_EVENT: NULL, its name is the client's */

/* One block of memory, freed by free(). Texts point into it. */
struct notice {
    enum notice_kind kind;
    uint64_t sequence;          /* of a life-cycle event, from 1 within the epoch; else 0 */
    uint64_t generation;        /* number of the rtc.online that began the user's presence to which it belongs; 0: there is none */
    uint64_t lost;              /* how many life-cycle events were lost before it since the start; of NOTICE_GAP: just here */
    uint64_t time_ms;           /* Unix milliseconds */
    struct bytes name;          /* of the event */
    struct bytes json;          /* the whole envelope; of a life-cycle event its data has epoch, sequence and, where there is one, generation */
    struct bytes user, group;   /* empty: none */
    struct bytes connection;    /* its id as text; empty: none */
    char bytes[];
};

/* What a notice is made from; copied. */
struct notice_draft {
    enum notice_kind kind;
    uint64_t generation;
    struct bytes name;          /* of NOTICE_EVENT */
    struct bytes user, group;
    const struct uuid *connection;
    struct bytes json;          /* of a life-cycle event its beginning, up to where its data goes on with the numbers; empty: there was no
                                 * memory for it */
};

struct notice *notice_new(const struct notice_draft *draft, uint64_t time_ms);      /* NULL: out of memory */
/* Closes the JSON text of a life-cycle event; rtc.online begins a generation. Once, before it is sent. */
void notice_number(struct notice *notice, const char *epoch, uint64_t sequence);

/* Who it is, in all that is said of it: "connectionId" and "userId". */
void notice_add_identity(struct json_writer *json, const struct connection *connection);
/* The same as an object, with what other clients may know of it: "info". */
void notice_add_member(struct json_writer *json, const struct connection *connection);
/* The same as an object, with its "labels", if it has some: for the server's side alone. */
void notice_add_sender(struct json_writer *json, const struct connection *connection);

/* About a user or a group, under the lock of its stripe, which keeps the order right. notice_online() returns the generation that
 * begins, whether anybody wants to know or not. */
struct lifecycle;
struct place;
uint64_t notice_online(struct lifecycle *lifecycle, const struct place *user);
void notice_offline(struct lifecycle *lifecycle, const struct place *user);
void notice_occupied(struct lifecycle *lifecycle, const struct place *group);
void notice_vacated(struct lifecycle *lifecycle, const struct place *group);

void notice_connected(struct connection *connection);
void notice_disconnected(struct connection *connection, const struct fault *why);
/* An event for the server. false: nobody listens, or too much waits. */
bool notice_event(struct connection *connection, const struct envelope *envelope);
