/*
 * Letter: what threads say to each other, and the only way they do. Small and copied by value; what it
 * points at belongs to the letter until it is handled.
 */
#pragma once

#include "lib/base.h"

struct answered_entry;
struct api_call;
struct config;
struct event_call;
struct gate_call;
struct hub;
struct link;
struct message;
struct place;
struct visit;
struct notice;

enum letter_kind {
    LETTER_PLACE,               /* deliver `message` to this worker's members of `place` */
    LETTER_CONNECTION,          /* deliver `message` to the connection `handle` */
    LETTER_ALL,                 /* deliver `message` to every open connection */
    LETTER_VISIT,               /* run `visit` here */
    LETTER_ADOPT,               /* `link` is yours now */
    LETTER_CONFIG,              /* use `config` from now on */
    LETTER_NOTICE,              /* to the main thread: `notice` for those who want its kind */
    LETTER_CALL,                /* to the main thread: carry `call` out */
    LETTER_EVENT,               /* to the main thread: `event` is for who handles it */
    LETTER_ANSWER,              /* `call` is yours again, with its answer */
    LETTER_GATE,                /* to the main thread: judge `gate_call`; to a worker: it is yours again, with its verdict */
    LETTER_COUNTED,             /* to the main thread: the members of `place`, which was watched, are more or fewer */
    LETTER_STORED,              /* to the main thread: what request `sequence` of its client `handle` published, to `recipients`, is stored */
    LETTER_STOP,                /* close everything and end */
    LETTER_ENDED,               /* to the main thread: a worker has; nothing more comes from it */
};

struct letter {
    enum letter_kind kind;
    union {
        struct message *message;
        struct answered_entry *kept;    /* of LETTER_STORED: see keeper_wait; or NULL */
    };
    uint64_t except;            /* handle of a connection that does not get it; 0: none */
    uint64_t handle;
    uint64_t sequence;          /* of the message in its place */
    union {
        struct place *place;
        struct visit *visit;
        struct link *link;
        struct config *config;
        struct notice *notice;
        struct api_call *call;
        struct event_call *event;
        struct gate_call *gate_call;
        uint32_t recipients;
    };
};

/*
 * A visit: work that another thread wants done on a worker's hub, in slices. `run` is called on the worker's thread and
 * returns true while it wants another slice in a later turn; when it returns false the hub sends the visit to the main
 * mailbox, and there `arrive` is called.
 */
struct visit {
    bool (*run)(struct visit *visit, struct hub *hub);
    void (*arrive)(struct visit *visit);
    bool is_over;               /* on its way home; who sends it out clears this */
};
