/*
 * JWKS: see jwks.h.
 */
#include "daemon/auth/jwks.h"

#include "daemon/auth/auth.h"
#include "daemon/fetch/fetch.h"
#include "lib/log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 500, FETCH_TIMEOUT_MS = 10000, FAILURES_MAX = 6 };

struct jwks_url {
    struct jwks *jwks;
    char *source;                       /* the item of auth.keys */
    char *url;                          /* its URL alone */
    struct fetch *fetch;                /* under way; NULL: none */
    uint64_t asked_ms, next_ms;
    unsigned failures;                  /* since it last answered well */
    unsigned char digest[AUTH_DIGEST_BYTES];    /* of that answer */
    bool has_answered;
};

struct jwks {
    struct jwks_host host;
    struct fetcher *fetcher;            /* NULL until there is a URL */
    struct event *look;
    struct jwks_url **urls;
    size_t count;
};

/* Keys that are being gathered from an answer. */
struct jwks_answer {
    struct key *keys[KEYS_MAX];
    size_t count;
    bool has_secret;
};

static uint64_t jwks_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void url_free(struct jwks_url *url)
{
    if (!url)
        return;
    fetch_cancel(url->fetch);
    free(url->source);
    free(url->url);
    free(url);
}

static int answer_add(struct key *key, void *argument)
{
    struct jwks_answer *answer = argument;
    answer->has_secret = answer->has_secret || key_can_sign(key);
    if (answer->count == KEYS_MAX) {
        key_free(key);
        return -E2BIG;
    }
    answer->keys[answer->count++] = key;
    return 0;
}

/* The keys of an answer, checked. -EBADMSG with a problem. */
static int answer_read(struct bytes body, const char *source, struct jwks_answer *ret, struct buf *problem)
{
    struct key_source parsed;
    const char *wrong;
    int r = key_source_parse(source, &parsed, &wrong);
    if (r == 0)
        r = key_read_text(body, &parsed.wish, answer_add, ret, problem);
    if (r == 0 && ret->has_secret) {
        buf_add_text(problem, "there is a secret or a private key in it, which everybody could read there");
        r = -EBADMSG;
    }
    if (r == -E2BIG)
        buf_add_format(problem, "it holds more than %d keys", KEYS_MAX);
    return r;
}

static void answer_done(struct jwks_answer *answer)
{
    while (answer->count)
        key_free(answer->keys[--answer->count]);
}

/* These are the URL's keys from now on: a config like the present one, but for them, takes its place. */
static int jwks_publish(struct jwks *jwks, const char *source, struct jwks_answer *answer)
{
    const struct config *config = jwks->host.config(jwks->host.argument);
    struct keys *keys;
    size_t index = 0;
    while (index < config->keys->source_count && strcmp(config->keys->sources[index], source) != 0)
        index++;
    if (index == config->keys->source_count)
        return -ENOENT;
    size_t count = answer->count;
    answer->count = 0;
    int r = keys_replace(config->keys, index, answer->keys, count, &keys);
    if (r < 0)
        return r;
    struct config *next = config_clone(config);
    if (!next) {
        keys_free(keys);
        return -ENOMEM;
    }
    auth_set_keys(next, keys);
    auth_keep_api_keys(next, config);
    jwks->host.publish(jwks->host.argument, next);
    return 0;
}

static int url_take(struct jwks_url *url, struct bytes body, struct buf *problem)
{
    struct jwks_answer answer = {0};
    unsigned char digest[AUTH_DIGEST_BYTES];
    auth_digest(body, digest);
    if (url->has_answered && auth_digests_are_equal(digest, url->digest))
        return 0;
    int r = answer_read(body, url->source, &answer, problem);
    size_t count = answer.count;
    if (r == 0)
        r = jwks_publish(url->jwks, url->source, &answer);
    if (r == 0) {
        log_info(LOG_AREA_CONFIG, NULL, "%s: %zu keys", url->url, count);
        url->has_answered = true;
        memcpy(url->digest, digest, sizeof(digest));
    }
    answer_done(&answer);
    return r;
}

static void on_fetched(void *argument, const struct fetch_answer *answer)
{
    struct jwks_url *url = argument;
    const struct config *config = url->jwks->host.config(url->jwks->host.argument);
    struct buf problem = {0};
    uint64_t wait_ms = config->auth.url_refresh_ms;
    url->fetch = NULL;
    int r = answer->problem ? -EIO : url_take(url, answer->body, &problem);
    url->failures = r < 0 ? MIN(url->failures + 1, (unsigned)FAILURES_MAX) : 0;
    if (r < 0) {
        wait_ms = MIN(UINT64_C(1000) << url->failures, wait_ms);
        log_warning(LOG_AREA_CONFIG, NULL, "%s: keys cannot be taken from it: %s; %s, and it is asked again in %llu s", url->url,
                    answer->problem ? answer->problem : problem.length ? buf_text(&problem) : strerror(-r),
                    url->has_answered ? "the ones it had stay in force" : "tokens that it would verify are refused",
                    (unsigned long long)wait_ms / 1000);
    }
    url->next_ms = jwks_now_ms() + wait_ms;
    buf_done(&problem);
}

static void url_ask(struct jwks_url *url, uint64_t now_ms)
{
    url->asked_ms = now_ms;
    url->next_ms = now_ms + FETCH_TIMEOUT_MS;
    url->fetch = fetch_get(url->jwks->fetcher, url->url, KEY_ANSWER_BYTES_MAX, FETCH_TIMEOUT_MS, on_fetched, url);
    if (!url->fetch)
        log_warning(LOG_AREA_CONFIG, NULL, "%s: cannot be asked for keys: out of memory", url->url);
}

/* Who is to be asked now? A token by an unknown key is a reason, but not more often than auth.url-retry. */
static void jwks_look(struct jwks *jwks)
{
    struct config *config = jwks->host.config(jwks->host.argument);
    uint64_t now_ms = jwks_now_ms();
    bool is_wanting = atomic_load_explicit(&config->keys->is_wanting, memory_order_relaxed), asked = false;
    for (size_t i = 0; i < jwks->count; i++) {
        struct jwks_url *url = jwks->urls[i];
        bool may_again = now_ms >= url->asked_ms + config->auth.url_retry_ms;
        if (url->fetch || (now_ms < url->next_ms && !(is_wanting && may_again)))
            continue;
        url_ask(url, now_ms);
        asked = true;
    }
    if (asked)
        atomic_store_explicit(&config->keys->is_wanting, false, memory_order_relaxed);
}

static void on_look(evutil_socket_t descriptor, short what, void *argument)
{
    jwks_look(argument);
}

static struct jwks_url *url_new(struct jwks *jwks, const char *source)
{
    struct key_source parsed;
    const char *problem;
    struct jwks_url *url = calloc(1, sizeof(*url));
    if (!url)
        return NULL;
    url->jwks = jwks;
    url->source = strdup(source);
    if (key_source_parse(source, &parsed, &problem) == 0)
        url->url = strndup((const char *)parsed.name.data, parsed.name.length);
    if (url->source && url->url)
        return url;
    url_free(url);
    return NULL;
}

static bool source_is_url(const char *source)
{
    struct key_source parsed;
    const char *problem;
    return key_source_parse(source, &parsed, &problem) == 0 && parsed.is_url;
}

/* The one that is there already; NULL: none. */
static struct jwks_url *jwks_steal(struct jwks *jwks, const char *source)
{
    for (size_t i = 0; i < jwks->count; i++)
        if (jwks->urls[i] && strcmp(jwks->urls[i]->source, source) == 0)
            return STEAL(jwks->urls[i]);
    return NULL;
}

/* The loop looks while there is something to look at. */
static int jwks_start(struct jwks *jwks)
{
    struct timeval often = {.tv_usec = LOOK_MS * 1000};
    if (jwks->count == 0)
        return event_del(jwks->look) == 0 ? 0 : -ENOMEM;
    if (!jwks->fetcher)
        jwks->fetcher = fetcher_new(jwks->host.base, 0);
    if (!jwks->fetcher || event_add(jwks->look, &often) < 0)
        return -ENOMEM;
    jwks_look(jwks);
    return 0;
}

int jwks_update(struct jwks *jwks)
{
    const struct text_list *sources = &jwks->host.config(jwks->host.argument)->auth.keys;
    struct jwks_url **urls = calloc(sources->count + 1, sizeof(*urls));
    size_t count = 0;
    int r = urls ? 0 : -ENOMEM;
    for (size_t i = 0; i < sources->count && r == 0; i++) {
        if (!source_is_url(sources->items[i]))
            continue;
        struct jwks_url *url = jwks_steal(jwks, sources->items[i]);
        urls[count] = url ? url : url_new(jwks, sources->items[i]);
        if (urls[count])
            count++;
        else
            r = -ENOMEM;
    }
    if (!urls)
        return r;
    for (size_t i = 0; i < jwks->count; i++)
        url_free(jwks->urls[i]);
    free(jwks->urls);
    jwks->urls = urls;
    jwks->count = count;
    return r < 0 ? r : jwks_start(jwks);
}

int jwks_new(const struct jwks_host *host, struct jwks **ret)
{
    struct jwks *jwks = calloc(1, sizeof(*jwks));
    int r = jwks ? 0 : -ENOMEM;
    if (jwks) {
        jwks->host = *host;
        jwks->look = event_new(host->base, -1, EV_PERSIST, on_look, jwks);
        r = jwks->look ? jwks_update(jwks) : -ENOMEM;
    }
    if (r < 0) {
        jwks_free(jwks);
        return r;
    }
    *ret = jwks;
    return 0;
}

void jwks_free(struct jwks *jwks)
{
    if (!jwks)
        return;
    for (size_t i = 0; i < jwks->count; i++)
        url_free(jwks->urls[i]);
    free(jwks->urls);
    fetcher_free(jwks->fetcher);
    if (jwks->look)
        event_free(jwks->look);
    free(jwks);
}
