/*
 * Connect line: see connect_line.h.
 */
#include "cli/connect_line.h"

#include "lib/envelope.h"
#include "lib/json.h"

#include <stdarg.h>
#include <stdio.h>

/* What may stand behind a verb, in order. */
enum { TAKES_NAME = 1, TAKES_GROUP = 2, TAKES_EVENT = 4 };

static const struct verb {
    struct connect_word text;
    enum connect_verb verb;
    enum rtc_target_kind to;
    unsigned takes;
} verbs[] = {
    {{"join", "GROUP", "join a group"}, CONNECT_JOIN, RTC_TO_SERVER, TAKES_GROUP},
    {{"leave", "GROUP", "leave it"}, CONNECT_LEAVE, RTC_TO_SERVER, TAKES_GROUP},
    {{"group", "GROUP EVENT [DATA]", "send to a group"}, CONNECT_SEND, RTC_TO_GROUP, TAKES_NAME | TAKES_EVENT},
    {{"user", "USER EVENT [DATA]", "send to a user's connections"}, CONNECT_SEND, RTC_TO_USER, TAKES_NAME | TAKES_EVENT},
    {{"connection", "ID EVENT [DATA]", "send to one connection"}, CONNECT_SEND, RTC_TO_CONNECTION, TAKES_NAME | TAKES_EVENT},
    {{"all", "EVENT [DATA]", "send to everybody"}, CONNECT_SEND, RTC_TO_ALL, TAKES_EVENT},
    {{"send", "EVENT [DATA]", "send to the server's handlers"}, CONNECT_SEND, RTC_TO_SERVER, TAKES_EVENT},
    {{"invoke", "EVENT [DATA]", "the same, and wait for the reply"}, CONNECT_INVOKE, RTC_TO_SERVER, TAKES_EVENT},
    {{"status", "", "show how the connection is"}, CONNECT_STATUS, RTC_TO_SERVER, 0},
    {{"help", "", "show this"}, CONNECT_HELP, RTC_TO_SERVER, 0},
    {{"quit", "", "end the connection (so does Ctrl-D)"}, CONNECT_QUIT, RTC_TO_SERVER, 0},
};

const struct connect_word *connect_words(size_t index)
{
    return index < COUNT_OF(verbs) ? &verbs[index].text : NULL;
}

void connect_action_done(struct connect_action *action)
{
    for (size_t i = 0; i < COUNT_OF(action->texts); i++)
        buf_done(&action->texts[i]);
}

static int wrong(char problem[static CONNECT_PROBLEM_MAX], const char *format, ...) PRINTF_LIKE(2, 3);
static int wrong(char problem[static CONNECT_PROBLEM_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, CONNECT_PROBLEM_MAX, format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

static struct bytes skip_blanks(struct bytes text)
{
    while (text.length && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.length--;
    }
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]))
        text.length--;
    return text;
}

/* The next word, or a JSON string, where a name has blanks. 1; 0: there is none; -EBADMSG. */
static int take_word(struct bytes *rest, struct buf *ret, char problem[static CONNECT_PROBLEM_MAX])
{
    *rest = skip_blanks(*rest);
    buf_clear(ret);
    if (rest->length == 0)
        return 0;
    if (*rest->data == '"') {
        struct json_scan scan;
        struct bytes value, text;
        struct buf scratch = {0};
        json_scan_init(&scan, *rest);
        int r = json_take(&scan, 1, &value);
        if (r == 0 && (r = json_string(value, &scratch, &text)) == 0)
            buf_add_bytes(ret, text);
        buf_done(&scratch);
        if (r < 0 || memchr(ret->data, '\0', ret->length))
            return wrong(problem, "a name in quotes is a JSON string: %s", scan.problem ? scan.problem : "this is none");
        *rest = bytes_of(value.data + value.length, (size_t)(rest->data + rest->length - value.data) - value.length);
        return 1;
    }
    size_t length = 0;
    while (length < rest->length && rest->data[length] != ' ' && rest->data[length] != '\t')
        length++;
    buf_add(ret, rest->data, length);
    *rest = bytes_of(rest->data + length, rest->length - length);
    return 1;
}

static int take_data(struct bytes rest, struct connect_action *ret, char problem[static CONNECT_PROBLEM_MAX])
{
    struct json_scan scan;
    struct bytes value;
    rest = skip_blanks(rest);
    if (rest.length == 0)
        return 0;
    json_scan_init(&scan, rest);
    if (json_take_all(&scan, JSON_DEPTH_MAX - 2, &value) < 0)
        return wrong(problem, "DATA is not JSON: at byte %zu: %s. A string needs its quotes: \"text\"", (size_t)(scan.at - scan.start),
                     scan.problem);
    json_add_compact(&ret->texts[2], value);
    ret->json = buf_text(&ret->texts[2]);
    return 0;
}

static const struct verb *find_verb(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(verbs[i].text.word, word) == 0)
            return &verbs[i];
    return NULL;
}

/* A name that `takes` asks for, into texts[slot]. 1: read, or not asked for. */
static int take_name(const struct verb *verb, bool is_taken, struct bytes *rest, struct connect_action *ret, size_t slot,
                     const char **ret_name, char problem[static CONNECT_PROBLEM_MAX])
{
    int r = is_taken ? take_word(rest, &ret->texts[slot], problem) : 1;
    if (r == 0)
        return wrong(problem, "say: %s %s", verb->text.word, verb->text.arguments);
    if (r == 1 && is_taken)
        *ret_name = buf_text(&ret->texts[slot]);
    return r;
}

int connect_line_read(const char *line, struct connect_action *ret, char problem[static CONNECT_PROBLEM_MAX])
{
    struct bytes rest = bytes_text(line);
    *ret = (struct connect_action){.verb = CONNECT_NOTHING};
    int r = take_word(&rest, &ret->texts[0], problem);
    if (r <= 0)
        return r;
    const struct verb *verb = find_verb(buf_text(&ret->texts[0]));
    if (!verb)
        return wrong(problem, "there is no \"%.60s\" here; help shows what there is", buf_text(&ret->texts[0]));
    ret->verb = verb->verb;
    ret->to.kind = verb->to;
    if ((r = take_name(verb, verb->takes & TAKES_NAME, &rest, ret, 1, &ret->to.name, problem)) < 0
        || (r = take_name(verb, verb->takes & TAKES_GROUP, &rest, ret, 1, &ret->group, problem)) < 0
        || (r = take_name(verb, verb->takes & TAKES_EVENT, &rest, ret, 3, &ret->event_name, problem)) < 0)
        return r;
    if (verb->takes & TAKES_EVENT)
        return take_data(rest, ret, problem);
    return skip_blanks(rest).length ? wrong(problem, "say: %s %s", verb->text.word, verb->text.arguments) : 0;
}

static const char *keep(struct buf *room, struct bytes text)
{
    buf_clear(room);
    buf_add_bytes(room, text);
    return buf_text(room);
}

/* The data of rtc.join or rtc.leave. */
static int read_group(struct connect_action *ret, struct bytes data, char problem[static CONNECT_PROBLEM_MAX])
{
    struct bytes text, since = json_member(data, "since");
    struct buf scratch = {0};
    uint64_t last;
    if (json_string(json_member(data, "group"), &scratch, &text) < 0) {
        buf_done(&scratch);
        return wrong(problem, "rtc.join and rtc.leave need data such as {\"group\":\"news\"}");
    }
    ret->group = keep(&ret->texts[1], text);
    if (json_uint(json_member(data, "last"), &last) == 0)
        ret->since.last = (unsigned)MIN(last, (uint64_t)UINT32_MAX);
    buf_clear(&scratch);
    if (json_string(json_member(since, "epoch"), &scratch, &text) == 0 && json_uint(json_member(since, "offset"), &ret->since.offset) == 0)
        ret->since.epoch = keep(&ret->texts[2], text);
    buf_done(&scratch);
    return 0;
}

int connect_envelope_read(struct bytes line, struct connect_action *ret, char problem[static CONNECT_PROBLEM_MAX])
{
    static const enum rtc_target_kind kinds[] = {
        [TARGET_SERVER] = RTC_TO_SERVER, [TARGET_GROUP] = RTC_TO_GROUP, [TARGET_USER] = RTC_TO_USER,
        [TARGET_CONNECTION] = RTC_TO_CONNECTION, [TARGET_ALL] = RTC_TO_ALL,
    };
    struct envelope envelope;
    struct fault fault = {0};
    *ret = (struct connect_action){.verb = CONNECT_NOTHING};
    if (skip_blanks(line).length == 0)
        return 0;
    if (codecs[CODEC_JSON]->decode(line, &ret->texts[0], &envelope, &fault) != DECODE_DONE)
        return wrong(problem, "%s", fault_message(&fault));
    ret->id = envelope.id;
    bool is_join = bytes_is(envelope.event_name, "rtc.join"), is_leave = bytes_is(envelope.event_name, "rtc.leave");
    if (is_join || is_leave) {
        ret->verb = is_join ? CONNECT_JOIN : CONNECT_LEAVE;
        return read_group(ret, envelope.data, problem);
    }
    ret->verb = envelope.id ? CONNECT_INVOKE : CONNECT_SEND;
    ret->to = (struct rtc_target){.kind = kinds[envelope.to.kind], .except_self = envelope.to.except_self,
                                  .name = envelope.to.name.length ? keep(&ret->texts[1], envelope.to.name) : NULL};
    ret->json = envelope.data.length ? keep(&ret->texts[2], envelope.data) : NULL;
    ret->event_name = keep(&ret->texts[3], envelope.event_name);
    return 0;
}
