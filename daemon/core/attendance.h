/*
 * Attendance: what the members of a group that announces presence (presence-events, under groups) are not yet told of who came and who
 * went. Who did both in between is no news. Each is known by a key, the connection's id or the user's name; of users it is counted how
 * many connections they have here. In a large group nobody is named, and nothing is kept of connections.
 *
 * Belongs to the group's place, and is touched with the lock of its stripe held. Knows no hub and no clock: who tells the members, and
 * when, is announcer.h's business.
 *
 * Whoever asks who is there (presence.h) is answered by one worker after the other. So that what he is told and what is announced
 * afterwards come to the true set, all who come or go from his question to his answer are announced behind it, also if they are as
 * before. In a large group the number counts that holds when he is answered.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"
#include "lib/list.h"
#include "lib/table.h"

struct place;

struct attendance {
    struct list due_node;               /* in the list of the announcer that is to tell; touched by that one alone */
    uint64_t due_ms;                    /* the same */
    bool is_due;                        /* one is */
    bool is_asked;                      /* somebody asked since the members were told last */
    bool is_large;                      /* nobody is named now */
    bool is_lost;                       /* who came and went was too much to be kept: members have to ask */
    uint8_t events;                     /* enum config_presence: what is announced */
    struct place *place;
    struct table entries;
    struct list pending;                /* of them, those that may be news */
    uint32_t pending_count;
    uint32_t connections, users;        /* that are in the group; users only while they are announced */
    uint32_t told;                      /* what the members know of that */
    uint32_t told_low, told_high;       /* and those among them who asked since: from the one to the other */
    uint32_t asking;                    /* questions under way */
};

/* Who comes or goes. */
struct attendee {
    enum config_presence events;        /* what the rule says when he comes; the same when he goes */
    struct bytes id, user;              /* of the connection; an anonymous one is no user */
    struct bytes text;                  /* how he is named, in JSON; when connections are announced */
};

/* NULL: out of memory. */
struct attendance *attendance_new(struct place *place, const struct table_seed *seed);
void attendance_free(struct attendance *attendance);        /* NULL is fine */

/* `named_max`: of how many members each is named. `is_news`: the members are to be told; else it is as if they had been. -ENOMEM: he is not
 * counted, and must not be when he goes. */
MUST_CHECK int attendance_enter(struct attendance *attendance, const struct attendee *attendee, uint64_t named_max, bool is_news);
void attendance_leave(struct attendance *attendance, const struct attendee *attendee, uint64_t named_max, bool is_news);
bool attendance_has_news(const struct attendance *attendance);

void attendance_begin_question(struct attendance *attendance);
void attendance_end_question(struct attendance *attendance);
/* How many there are is being answered, of those that are announced, and who, if `is_named`: *ret_count says it. False: nobody is to be
 * named now. */
bool attendance_answer(struct attendance *attendance, bool is_named, uint64_t *ret_count);

struct attendance_news {
    enum config_presence events;
    uint32_t count;                     /* who is there now: connections, or users */
    bool is_named;                      /* with names, in JSON with commas between: */
    struct buf joined, left;
    bool has_changed, has_grown;        /* without: is there something to tell at all; more came than went */
    bool must_ask;                      /* and names are to be had again by asking */
};
/* All there is; from now on the members know. Free it with attendance_news_done(). */
void attendance_take_news(struct attendance *attendance, uint64_t named_max, struct attendance_news *ret);
void attendance_news_done(struct attendance_news *news);
/* There is nobody to tell. */
void attendance_drop_news(struct attendance *attendance);
/* They could not be told. */
void attendance_lose_news(struct attendance *attendance);
