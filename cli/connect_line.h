/*
 * Connect line: what a person types at `rtcctl connect`, or a program writes into it, as an action. Does nothing itself.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

enum connect_verb {
    CONNECT_NOTHING, CONNECT_SEND, CONNECT_INVOKE, CONNECT_JOIN, CONNECT_LEAVE, CONNECT_STATUS, CONNECT_HELP, CONNECT_QUIT,
};

struct connect_action {
    enum connect_verb verb;
    struct rtc_target to;           /* SEND, INVOKE */
    const char *event_name;         /* SEND, INVOKE */
    const char *json;               /* SEND, INVOKE: NULL: null */
    const char *group;              /* JOIN, LEAVE */
    uint64_t id;                    /* that a program gave; 0: none */
    struct rtc_since since;         /* JOIN */
    struct buf texts[4];            /* what the above points into */
};

enum { CONNECT_PROBLEM_MAX = 320 };

/* One typed line. 0, or -EBADMSG: `problem` is a sentence. connect_action_done() in any case. */
MUST_CHECK int connect_line_read(const char *line, struct connect_action *ret, char problem[static CONNECT_PROBLEM_MAX]);
/* One envelope as JSON: as rtc-protocol(7) has it for a client; rtc.join and rtc.leave are taken, other rtc. events not. */
MUST_CHECK int connect_envelope_read(struct bytes line, struct connect_action *ret, char problem[static CONNECT_PROBLEM_MAX]);
void connect_action_done(struct connect_action *action);

/* The verbs as they are typed, for help and completion; NULL at the end. */
struct connect_word { const char *word, *arguments, *summary; };
const struct connect_word *connect_words(size_t index);
