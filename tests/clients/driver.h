/*
 * Driver: librtc behind pipes. See rig.py for what it takes and says.
 *
 *   driver.c         the loop over all clients, and the commands
 *   driver_build.c   a client's properties
 *   driver_say.c     what its clients see
 *   driver_count.c   the command count
 */
#pragma once

#include "lib/json.h"
#include "lib/list.h"
#include "lib/rtc.h"

/* Values that a callback gives one after the other, the last again and again. */
struct turns {
    struct bytes *items;                /* JSON values */
    size_t count, next;
};

struct count {
    char *group;
    uint64_t to, window, sent;
    uint64_t *numbers;                  /* that came back */
    size_t numbers_count, numbers_room;
};

struct client {
    struct list node;                   /* of the driver's */
    char *id;
    struct rtc_client *rtc;
    uint64_t due_ms;                    /* when it wants to be looked after; UINT64_MAX: it does not */
    bool is_quiet, is_counting;
    unsigned resumed;                   /* how often */
    struct turns tokens, delays;
    char *token;                        /* the last that was given */
    struct count count;
    struct list handlers, requests;
};

/* A handler, or a request that awaits its reply: what a callback is given. */
struct handler {
    struct list node;
    struct client *client;
    char *event, *name;
};
struct request {
    struct list node;
    struct client *client;
    uint64_t id;
};

/* The value of a member that is a text, to be freed; NULL: there is none. */
char *member_text(struct bytes object, const char *name);
uint64_t member_uint(struct bytes object, const char *name, uint64_t fallback);
bool member_is_true(struct bytes object, const char *name);

/* NULL: it was said why not. */
struct rtc_client *build_client(struct client *client, struct bytes command);
void turns_done(struct turns *turns);

/* Said lines are kept until say_flush(). */
void say_flush(void);
void say_refused(const struct client *client, const char *word, const struct rtc_error *error);
void say_token(const struct client *client);
void say_policy(const struct client *client, const struct rtc_retry *retry);
void say_answer(const struct client *client, uint64_t id);
void say_counted(const struct client *client);
void say_request_failed(const struct client *client, uint64_t id, const struct rtc_error *error);
void say_reply(struct rtc_client *rtc, const struct rtc_error *error, const char *json, void *argument);
void say_event(struct rtc_client *rtc, const struct rtc_message *message, void *argument);
/* Sets the callbacks of its life. */
void say_life(struct client *client);

void count_start(struct client *client, struct bytes command);
void count_done(struct count *count);
