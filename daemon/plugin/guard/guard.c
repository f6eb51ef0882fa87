/*
 * guard: a plug-in for rtcd, and an example of one. Turns clients away by a list of users and networks, and says in a label from which
 * named network the others come.
 *
 *     plugins:
 *       - /usr/lib/x86_64-linux-gnu/rtcd/plugins/guard.so /etc/rtcd/guard.list
 *
 * The list has a line for each rule; of those for an address the first that matches counts. Behind # is a comment.
 *
 *     deny user mallory
 *     deny address 203.0.113.0/24
 *     network office 192.0.2.0/24
 *     network office 2001:db8::/32
 *
 * A client that sends the event guard.whoami is told what the guard knows of him. The list is read once, at the start.
 */
#include "lib/rtcd_plugin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 10000, LINE_MAX_BYTES = 512, NAME_MAX_BYTES = 255, ADDRESS_BITS = 128, ANSWER_MAX = 4096 };

enum rule_kind { DENY_USER, DENY_ADDRESS, NETWORK };

struct rule {
    enum rule_kind kind;
    char *name;                         /* of the user or the network */
    unsigned char address[16];          /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;                      /* of it that count */
};

/* Shared by all workers: the rules are not changed once they are read, the counts are atomic. */
struct guard {
    struct rule *rules;
    size_t count;
    _Atomic uint64_t let_in, turned_away, asked;
};

static struct guard *guard_of(const struct rtcd_call *call)
{
    return call->plugin;
}

static void guard_log(struct rtcd_call *call, enum rtcd_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void guard_log(struct rtcd_call *call, enum rtcd_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    call->services->log(call, level, text);
}

/* The list */

static bool address_parse(const char *text, unsigned char ret[static 16], unsigned *ret_bits)
{
    static const unsigned char ip4_front[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, ret) == 1) {
        *ret_bits = ADDRESS_BITS;
        return true;
    }
    memcpy(ret, ip4_front, sizeof(ip4_front));
    *ret_bits = 32;
    return inet_pton(AF_INET, text, ret + 12) == 1;
}

/* "192.0.2.0/24", "192.0.2.1", "2001:db8::/32". */
static bool network_parse(char *text, struct rule *rule)
{
    char *slash = strchr(text, '/'), *end = NULL;
    unsigned bits;
    if (slash)
        *slash = '\0';
    if (!address_parse(text, rule->address, &bits))
        return false;
    unsigned long wanted = slash ? strtoul(slash + 1, &end, 10) : bits;
    if (slash && (slash[1] < '0' || slash[1] > '9' || *end || wanted > bits))
        return false;
    rule->bits = ADDRESS_BITS - bits + (unsigned)wanted;
    return true;
}

static bool network_has(const struct rule *rule, const unsigned char address[static 16])
{
    unsigned whole = rule->bits / 8, rest = rule->bits % 8;
    return memcmp(rule->address, address, whole) == 0
        && (rest == 0 || (rule->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* NULL: the line is a rule. Else what would be right. */
static const char *rule_parse(char *line, struct rule *rule)
{
    char *rest = NULL, *word = strtok_r(line, " \t", &rest), *second = strtok_r(NULL, " \t", &rest), *third = strtok_r(NULL, " \t", &rest);
    const char *expected = "deny user NAME, deny address NETWORK or network NAME NETWORK is expected";
    if (!second || !third || strtok_r(NULL, " \t", &rest) || strlen(second) > NAME_MAX_BYTES || strlen(third) > NAME_MAX_BYTES)
        return expected;
    bool is_deny = strcmp(word, "deny") == 0;
    if (is_deny && strcmp(second, "user") == 0)
        *rule = (struct rule){.kind = DENY_USER, .name = third};
    else if (is_deny && strcmp(second, "address") == 0)
        *rule = (struct rule){.kind = DENY_ADDRESS, .name = third};
    else if (strcmp(word, "network") == 0)
        *rule = (struct rule){.kind = NETWORK, .name = second};
    else
        return expected;
    if (rule->kind != DENY_USER && !network_parse(third, rule))
        return "a network such as 192.0.2.0/24, 192.0.2.1 or 2001:db8::/32 is expected";
    return NULL;
}

/* Room doubles when it is full. The name is copied. */
static int guard_add(struct guard *guard, const struct rule *rule)
{
    if (guard->count == RULES_MAX)
        return -E2BIG;
    if ((guard->count & (guard->count - 1)) == 0) {
        struct rule *rules = realloc(guard->rules, (guard->count ? guard->count * 2 : 1) * sizeof(*rules));
        if (!rules)
            return -ENOMEM;
        guard->rules = rules;
    }
    struct rule *added = &guard->rules[guard->count];
    *added = *rule;
    added->name = strdup(rule->name);
    if (!added->name)
        return -ENOMEM;
    guard->count++;
    return 0;
}

static int guard_take_line(struct rtcd_call *call, char *line, const char *path, unsigned number)
{
    struct rule rule = {0};
    line[strcspn(line, "#\r\n")] = '\0';
    if (!line[strspn(line, " \t")])
        return 0;
    const char *problem = rule_parse(line, &rule);
    if (problem)
        guard_log(call, RTCD_ERROR, "%s:%u: %s", path, number, problem);
    if (problem)
        return -EINVAL;
    int r = guard_add(guard_of(call), &rule);
    if (r == -E2BIG)
        guard_log(call, RTCD_ERROR, "%s:%u: the list has more than %d rules", path, number, RULES_MAX);
    return r;
}

static int guard_read(struct rtcd_call *call, const char *path)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(path, "re");
    if (!file) {
        int r = -errno;
        guard_log(call, RTCD_ERROR, "%s cannot be opened: %s; it stands in plugins, behind the path of guard.so", path, strerror(-r));
        return r;
    }
    int r = 0;
    for (unsigned number = 1; r == 0 && fgets(line, sizeof(line), file); number++) {
        if (!strchr(line, '\n') && !feof(file)) {
            guard_log(call, RTCD_ERROR, "%s:%u: the line is longer than %d bytes, or has a zero byte", path, number, LINE_MAX_BYTES - 2);
            r = -EINVAL;
        } else {
            r = guard_take_line(call, line, path, number);
        }
    }
    if (r == 0 && ferror(file)) {
        r = -errno;
        guard_log(call, RTCD_ERROR, "%s cannot be read: %s", path, strerror(-r));
    }
    fclose(file);
    return r;
}

static void guard_free(struct guard *guard)
{
    for (size_t i = 0; i < guard->count; i++)
        free(guard->rules[i].name);
    free(guard->rules);
    free(guard);
}

/* The table's functions */

static int guard_init(struct rtcd_call *call, const char *arguments)
{
    if (!arguments[0]) {
        guard_log(call, RTCD_ERROR, "it is not said where its list is; its path stands in plugins, behind the path of guard.so and a blank");
        return -EINVAL;
    }
    struct guard *guard = call->plugin = calloc(1, sizeof(*guard));
    if (!guard)
        return -ENOMEM;
    int r = guard_read(call, arguments);
    if (r < 0) {
        guard_free(guard);
        call->plugin = NULL;
        return r;
    }
    guard_log(call, RTCD_INFO, "%zu rules from %s", guard->count, arguments);
    return 0;
}

static void guard_done(struct rtcd_call *call)
{
    struct guard *guard = guard_of(call);
    guard_log(call, RTCD_INFO, "%llu clients were let in, %llu turned away", (unsigned long long)guard->let_in,
              (unsigned long long)guard->turned_away);
    guard_free(guard);
}

static bool text_is(struct rtcd_text text, const char *other)
{
    return text.length == strlen(other) && memcmp(text.bytes, other, text.length) == 0;
}

/* The first rule for this address; NULL: there is none, or it is no address. */
static const struct rule *guard_find(const struct guard *guard, struct rtcd_text address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    unsigned bits;
    snprintf(text, sizeof(text), "%.*s", (int)address.length, address.bytes);
    if (!address_parse(text, bytes, &bits))
        return NULL;
    for (size_t i = 0; i < guard->count; i++)
        if (guard->rules[i].kind != DENY_USER && network_has(&guard->rules[i], bytes))
            return &guard->rules[i];
    return NULL;
}

static void guard_turn_away(struct rtcd_call *call, struct rtcd_text message)
{
    atomic_fetch_add_explicit(&guard_of(call)->turned_away, 1, memory_order_relaxed);
    call->services->refuse(call, RTCD_TEXT("forbidden"), message);
}

/* Before all else: who comes from there is not even told what is offered. */
static void guard_negotiate(struct rtcd_call *call, const struct rtcd_request *request)
{
    const struct rule *rule = guard_find(guard_of(call), request->address);
    if (rule && rule->kind == DENY_ADDRESS)
        guard_turn_away(call, RTCD_TEXT("clients from this address are not let in"));
}

/* Proved or claimed. */
static bool guard_denies_user(const struct guard *guard, const struct rtcd_request *request)
{
    for (size_t i = 0; i < guard->count && request->user.length; i++)
        if (guard->rules[i].kind == DENY_USER && text_is(request->user, guard->rules[i].name))
            return true;
    return false;
}

static void guard_connect(struct rtcd_call *call, const struct rtcd_request *request)
{
    struct guard *guard = guard_of(call);
    const struct rule *rule = guard_find(guard, request->address);
    if (guard_denies_user(guard, request)) {
        guard_turn_away(call, RTCD_TEXT("this user is not let in"));
        return;
    }
    if (rule && rule->kind == NETWORK)
        call->services->add_label(call, RTCD_TEXT("network"), (struct rtcd_text){rule->name, strlen(rule->name)});
    atomic_fetch_add_explicit(&guard->let_in, 1, memory_order_relaxed);
}

/* In quotes, for JSON: the daemon's own texts hold no control characters. What does not fit is left out. */
static void answer_add(char *answer, const char *name, struct rtcd_text value)
{
    size_t length = strlen(answer);
    if (length + strlen(name) + 2 * value.length + 8 > ANSWER_MAX)
        return;
    char *at = answer + length;
    at += sprintf(at, "\"%s\":\"", name);
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] == '"' || value.bytes[i] == '\\')
            *at++ = '\\';
        *at++ = value.bytes[i];
    }
    memcpy(at, "\",", sizeof("\","));
}

static int guard_event(struct rtcd_call *call, const struct rtcd_connection *connection, const struct rtcd_event *event)
{
    struct guard *guard = guard_of(call);
    char answer[ANSWER_MAX + 128] = "{";
    if (!text_is(event->name, "guard.whoami"))
        return RTCD_PASS;
    const struct rule *rule = guard_find(guard, connection->address);
    answer_add(answer, "connectionId", connection->id);
    answer_add(answer, "userId", connection->user);
    answer_add(answer, "address", connection->address);
    answer_add(answer, "network", rule && rule->kind == NETWORK ? (struct rtcd_text){rule->name, strlen(rule->name)} : RTCD_TEXT(""));
    uint64_t asked = 1 + atomic_fetch_add_explicit(&guard->asked, 1, memory_order_relaxed);
    size_t length = strlen(answer);
    length += (size_t)snprintf(answer + length, sizeof(answer) - length, "\"asked\":%llu}", (unsigned long long)asked);
    call->services->reply(call, (struct rtcd_text){answer, length});
    return RTCD_HANDLED;
}

const struct rtcd_plugin rtcd_plugin = {
    .size = sizeof(rtcd_plugin),
    .abi = RTCD_PLUGIN_ABI,
    .name = "guard",
    .version = "1.0",
    .init = guard_init,
    .done = guard_done,
    .negotiate = guard_negotiate,
    .connect = guard_connect,
    .event = guard_event,
};
