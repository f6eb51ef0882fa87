/*
 * Fetch: see fetch.h.
 */
#include "daemon/fetch/fetch.h"

#include "lib/list.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct fetcher {
    struct event_base *base;
    CURLM *multi;
    struct event *timer;
    struct list fetches;
};

struct fetch {
    struct list node;
    struct fetcher *fetcher;
    CURL *easy;
    struct buf body;
    size_t bytes_max;
    bool is_too_long;
    char problem[CURL_ERROR_SIZE];
    struct curl_slist *headers;
    bool is_get;                        /* so that its answer must be a 200 */
    fetch_answered answered;
    void *argument;
};

static void fetch_free(struct fetch *fetch)
{
    if (fetch->easy) {
        curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
    }
    curl_slist_free_all(fetch->headers);
    list_remove(&fetch->node);
    buf_done(&fetch->body);
    free(fetch);
}

static void fetch_read_answer(struct fetch *fetch, struct fetch_answer *ret)
{
    static const char json[] = "application/json";
    long status = 0;
    curl_off_t retry_after_s = 0;
    const char *type = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
    *ret = (struct fetch_answer){
        .status = (unsigned)status, .body = buf_bytes(&fetch->body),
        .retry_after_ms = retry_after_s > 0 && retry_after_s < INT32_MAX ? (uint64_t)retry_after_s * 1000 : 0,
        .is_json = type && strncasecmp(type, json, strlen(json)) == 0 && strchr("; ", type[strlen(json)]),
    };
}

static void fetch_finish(struct fetch *fetch, CURLcode result)
{
    char said[80];
    struct fetch_answer answer = {0};
    if (fetch->is_too_long || result == CURLE_FILESIZE_EXCEEDED) {
        snprintf(said, sizeof(said), "the answer has more than %zu bytes", fetch->bytes_max);
        answer.problem = said;
    } else if (result != CURLE_OK) {
        answer.problem = fetch->problem[0] ? fetch->problem : curl_easy_strerror(result);
    } else {
        fetch_read_answer(fetch, &answer);
    }
    if (!answer.problem && fetch->is_get && answer.status != 200) {
        snprintf(said, sizeof(said), "the answer's status is %u; 200 is expected", answer.status);
        answer.problem = said;
    }
    fetch->answered(fetch->argument, &answer);
    fetch_free(fetch);
}

static void fetcher_look(struct fetcher *fetcher)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(fetcher->multi, &left))) {
        char *fetch;
        if (message->msg != CURLMSG_DONE)
            continue;
        /* It goes away with the handle. */
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        fetch_finish((struct fetch *)fetch, result);
    }
}

static void on_socket_event(evutil_socket_t descriptor, short what, void *argument)
{
    struct fetcher *fetcher = argument;
    int running, action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(fetcher->multi, descriptor, action, &running);
    fetcher_look(fetcher);
}

static void on_timer_event(evutil_socket_t descriptor, short what, void *argument)
{
    struct fetcher *fetcher = argument;
    int running;
    curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    fetcher_look(fetcher);
}

/* libcurl wants to know of this socket, or no more. Its event is kept with it. */
static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *argument, void *socket_argument)
{
    struct fetcher *fetcher = argument;
    struct event *event = socket_argument;
    short wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);
    if (event)
        event_free(event);
    event = what == CURL_POLL_REMOVE ? NULL : event_new(fetcher->base, descriptor, wanted, on_socket_event, fetcher);
    curl_multi_assign(fetcher->multi, descriptor, event);
    if (what == CURL_POLL_REMOVE)
        return 0;
    return event && event_add(event, NULL) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *argument)
{
    struct fetcher *fetcher = argument;
    struct timeval after = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return timeout_ms < 0 ? event_del(fetcher->timer) : event_add(fetcher->timer, &after);
}

static size_t on_body(char *data, size_t size, size_t count, void *argument)
{
    struct fetch *fetch = argument;
    size_t length = size * count;
    fetch->is_too_long = length > fetch->bytes_max - fetch->body.length;
    if (!fetch->is_too_long)
        buf_add(&fetch->body, data, length);
    return fetch->is_too_long || buf_status(&fetch->body) < 0 ? 0 : length;
}

struct fetcher *fetcher_new(struct event_base *base, unsigned connections_max)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (fetcher) {
        list_init(&fetcher->fetches);
        fetcher->base = base;
        fetcher->multi = curl_multi_init();
        fetcher->timer = evtimer_new(base, on_timer_event, fetcher);
    }
    if (!fetcher || !fetcher->multi || !fetcher->timer) {
        fetcher_free(fetcher);
        return NULL;
    }
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    fetcher_set_connections(fetcher, connections_max);
    return fetcher;
}

void fetcher_set_connections(struct fetcher *fetcher, unsigned connections_max)
{
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    while (!list_is_empty(&fetcher->fetches))
        fetch_free(CONTAINER_OF(fetcher->fetches.next, struct fetch, node));
    if (fetcher->multi)
        curl_multi_cleanup(fetcher->multi);
    if (fetcher->timer)
        event_free(fetcher->timer);
    free(fetcher);
}

/* A body of more than a MiB would first be announced (Expect), and wait for leave. */
static bool fetch_set_post(struct fetch *fetch, const struct fetch_post *post)
{
    bool is_set = true;
    for (size_t i = 0; i <= post->header_count && is_set; i++) {
        struct curl_slist *longer = curl_slist_append(fetch->headers, i < post->header_count ? post->headers[i] : "Expect:");
        is_set = longer != NULL;
        fetch->headers = longer ? longer : fetch->headers;
    }
    CURL *easy = fetch->easy;
    return is_set && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.length) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, post->body.data) == CURLE_OK
        && (!post->ca_file || !post->ca_file[0]
            || (curl_easy_setopt(easy, CURLOPT_CAINFO, post->ca_file) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK));
}

/* QUICK_EXIT: else giving a request up would wait until its name was looked up. */
static bool fetch_set_up(struct fetch *fetch, const char *url, uint64_t timeout_ms)
{
    CURL *easy = fetch->easy;
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->bytes_max) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_USERAGENT, "rtcd") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->problem) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) == CURLE_OK;
}

static struct fetch *fetch_new(struct fetcher *fetcher, size_t bytes_max, fetch_answered answered, void *argument)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        return NULL;
    *fetch = (struct fetch){.fetcher = fetcher, .bytes_max = bytes_max, .answered = answered, .argument = argument};
    list_append(&fetcher->fetches, &fetch->node);
    fetch->easy = curl_easy_init();
    return fetch;
}

static struct fetch *fetch_start(struct fetch *fetch, bool is_set_up)
{
    if (is_set_up && curl_multi_add_handle(fetch->fetcher->multi, fetch->easy) == CURLM_OK)
        return fetch;
    fetch_free(fetch);
    return NULL;
}

struct fetch *fetch_get(struct fetcher *fetcher, const char *url, size_t bytes_max, uint64_t timeout_ms, fetch_answered answered,
                        void *argument)
{
    struct fetch *fetch = fetch_new(fetcher, bytes_max, answered, argument);
    if (!fetch)
        return NULL;
    fetch->is_get = true;
    return fetch_start(fetch, fetch->easy && fetch_set_up(fetch, url, timeout_ms));
}

struct fetch *fetch_post(struct fetcher *fetcher, const struct fetch_post *post, fetch_answered answered, void *argument)
{
    struct fetch *fetch = fetch_new(fetcher, post->bytes_max, answered, argument);
    if (!fetch)
        return NULL;
    return fetch_start(fetch, fetch->easy && fetch_set_up(fetch, post->url, post->timeout_ms) && fetch_set_post(fetch, post));
}

void fetch_cancel(struct fetch *fetch)
{
    if (fetch)
        fetch_free(fetch);
}

const char *fetch_library_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}
