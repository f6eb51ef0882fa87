/*
 * Admin call: see admin_call.h. Rights and arguments are checked here, once, from the command's row.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/admin/admin_client.h"
#include "daemon/admin/admin_keep.h"

#include <stdarg.h>
#include <stdio.h>

static void (*const handlers[ADMIN_COMMAND_COUNT])(struct admin_call *call) = {
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) [ADMIN_##id] = admin_##id,
#include "lib/admin_commands.def"
#undef ADMIN_COMMAND
};

static void admin_answer(const struct admin_return *back, const char *key, struct bytes json)
{
    struct admin_client *client = admin_find_client(back->admin, back->client);
    struct buf *line = &back->admin->line;
    if (!client)
        return;
    buf_clear(line);
    if (back->id) {
        buf_add_bytes(line, BYTES("{\"eventName\":\"rtc.reply\",\"id\":"));
        buf_add_decimal(line, back->id);
    } else {
        buf_add_bytes(line, BYTES("{\"eventName\":\"rtc.error\""));
    }
    buf_add_bytes(line, BYTES(",\""));
    buf_add_text(line, back->id ? key : "data");
    buf_add_bytes(line, BYTES("\":"));
    buf_add_bytes(line, json.length ? json : BYTES("null"));
    buf_add_byte(line, '}');
    if (buf_status(line) == 0)
        admin_client_send(client, buf_bytes(line));
    else
        admin_client_fail(client);
}

/* The client, where it is a call over HTTP. */
static struct admin_client *admin_find_call(const struct admin_return *back)
{
    struct admin_client *client = admin_find_client(back->admin, back->client);
    return client && client->call ? client : NULL;
}

void admin_reply(const struct admin_return *back, struct bytes json)
{
    if (back->kept)
        admin_keep_end(back->admin, back->kept, json);
    struct admin_client *call = admin_find_call(back);
    if (call) {
        admin_api_answer(call, FAULT_NONE, json);
        return;
    }
    if (back->id)
        admin_answer(back, "data", json);
}

void admin_reply_made(const struct admin_return *back, struct buf *json)
{
    if (buf_status(json) < 0)
        admin_refuse(back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(back, buf_bytes(json));
    buf_done(json);
}

void admin_refuse(const struct admin_return *back, enum fault_id id, const char *format, ...)
{
    char message[2048];
    va_list arguments;
    if (back->kept)
        admin_keep_drop(back->admin, back->kept);
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct admin_client *call = admin_find_call(back);
    if (call) {
        admin_api_answer(call, id, bytes_text(message));
        return;
    }
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "code");
    json_add_text(&json, fault_rows[id].code);
    json_key(&json, "message");
    json_add_text(&json, message[0] ? message : fault_rows[id].sentence);
    json_end_object(&json);
    struct admin_client *client = admin_find_client(back->admin, back->client);
    if (buf_status(&data) == 0)
        admin_answer(back, "error", buf_bytes(&data));
    else if (client)
        admin_client_fail(client);
    buf_done(&data);
}

struct bytes admin_value(const struct admin_call *call, const char *name)
{
    struct bytes wanted = bytes_text(name);
    for (unsigned i = 0; i < call->value_count; i++) {
        const struct admin_argument *argument = call->values[i].argument;
        if (bytes_equal(wanted, bytes_of(argument->name, argument->name_length)))
            return call->values[i].value;
    }
    return (struct bytes){0};
}

int admin_text(struct admin_call *call, const char *name, struct bytes *ret)
{
    struct bytes value = admin_value(call, name);
    if (json_type(value) == JSON_NULL)
        return 0;
    if (json_string(value, call->decoded, ret) == 0)
        return 1;
    admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s must be a string", name);
    return -EINVAL;
}

int admin_number(struct admin_call *call, const char *name, uint64_t *ret)
{
    struct bytes value = admin_value(call, name), text;
    if (json_type(value) == JSON_NULL)
        return 0;
    bool is_number = json_uint(value, ret) == 0
        || (json_string(value, call->decoded, &text) == 0 && text_parse_uint(text, ret) == 0);
    if (is_number)
        return 1;
    admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s must be a whole number", name);
    return -EINVAL;
}

bool admin_flag(const struct admin_call *call, const char *name)
{
    bool value;
    return json_bool(admin_value(call, name), &value) == 0 && value;
}

static bool call_has(const struct admin_call *call, const struct admin_argument *argument)
{
    for (unsigned i = 0; i < call->value_count; i++)
        if (call->values[i].argument == argument)
            return true;
    return false;
}

/* One member of the data; false: the call was refused. Of a name given twice, the first counts. */
static bool call_take_value(struct admin_call *call, const struct admin_grammar *grammar, struct bytes key, struct bytes value)
{
    struct bytes name;
    const struct admin_argument *argument = json_string(key, call->decoded, &name) == 0 ? admin_grammar_find(grammar, name) : NULL;
    if (!argument) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%.*s is no argument of %s", (int)MIN(key.length, (size_t)64),
                     (const char *)key.data, call->command->words);
        return false;
    }
    bool is_true;
    if (!argument->takes_value && json_type(value) != JSON_NULL && json_bool(value, &is_true) < 0) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s must be true or false", argument->name);
        return false;
    }
    if (!call_has(call, argument))
        call->values[call->value_count++] = (struct admin_value){argument, value};
    return true;
}

/* Reads the arguments. Is everything there that must be, and nothing else? Refuses the call if not. */
static bool call_take_values(struct admin_call *call, const struct admin_grammar *grammar)
{
    struct json_scan scan;
    struct bytes key, value;
    buf_clear(call->decoded);
    if (!buf_room(call->decoded, call->data.length + 1)) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return false;
    }
    json_scan_init(&scan, call->data.length ? call->data : BYTES("{}"));
    int r = json_enter(&scan, '{');
    while (r == 0 && json_next_member(&scan, JSON_DEPTH_MAX, &key, &value) == 1)
        if (!call_take_value(call, grammar, key, value))
            return false;
    for (unsigned i = 0; i < grammar->count; i++) {
        const struct admin_argument *argument = &grammar->arguments[i];
        if (argument->is_optional || json_type(admin_value(call, argument->name)) != JSON_NULL)
            continue;
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s is missing: %s %s", argument->name, call->command->words,
                     call->command->synopsis);
        return false;
    }
    return true;
}

static void call_refuse_level(const struct admin_call *call, const struct admin_client *client)
{
    const char *needed = admin_access_name(call->command->access), *had = admin_access_name(client->peer.access);
    if (client->call)
        admin_refuse(&call->back, FAULT_FORBIDDEN, "%s needs the level %s, and this API key has %s", call->command->words, needed, had);
    else
        admin_refuse(&call->back, FAULT_FORBIDDEN, "%s needs the level %s, and you (uid %u) have %s (by %s); %s grants it", call->command->words,
                     needed, client->peer.uid, had, client->peer.by, admin_access_option(call->command->access));
}

static void call_dispatch(struct admin_call *call, const struct admin_client *client, struct bytes event_name)
{
    call->command = admin_command_by_event(event_name);
    if (!call->command) {
        admin_refuse(&call->back, FAULT_UNSUPPORTED, "there is no command %.*s; see rtcctl help", (int)MIN(event_name.length, (size_t)64),
                     (const char *)event_name.data);
    } else if (client->is_barred) {
        admin_refuse(&call->back, FAULT_FORBIDDEN, "since the last reload you may not use this socket any more");
    } else if (client->peer.access < call->command->access) {
        call_refuse_level(call, client);
    } else if (call->data.length && json_type(call->data) != JSON_OBJECT) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "data must be an object with the arguments");
    } else if (call_take_values(call, &call->back.admin->grammars[call->command - admin_commands]) && admin_keep_begin(call, client)) {
        handlers[call->command - admin_commands](call);
        if (call->must_wait && call->back.kept)
            admin_keep_drop(call->back.admin, call->back.kept);
    }
}

int admin_call_take(struct admin *admin, struct admin_client *client, struct bytes line)
{
    struct envelope envelope;
    struct fault fault = {0};
    struct admin_call call = {.back = {.admin = admin, .client = client->id}, .host = &admin->host, .decoded = &admin->decoded};
    enum decode result = codecs[CODEC_JSON]->decode(line, &admin->scratch, &envelope, &fault);
    call.back.id = envelope.id;
    call.data = envelope.data;
    if (result == DECODE_DONE)
        call_dispatch(&call, client, envelope.event_name);
    else
        admin_refuse(&call.back, fault.id, "%s", fault_message(&fault));
    return call.must_wait ? -EAGAIN : 0;
}

int admin_call_run(struct admin *admin, struct admin_client *client, struct bytes event_name, struct bytes data, struct bytes key)
{
    struct admin_call call = {.back = {.admin = admin, .client = client->id, .id = 1}, .host = &admin->host, .decoded = &admin->decoded,
                              .data = data, .key = key};
    call_dispatch(&call, client, event_name);
    return call.must_wait ? -EAGAIN : 0;
}

bool admin_is_waited_for(const struct admin_return *back)
{
    return admin_find_client(back->admin, back->client) != NULL;
}

const struct admin_peer *admin_peer_of(const struct admin_call *call)
{
    const struct admin_client *client = admin_find_client(call->back.admin, call->back.client);
    return client ? &client->peer : NULL;
}

struct metrics *admin_metrics(const struct admin_call *call)
{
    return call->host->metrics;
}

int admin_send_visit(const struct admin_host *host, unsigned worker, struct visit *visit)
{
    struct letter letter = {.kind = LETTER_VISIT, .visit = visit};
    visit->is_over = false;
    return host->exchange->ports.post(host->exchange->ports.argument, worker, &letter);
}

