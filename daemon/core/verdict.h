/*
 * Verdict: what was judged of a request for a connection, by plug-ins and by whoever judges at the gate (gate.h): it is refused, or
 * let in as this user, into these groups, with these labels and this info. Bounded, and checked as it is filled; those who judge one
 * after the other add to the same one. Knows no connection.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"

enum {
    VERDICT_GROUPS_MAX = 64,
    VERDICT_LABELS_MAX = 16,
    VERDICT_LABELS_BYTES = 1024,        /* names and values together */
    VERDICT_LABEL_NAME = 64,            /* bytes of one name; its value is as long as a user's name at most */
    VERDICT_INFO_BYTES = 1024,
    VERDICT_WITHHELD_MAX = 16,
    VERDICT_REDIRECT_BYTES = 2048,      /* of the URL */
    VERDICT_TOKEN_BYTES = 8192,
};

struct verdict {
    struct fault refusal;               /* FAULT_NONE: it is let in, and: */
    /* Counts where the client has proved no user. Naming another one than he has proved refuses the connection. */
    struct buf user;
    struct buf groups;                  /* to join whatever the policy says: names, each with a NUL behind it */
    struct buf labels;                  /* name NUL value NUL … */
    unsigned group_count, label_count;
    struct buf info;                    /* compact JSON */
    struct buf withheld;                /* transports and protocols that are not offered: names, each with a NUL behind it */
    unsigned withheld_count;
    struct buf redirect_url, redirect_token;    /* where the client is to negotiate instead; an empty URL: here */
};

void verdict_done(struct verdict *verdict);

/*
 * Each returns 0; -EINVAL: that is no such thing; -E2BIG: there would be too many, or it is too long; -ENOMEM. What was there stays
 * as it is then, and *ret_problem (NULL is fine) is the end of a sentence that begins with "it".
 */
/* Refuses with this error code (forbidden, unauthorized, expired, not-found, rate-limited, unsupported or draining) and these words for
 * the client, which are cut to what a fault holds. Empty words: those of the code. The first refusal stays. */
MUST_CHECK int verdict_refuse(struct verdict *verdict, struct bytes code, struct bytes message, const char **ret_problem);
/* The first one stays. */
MUST_CHECK int verdict_set_user(struct verdict *verdict, struct bytes user, const char **ret_problem);
MUST_CHECK int verdict_add_group(struct verdict *verdict, struct bytes group, const char **ret_problem);
/* In place of one with the same name. */
MUST_CHECK int verdict_add_label(struct verdict *verdict, struct bytes name, struct bytes value, const char **ret_problem);
/* Any JSON value. Empty: none. */
MUST_CHECK int verdict_set_info(struct verdict *verdict, struct bytes json, const char **ret_problem);
/* A transport or protocol, by its name, is not offered to this client. */
MUST_CHECK int verdict_withhold(struct verdict *verdict, struct bytes name, const char **ret_problem);
/* The client is to negotiate there, an http or https URL, with this access token; empty: without one. */
MUST_CHECK int verdict_redirect(struct verdict *verdict, struct bytes url, struct bytes access_token, const char **ret_problem);

/* From JSON: a list of names; an object of strings. What came before a wrong one is in the verdict. */
MUST_CHECK int verdict_add_groups_json(struct verdict *verdict, struct bytes json, const char **ret_problem);
MUST_CHECK int verdict_add_labels_json(struct verdict *verdict, struct bytes json, const char **ret_problem);

/* Walks the groups: false at the end. Start with *rest = buf_bytes(&verdict->groups). */
bool verdict_next_group(struct bytes *rest, struct bytes *ret_group);
bool verdict_withholds(const struct verdict *verdict, const char *name);
/* The labels as a JSON object; nothing, if there are none. */
void verdict_print_labels(const struct verdict *verdict, struct buf *out);
