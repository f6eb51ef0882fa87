/*
 * publish: one event from the command line, or a stream of envelopes from standard input, with many requests
 * in flight.
 */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/render.h"

#include "lib/envelope.h"
#include "lib/transcode.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    WINDOW = 1024,                  /* requests in flight */
    WINDOW_BYTES = 256 * 1024,      /* of them, not yet sent */
    LINE_MAX_BYTES = 1024 * 1024,   /* of a line, and of the request that it becomes */
    AROUND_BYTES = 64,              /* what a request has around its data */
};

static int check_msgpack(struct buf *data, struct buf *ret)
{
    const char *problem;
    if (transcode_to_json(ret, buf_bytes(data), &problem) == 0)
        return 0;
    fprintf(stderr, "rtcctl: DATA is not MessagePack that can be sent: %s\n", problem);
    return EX_DATAERR;
}

static const char *const own_arguments[] = {"event", "data", "stream", "msgpack", "idempotencyKey", NULL};

static unsigned target_count(const struct invocation *invocation)
{
    unsigned count = 0;
    static const char *const targets[] = {"group", "user", "connection", "all"};
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        count += arguments_value(invocation, targets[i]) != NULL;
    return count;
}

static int say_to_whom(void)
{
    fprintf(stderr, "rtcctl: say to whom, once: --group GROUP, --user USER, --connection CONNECTION or --all\n");
    return EX_USAGE;
}

static int publish_check(const struct invocation *invocation)
{
    if (target_count(invocation) != 1)
        return say_to_whom();
    if (arguments_value(invocation, "event"))
        return 0;
    fprintf(stderr, "rtcctl: EVENT is missing. Usage: rtcctl publish --group GROUP EVENT [DATA]\n");
    return EX_USAGE;
}

int command_add_event(const struct invocation *invocation, struct json_writer *json)
{
    const char *text = arguments_value(invocation, "data");
    struct buf raw = {0}, value = {0};
    int status = publish_check(invocation);
    if (status == 0 && text)
        status = input_read(text, &raw);
    if (status == 0 && text)
        status = arguments_value(invocation, "msgpack") ? check_msgpack(&raw, &value) : input_check_json(buf_bytes(&raw), &value);
    if (status == 0) {
        json_key(json, "event");
        json_add_text(json, arguments_value(invocation, "event"));
        json_key(json, "data");
        json_add_raw(json, buf_bytes(&value));
    }
    buf_done(&raw);
    buf_done(&value);
    return status;
}

int command_publish(const struct invocation *invocation, struct session *session)
{
    struct buf data = {0};
    struct reply reply = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    command_add_arguments(invocation, own_arguments, &json);
    if (arguments_value(invocation, "idempotencyKey")) {
        json_key(&json, "idempotencyKey");
        json_add_text(&json, arguments_value(invocation, "idempotencyKey"));
    }
    int status = command_add_event(invocation, &json);
    json_end_object(&json);
    if (status == 0)
        status = session_call(session, "publish", buf_bytes(&data), &reply);
    if (status == 0)
        status = render_object(invocation, reply.data);
    reply_done(&reply);
    buf_done(&data);
    return status;
}

/* Lines are sent with their numbers as ids; while rtcd is busy it does not read, and so this end waits. */
struct stream {
    const struct invocation *invocation;
    struct session *session;
    struct buf in, scratch, request;
    bool is_over;
    bool is_skipping;               /* the rest of a line that is too long */
    uint64_t line_count, asked, published, refused;
};

static uint64_t stream_in_flight(const struct stream *stream)
{
    return stream->asked - stream->published - stream->refused;
}

static void stream_refuse(struct stream *stream, uint64_t line, struct bytes why)
{
    stream->refused++;
    fprintf(stderr, "rtcctl: line %llu: %.*s\n", (unsigned long long)line, (int)why.length, (const char *)why.data);
}

/* To whom: what the line itself says, else what the command line says. */
static bool stream_add_target(const struct stream *stream, const struct target *to, struct json_writer *json)
{
    static const char *const names[] = {
        [TARGET_GROUP] = "group", [TARGET_USER] = "user", [TARGET_CONNECTION] = "connection", [TARGET_ALL] = "all",
    };
    if (to->kind == TARGET_SERVER) {
        command_add_arguments(stream->invocation, own_arguments, json);
        return target_count(stream->invocation) > 0;
    }
    json_key(json, names[to->kind]);
    if (to->kind == TARGET_ALL)
        json_add_bool(json, true);
    else
        json_add_string(json, to->name);
    return true;
}

/* Each line has its own, and the same one when the whole stream comes again. */
static void stream_add_key(const struct stream *stream, struct json_writer *json)
{
    const char *key = arguments_value(stream->invocation, "idempotencyKey");
    struct buf numbered = {0};
    if (!key)
        return;
    buf_add_format(&numbered, "%s:%llu", key, (unsigned long long)stream->line_count);
    json_key(json, "idempotencyKey");
    json_add_string(json, buf_bytes(&numbered));
    buf_done(&numbered);
}

/* {"eventName":…,"data":…,"to":…} → the request's data. */
static bool stream_convert(struct stream *stream, struct bytes line)
{
    struct envelope envelope;
    struct fault fault = {0};
    if (codecs[CODEC_JSON]->decode(line, &stream->scratch, &envelope, &fault) != DECODE_DONE) {
        stream_refuse(stream, stream->line_count, bytes_text(fault_message(&fault)));
        return false;
    }
    buf_clear(&stream->request);
    struct json_writer json = json_writer(&stream->request);
    json_begin_object(&json);
    if (!stream_add_target(stream, &envelope.to, &json)) {
        stream_refuse(stream, stream->line_count, BYTES("it says to whom neither in \"to\" nor does the command line"));
        return false;
    }
    stream_add_key(stream, &json);
    json_key(&json, "event");
    json_add_string(&json, envelope.event_name);
    json_key(&json, "data");
    json_add_raw(&json, envelope.data);
    if (envelope.key.length) {
        json_key(&json, "key");
        json_add_string(&json, envelope.key);
    }
    json_end_object(&json);
    if (stream->request.length <= LINE_MAX_BYTES - AROUND_BYTES)
        return true;
    stream_refuse(stream, stream->line_count, BYTES("it is too long: what is sent for it would have more than 1MiB"));
    return false;
}

static void stream_take_line(struct stream *stream, struct bytes line)
{
    stream->line_count++;
    while (line.length && (line.data[line.length - 1] == '\r' || line.data[line.length - 1] == ' '))
        line.length--;
    if (line.length == 0)
        return;
    stream->asked++;
    if (stream_convert(stream, line))
        session_ask(stream->session, "publish", stream->line_count, buf_bytes(&stream->request));
}

static bool stream_has_room(const struct stream *stream)
{
    return stream_in_flight(stream) < WINDOW && stream->session->out.length < WINDOW_BYTES;
}

/* A line that cannot be sent is not kept either: it is told, and the next one goes on. */
static void stream_skip(struct stream *stream)
{
    if (!stream->is_skipping) {
        stream->asked++;
        stream_refuse(stream, ++stream->line_count, BYTES("it is longer than 1MiB"));
    }
    const unsigned char *end = memchr(stream->in.data, '\n', stream->in.length);
    stream->is_skipping = !end;
    buf_consume(&stream->in, end ? (size_t)(end + 1 - stream->in.data) : stream->in.length);
}

/* Sends the whole lines that have come, as far as the window has room. */
static void stream_take_lines(struct stream *stream)
{
    size_t used = 0;
    if (stream->is_skipping && stream->in.length)
        stream_skip(stream);
    while (stream_has_room(stream) && used < stream->in.length) {
        const unsigned char *end = memchr(stream->in.data + used, '\n', stream->in.length - used);
        if (!end && !stream->is_over)
            break;
        size_t length = end ? (size_t)(end - stream->in.data) - used : stream->in.length - used;
        stream_take_line(stream, bytes_of(stream->in.data + used, length));
        used += length + (end != NULL);
    }
    buf_consume(&stream->in, used);
}

static void stream_take_reply(struct stream *stream, struct bytes line)
{
    struct reply reply;
    if (reply_read(line, &reply) == 0) {
        if (reply.id && reply.code.data)
            stream_refuse(stream, reply.id, reply.message);
        else if (reply.id)
            stream->published++;
        else if (reply.code.data)
            reply_fail(&reply);     /* what ends the connection */
    }
    reply_done(&reply);
}

static int stream_read_input(struct stream *stream)
{
    unsigned char *room = buf_room(&stream->in, 65536);
    ssize_t got = room ? read(STDIN_FILENO, room, 65536) : -1;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : EX_IOERR;
    stream->is_over = got == 0;
    stream->in.length += (size_t)got;
    return 0;
}

static bool stream_wants_input(const struct stream *stream)
{
    return !stream->is_over && stream_has_room(stream) && stream->in.length <= LINE_MAX_BYTES;
}

int command_publish_stream(const struct invocation *invocation, struct session *session)
{
    struct stream stream = {.invocation = invocation, .session = session};
    int status = 0;
    if (target_count(invocation) > 1)
        return say_to_whom();
    if (arguments_value(invocation, "event") || arguments_value(invocation, "wait")) {
        fprintf(stderr, arguments_value(invocation, "event") ? "rtcctl: with --stream, events and data come from standard input\n"
                : "rtcctl: --wait is for one event, and not for a stream of them\n");
        return EX_USAGE;
    }
    /* Without input and answers to wait for, there is nothing left to do. */
    while (status == 0 && (!stream.is_over || stream.in.length || stream_in_flight(&stream))) {
        struct bytes line;
        bool wants_input = stream_wants_input(&stream), has_input = false;
        status = session_turn(session, wants_input ? STDIN_FILENO : -1, &has_input);
        while (status == 0 && session_line(session, &line)) {
            stream_take_reply(&stream, line);
            session_drop_line(session);
        }
        if (status == 0 && has_input)
            status = stream_read_input(&stream);
        stream_take_lines(&stream);
        if (stream.in.length > LINE_MAX_BYTES && !memchr(stream.in.data, '\n', stream.in.length))
            stream_skip(&stream);
    }
    buf_done(&stream.in);
    buf_done(&stream.scratch);
    buf_done(&stream.request);
    if (isatty(STDERR_FILENO) || stream.refused)
        fprintf(stderr, "published %llu, refused %llu\n", (unsigned long long)stream.published,
                (unsigned long long)stream.refused);
    return status ? status : stream.refused ? EX_DATAERR : 0;
}
