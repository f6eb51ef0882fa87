/*
 * Fetch: HTTP requests that the daemon makes itself, by libcurl's multi interface on the main thread's loop: nothing waits. No
 * redirects are followed, since whom to ask is the config's to say; answers have a bound in bytes and in time.
 */
#pragma once

#include "lib/buf.h"

struct event_base;
struct fetcher;
struct fetch;

/* NULL: out of memory, or libcurl cannot start. */
struct fetcher *fetcher_new(struct event_base *base);
/* What is still under way is given up; nobody is called. */
void fetcher_free(struct fetcher *fetcher);

/* `problem` NULL: the answer had the status 200, and this is its body. Else a sentence's end that says why not. */
typedef void (*fetch_done)(void *argument, const char *problem, struct bytes body);

/* GET. `done` is called once, never from in here, unless fetch_cancel comes first. NULL: out of memory. */
struct fetch *fetch_get(struct fetcher *fetcher, const char *url, size_t bytes_max, uint64_t timeout_ms, fetch_done done,
                        void *argument);
void fetch_cancel(struct fetch *fetch);
const char *fetch_library_version(void);
