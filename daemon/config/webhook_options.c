/*
 * Webhook options: the table of what an item of `webhooks` may say. Pure data, as options.c, with the words for events and the
 * checks that only these rows need. Rows without a fallback must be given.
 */
#define ROW_STRUCT struct webhook_rule
#include "daemon/config/checks.h"
#include "daemon/config/option_rows.h"
#include "daemon/config/webhooks.h"
#include "lib/pattern.h"
#include "lib/text.h"

#include <stdlib.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

const char *const webhook_event_names[WEBHOOK_EVENT_COUNT] = {
    [WEBHOOK_CONNECT] = "connect", [WEBHOOK_EVENT] = "event", [WEBHOOK_CONNECTED] = "connected", [WEBHOOK_DISCONNECTED] = "disconnected",
    [WEBHOOK_ONLINE] = "online", [WEBHOOK_OFFLINE] = "offline", [WEBHOOK_OCCUPIED] = "occupied", [WEBHOOK_VACATED] = "vacated",
    [WEBHOOK_EPOCH] = "epoch",
};

enum webhook_event webhook_event_find(struct bytes name)
{
    enum webhook_event event = 0;
    while (event < WEBHOOK_EVENT_COUNT && !bytes_is(name, webhook_event_names[event]))
        event++;
    return event;
}

static const char *check_event(const char *text)
{
    return webhook_event_find(bytes_text(text)) < WEBHOOK_EVENT_COUNT ? NULL
        : "connect, event, connected, disconnected, online, offline, occupied, vacated or epoch is expected";
}

static const char *check_name(const char *text)
{
    size_t length = strlen(text);
    bool is_name = length > 0 && length <= WEBHOOK_NAME_MAX && strspn(text, LETTERS "-_.") == length;
    return is_name ? NULL : "a name of 1 to 32 letters, digits, dots, hyphens and underlines is expected";
}

/* What stands between the scheme and the path: "example.org", "[2001:db8::1]:8443". */
static bool host_is_valid(const char *host, size_t length)
{
    static const char digits[] = "0123456789";
    const char *bracket = memchr(host, ']', length);
    bool is_ip6 = length > 0 && host[0] == '[';
    size_t name = is_ip6 && bracket ? (size_t)(bracket - host) + 1 : strcspn(host, ":");
    if (length == 0 || name == 0 || is_ip6 != !!bracket || (!is_ip6 && memchr(host, '[', length)))
        return false;
    if (name >= length)
        return true;
    size_t port = length - name - 1;
    return host[name] == ':' && port > 0 && port <= 5 && strspn(host + name + 1, digits) == port && strtoul(host + name + 1, NULL, 10) - 1 < UINT16_MAX;
}

static const char *check_url(const char *text)
{
    static const char allowed[] = LETTERS "-._~:/?[]!$&'()*+,;=%";
    size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
    bool is_url = scheme && host_is_valid(text + scheme, strcspn(text + scheme, "/?")) && strspn(text, allowed) == strlen(text);
    return is_url ? NULL : "a URL such as https://example.org/hook, without a user name and a fragment, is expected";
}

/* Lists are written with commas between their items, too. */
static const char *check_group(const char *text)
{
    return strchr(text, ',') ? "a pattern without a comma is expected" : pattern_problem(bytes_text(text));
}

static const char *check_event_name(const char *text)
{
    bool is_pattern = name_is_valid(bytes_text(text), WEBHOOK_EVENT_NAME_MAX) && !strchr(text, ',');
    return is_pattern ? NULL : "a pattern of 1 to 255 bytes such as order.*, without a comma, is expected";
}

static const struct config_option webhook_options[] = {
    { .path = "webhooks.name", TEXT(name), .example = "accounts", .check = check_name, .reload = RELOAD_NOW,
      .summary = "By which name the log, rtcctl list webhooks and the spool know it.",
      .details = "What waits for a webhook goes on waiting over a reload as long as one of this name is there." },
    { .path = "webhooks.url", TEXT(url), .example = "https://example.org/rtcd", .check = check_url, .reload = RELOAD_NOW,
      .summary = "Where its requests go.",
      .details = "There alone, through a proxy if rtcd(8), ENVIRONMENT, says so: a redirect is not followed, and counts as a failure. With https the "
                 "receiver's certificate is verified." },
    { .path = "webhooks.events", LIST(event_words), .example = "connected", .check = check_event, .reload = RELOAD_NOW,
      .summary = "What it is told, and asked.",
      .details = "Asked: connect, whether a client may connect, of one webhook at most; event, what to reply to events that clients send "
                 "to the server. Told: connected, disconnected; online and offline, of a user's first connection and after the last one; occupied and "
                 "vacated, of a group's first member and after the last one; epoch, the first after each start of the daemon." },
    { .path = "webhooks.groups", LIST(groups), .fallback = "", .check = check_group, .reload = RELOAD_NOW,
      .summary = "Of which groups it is told that they are occupied and vacated.", .details = "Patterns as in groups.match. Empty: of all." },
    { .path = "webhooks.event-names", LIST(event_names), .fallback = "", .check = check_event_name, .reload = RELOAD_NOW,
      .summary = "Which events of clients it is asked about.",
      .details = "Patterns as those of rtcctl handle: * is any run of bytes, ? any one byte. Which of several handlers has an event is the same "
                 "for all: the one with the most specific pattern. Empty: all that nobody else handles." },
    { .path = "webhooks.secret-file", TEXT(secret_file), .fallback = "", .check = check_api_keys, .reload = RELOAD_NOW,
      .summary = "The file that holds the secret by which requests are signed.",
      .details = "Its absolute path, or credential:NAME for one that systemd passes: 32 to 4096 bytes, of which a line's end at the end is not "
                 "part. It must be readable to the daemon's user alone. A reload reads it again. Empty: requests are not signed." },
    { .path = "webhooks.ca-file", TEXT(ca_file), .fallback = "", .check = check_path, .reload = RELOAD_NOW,
      .summary = "The certificates (PEM) of the authorities of which the receiver's certificate may come.",
      .details = "Empty: those that the system trusts." },
    { .path = "webhooks.timeout", SPAN(timeout_ms), .fallback = "5s", .min = 10, .max = 5 * MINUTE, .reload = RELOAD_NOW,
      .summary = "How long a request may take, with its answer.",
      .details = "Of use up to gate.timeout for connect, and up to handlers.timeout for event: nobody waits longer." },
    { .path = "webhooks.answer-bytes", SIZE(answer_bytes), .fallback = "64KiB", .max = 16 * MIB, .reload = RELOAD_NOW,
      .summary = "The longest answer that is read.", .details = "A longer one counts as a failure." },
    { .path = "webhooks.batch", NUMBER(batch), .fallback = "1", .min = 1, .max = 1000, .reload = RELOAD_NOW,
      .summary = "How many events one request may carry.",
      .details = "1: each has a request of its own (application/cloudevents+json). More: requests carry a list "
                 "(application/cloudevents-batch+json), also of one." },
    { .path = "webhooks.batch-delay", SPAN(batch_delay_ms), .fallback = "0", .max = 1 * MINUTE, .reload = RELOAD_NOW,
      .summary = "How long an event may wait for others to go with it.",
      .details = "0: a request carries what came while the one before was under way." },
    { .path = "webhooks.queue", NUMBER(queue), .fallback = "10000", .min = 1, .max = 1000000, .reload = RELOAD_NOW,
      .summary = "How many events may wait for the receiver.", .details = "" },
    { .path = "webhooks.queue-full", CHOICE(full, config_queue_full, "drop-oldest drop-newest"), .fallback = "drop-oldest", .reload = RELOAD_NOW,
      .summary = "Which event is dropped where too many wait.", .details = "Each is counted (webhook_dropped)." },
    { .path = "webhooks.retry-delay", SPAN(retry_delay_ms), .fallback = "1s", .min = 1, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long to wait at most before what failed is tried for the second time.",
      .details = "After each further failure in a row twice as long; each time a random part of it. What fails is a request without an "
                 "answer, one whose answer is too long, and one with the status 3xx, 408, 429 or 5xx. Any other status that is not 2xx is a "
                 "refusal: what the request carried is dropped." },
    { .path = "webhooks.retry-delay-max", SPAN(retry_delay_max_ms), .fallback = "1min", .min = 1, .max = 24 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long to wait at most between two tries.",
      .details = "What an answer asks for in Retry-After is done up to this." },
    { .path = "webhooks.retry-age", SPAN(retry_age_ms), .fallback = "1h", .min = 1 * SECOND, .max = 720ull * HOUR, .reload = RELOAD_NOW,
      .summary = "How old an event may become.",
      .details = "One that could not be delivered by then is dropped, and counted (webhook_dropped)." },
    { .path = "webhooks.breaker-failures", NUMBER(breaker_failures), .fallback = "5", .min = 1, .max = 1000, .reload = RELOAD_NOW,
      .summary = "After how many failures in a row the receiver is left in peace.",
      .details = "Its breaker opens then: for a while (breaker-pause) nothing is sent to it; then one request, and all others once it succeeds." },
    { .path = "webhooks.breaker-pause", SPAN(breaker_pause_ms), .fallback = "30s", .min = 1, .max = 1 * HOUR, .reload = RELOAD_NOW,
      .summary = "How long a breaker stays open before one request tries.", .details = "" },
    { .path = "webhooks.connections", NUMBER(connections), .fallback = "8", .min = 1, .max = 1000, .reload = RELOAD_NOW,
      .summary = "How many network connections there may be for what it is asked.",
      .details = "What is more waits, within webhooks.timeout. What it is told has one of its own." },
    { .path = "webhooks.waiting", NUMBER(waiting), .fallback = "1000", .min = 1, .max = 100000, .reload = RELOAD_NOW,
      .summary = "How many questions may wait for its answer.", .details = "One too many is as one that failed, where it is about connecting; to an event the client is told to try again "
                 "(rate-limited)." },
    { .path = "webhooks.on-failure", CHOICE(on_failure, config_on_failure, "refuse allow"), .fallback = "refuse", .reload = RELOAD_NOW,
      .summary = "What becomes of a client that wants to connect while the webhook fails.",
      .details = "refuse: it is told to come again (draining). allow: it is let in as if nobody had been asked. Whoever has waited for gate.timeout is "
                 "refused with either." },
};

const struct option_table webhook_option_table = {webhook_options, COUNT_OF(webhook_options)};
_Static_assert(COUNT_OF(webhook_options) <= OPTIONS_MAX, "config_file.c notes which were seen");
