/*
 * bench: the command: from what was typed to the settings of a run, and from its result to an exit status.
 */
#include "cli/bench.h"

#include "cli/commands.h"
#include "cli/random.h"
#include "cli/token.h"
#include "lib/envelope.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>

enum {
    DESCRIPTORS_BESIDE = 16,            /* standard streams, epoll, timer, signals, name service */
    RATE_MAX = 10000000, WINDOW_MAX = 1000000,
    DURATION_MAX_MS = 24 * 3600 * 1000,
};

void bench_fail(struct bench_failure *failure, int status, const char *format, ...)
{
    va_list arguments;
    if (failure->status)
        return;
    failure->status = status;
    va_start(arguments, format);
    vsnprintf(failure->text, sizeof(failure->text), format, arguments);
    va_end(arguments);
}

static int text_parse_number(struct bytes text, uint64_t *ret)
{
    return text_parse_uint(text, ret);
}

struct number {
    const char *name, *word, *kind;
    int (*parse)(struct bytes text, uint64_t *ret);
    size_t offset;
    uint64_t fallback, min, max;
};

#define MEMBER(member) offsetof(struct bench_settings, member)
static const struct number numbers[] = {
    {"connections", "--connections", "a whole number", text_parse_number, MEMBER(connections), 100, 1, BENCH_CONNECTIONS_MAX},
    {"publishers", "--publishers", "a whole number", text_parse_number, MEMBER(publishers), 1, 1, BENCH_PUBLISHERS_MAX},
    {"rate", "--rate", "max or a whole number", text_parse_number, MEMBER(rate), 100, 1, RATE_MAX},
    {"window", "--window", "a whole number", text_parse_number, MEMBER(window), 16, 1, WINDOW_MAX},
    {"size", "--size", "a size such as 128 or 4KiB", text_parse_size, MEMBER(data_bytes), 128, BENCH_DATA_MIN, BENCH_DATA_MAX},
    {"duration", "--duration", "a time such as 10s", text_parse_span, MEMBER(duration_ms), 10000, 1, DURATION_MAX_MS},
};

static int wrong(const char *format, ...) PRINTF_LIKE(1, 2);
static int wrong(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "rtcctl: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    return EX_USAGE;
}

static void add_amount(struct buf *out, const struct number *number, uint64_t value)
{
    if (number->parse == text_parse_size)
        text_add_size(out, value);
    else if (number->parse == text_parse_span)
        text_add_span(out, value);
    else
        buf_add_format(out, "%llu", (unsigned long long)value);
}

static int read_number(const struct invocation *invocation, const struct number *number, struct bench_settings *ret)
{
    const char *text = arguments_value(invocation, number->name);
    uint64_t value = number->fallback;
    if (text && (number->parse(bytes_text(text), &value) < 0 || value < number->min || value > number->max)) {
        struct buf range = {0};
        add_amount(&range, number, number->min);
        buf_add_text(&range, " to ");
        add_amount(&range, number, number->max);
        int status = wrong("%s needs %s from %s", number->word, number->kind, buf_text(&range));
        buf_done(&range);
        return status;
    }
    memcpy((char *)ret + number->offset, &value, sizeof(value));
    return 0;
}

static int read_numbers(const struct invocation *invocation, struct bench_settings *ret)
{
    const char *rate = arguments_value(invocation, "rate");
    bool is_max = rate && strcmp(rate, "max") == 0;
    int status = 0;
    for (size_t i = 0; i < COUNT_OF(numbers) && status == 0; i++)
        if (!is_max || strcmp(numbers[i].name, "rate") != 0)
            status = read_number(invocation, &numbers[i], ret);
    if (status)
        return status;
    if (arguments_value(invocation, "window") && !is_max)
        return wrong("--window is for --rate max; at a given rate, messages go when they are due");
    if (ret->publishers > ret->connections)
        return wrong("publishers are connections as well: there can be no more of them than --connections says");
    return 0;
}

static int read_protocol(const struct invocation *invocation, struct bench_settings *ret)
{
    const char *protocol = arguments_value(invocation, "protocol");
    ret->is_msgpack = protocol && strcmp(protocol, "msgpack") == 0;
    if (protocol && !ret->is_msgpack && strcmp(protocol, "json") != 0)
        return wrong("--protocol is json or msgpack");
    return 0;
}

static int read_group(const struct invocation *invocation, struct bench_settings *ret)
{
    ret->group = arguments_value(invocation, "group");
    if (!ret->group) {
        struct random_pool pool = {0};
        uint64_t number;
        random_take(&pool, &number, sizeof(number));
        snprintf(ret->group_room, sizeof(ret->group_room), "rtcctl-bench-%08x", (unsigned)number);
        ret->group = ret->group_room;
    }
    return name_is_valid(bytes_text(ret->group), NAME_MAX_BYTES) ? 0
        : wrong("a group's name has 1 to %d bytes of UTF-8, and no control characters", NAME_MAX_BYTES);
}

/* Takes what the hard limit allows. */
static int raise_limit(const struct bench_settings *settings)
{
    struct rlimit limit;
    rlim_t needed = settings->connections + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
        return 0;
    if (limit.rlim_max < needed)
        return wrong("%llu connections need %llu descriptors, and this shell allows %llu: raise that with ulimit -Hn, or take "
                     "fewer --connections", (unsigned long long)settings->connections, (unsigned long long)needed,
                     (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wrong("cannot raise the limit of descriptors (ulimit -n): %s", strerror(errno));
    return 0;
}

int command_bench(const struct invocation *invocation)
{
    char token[TOKEN_MAX];
    struct bench_settings settings = {.url = arguments_value(invocation, "url")};
    if (!settings.url)
        settings.url = "http://127.0.0.1:8000/rtc";
    int status = invocation->socket ? wrong("bench goes to a URL, not to the admin socket") : 0;
    if (status == 0)
        status = read_numbers(invocation, &settings);
    if (status == 0)
        status = read_protocol(invocation, &settings);
    if (status == 0)
        status = read_group(invocation, &settings);
    if (status == 0)
        status = token_read(arguments_value(invocation, "token"), token, &settings.token);
    if (status == 0)
        status = raise_limit(&settings);
    if (status)
        return status;
    struct bench_result *result = calloc(1, sizeof(*result));
    if (!result)
        return EX_OSERR;
    bench_run(&settings, result);
    if (result->published)
        status = bench_report(invocation, &settings, result);
    if (result->failure.status)
        fprintf(stderr, "rtcctl: %s\n", result->failure.text);
    status = result->failure.status ? result->failure.status : status;
    free(result);
    return status;
}
