/*
 * Fetch: HTTP requests that the daemon makes itself, by libcurl's multi interface on the main thread's loop: nothing waits. No
 * redirects are followed, since whom to ask is the config's to say; answers have a bound in bytes and in time.
 */
#pragma once

#include "lib/buf.h"

struct event_base;
struct fetcher;
struct fetch;

/* NULL: out of memory, or libcurl cannot start. `connections_max` (0: any number) at once; what is more waits within its time.
 * Connections are kept open for the next request. */
struct fetcher *fetcher_new(struct event_base *base, unsigned connections_max);
void fetcher_set_connections(struct fetcher *fetcher, unsigned connections_max);
/* What is still under way is given up; nobody is called. */
void fetcher_free(struct fetcher *fetcher);

struct fetch_post {
    const char *url, *ca_file;          /* ca_file NULL or empty: the system's */
    const char *const *headers;         /* "Name: value" */
    size_t header_count;
    struct bytes body;
    size_t bytes_max;                   /* of the answer's body */
    uint64_t timeout_ms;
};

/* All of it is valid during the call alone. */
struct fetch_answer {
    const char *problem;                /* a sentence's end; NULL: there was an answer */
    unsigned status;
    bool is_json;                       /* by its Content-Type */
    uint64_t retry_after_ms;            /* 0: it asks for nothing */
    struct bytes body;
};
typedef void (*fetch_answered)(void *argument, const struct fetch_answer *answer);

/* GET, where any status but 200 is a problem. `answered` is called once, never from in here, unless fetch_cancel comes first. NULL: out
 * of memory. */
struct fetch *fetch_get(struct fetcher *fetcher, const char *url, size_t bytes_max, uint64_t timeout_ms, fetch_answered answered,
                        void *argument);
/* POST. Copies what it needs; otherwise as fetch_get, but of any status. */
struct fetch *fetch_post(struct fetcher *fetcher, const struct fetch_post *post, fetch_answered answered, void *argument);
void fetch_cancel(struct fetch *fetch);
const char *fetch_library_version(void);
