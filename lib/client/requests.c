/*
 * Requests: events that the caller sends, with or without an answer, and the groups it is in. Everything is checked here, at
 * the call: what is queued can be sent.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"
#include "lib/envelope.h"
#include "lib/json.h"

enum { REPLY_MS = 30000 };

static enum rtc_code requests_write(struct rtc_client *client, const struct rtc_envelope *envelope, struct sent **ret)
{
    const struct rtc_codec *codec = client->link ? client->link->codec : client->codecs.list[0];
    size_t message_max = client->session.token ? client->session.message_max : SIZE_MAX;
    const int length = (int)envelope->event_name.length;
    const char *name = envelope->event_name.data;
    enum rtc_code code = sent_new(envelope, codec, ret);
    if (code == RTC_NO_MEMORY)
        return client_fail(client, code, "out of memory");
    /* All JSON has a form in MessagePack; a codec of the caller's own may think otherwise. */
    if (code != RTC_OK)
        return client_fail(client, code, "the codec for %s does not write \"%.*s\"", codec->name, length, name);
    if ((*ret)->text.length <= message_max)
        return RTC_OK;
    size_t size = (*ret)->text.length;
    sent_free(*ret);
    return client_fail(client, RTC_TOO_LARGE, "\"%.*s\" would have %zu bytes, and the server takes %zu; send less at once", length, name,
                       size, message_max);
}

static enum rtc_code requests_queue(struct rtc_client *client, const struct rtc_envelope *envelope)
{
    struct sent *sent;
    if (client->state == RTC_STATE_STOPPED)
        return client_fail(client, RTC_NOT_STARTED, "the client is stopped; rtc_start() it first");
    enum rtc_code code = requests_write(client, envelope, &sent);
    if (code != RTC_OK)
        return code;
    if (!sent_queue_has_room(&client->sent, sent)) {
        sent_free(sent);
        return client_fail(client, RTC_QUEUE_FULL, "%zu envelopes with %zu bytes wait to be sent or acknowledged; see rtc_builder_queue()",
                           client->sent.count, client->sent.weight);
    }
    sent_queue_push(&client->sent, sent);
    carry_flush_soon(client);
    return RTC_OK;
}

/* Fills an envelope of the caller's, whose `json` is one value. */
static enum rtc_code requests_fill(struct rtc_client *client, const struct rtc_target *to, const char *event_name, const char *json,
                                   struct rtc_envelope *ret)
{
    *ret = (struct rtc_envelope){0};
    if (!event_name || !name_is_valid(bytes_text(event_name), EVENT_NAME_MAX))
        return client_fail(client, RTC_BAD_ARGUMENT, "an event's name is 1 to 128 bytes of UTF-8 without control characters");
    if (to) {
        bool has_name = to->kind == RTC_TO_GROUP || to->kind == RTC_TO_USER || to->kind == RTC_TO_CONNECTION;
        if ((unsigned)to->kind > RTC_TO_ALL || (has_name && (!to->name || !name_is_valid(bytes_text(to->name), NAME_MAX_BYTES))))
            return client_fail(client, RTC_BAD_ARGUMENT, "to whom: the name of a group, user or connection is 1 to 255 bytes of UTF-8 without "
                               "control characters");
        if (to->key && !name_is_valid(bytes_text(to->key), KEY_MAX_BYTES))
            return client_fail(client, RTC_BAD_ARGUMENT, "a key is 1 to 128 bytes of UTF-8 without control characters");
        ret->to = (struct rtc_target){to->kind, has_name ? to->name : NULL, to->except_self, to->key};
    }
    ret->event_name = bytes_to(bytes_text(event_name));
    if (!json)
        return RTC_OK;
    struct json_scan scan;
    struct bytes value;
    json_scan_init(&scan, bytes_text(json));
    if (json_take_all(&scan, JSON_DEPTH_MAX - 1, &value) < 0)
        return client_fail(client, RTC_BAD_ARGUMENT, "the data of \"%s\" is no JSON: at byte %zu, %s", event_name,
                           (size_t)(scan.at - scan.start), scan.problem);
    ret->json = bytes_to(value);
    return RTC_OK;
}

enum rtc_code rtc_send(struct rtc_client *client, const char *event_name, const char *json)
{
    return rtc_send_to(client, NULL, event_name, json);
}

enum rtc_code rtc_send_to(struct rtc_client *client, const struct rtc_target *to, const char *event_name, const char *json)
{
    struct rtc_envelope envelope;
    enum rtc_code code = requests_fill(client, to, event_name, json, &envelope);
    /* With rtc_invoke() the server says which of them it takes. */
    if (code == RTC_OK && strncmp(event_name, "rtc.", 4) == 0)
        return client_fail(client, RTC_BAD_ARGUMENT, "event names that begin with rtc. belong to the protocol; choose another than \"%s\"", event_name);
    return code == RTC_OK ? requests_queue(client, &envelope) : code;
}

static void requests_on_timer(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, reply_timer);
    struct reply *reply;
    struct rtc_error why;
    struct replies failed;
    replies_init(&failed);
    while ((reply = replies_take_due(&client->replies, client->io.now_ms))) {
        sent_queue_withdraw(&client->sent, reply->id);
        struct group *group = groups_find(&client->groups, bytes_text(reply->group));
        if (reply->kind == REPLY_JOIN && group && !group->is_joined)
            groups_remove(&client->groups, group);
        replies_add(&failed, reply);
    }
    requests_arm(client);
    error_set(&why, RTC_TIMEOUT, "no answer came in time");
    requests_fail_all(client, &failed, &why);
}

void requests_arm(struct rtc_client *client)
{
    uint64_t due_ms = replies_due_ms(&client->replies), now_ms = client->io.now_ms;
    client->reply_timer.on_due = requests_on_timer;
    if (due_ms == UINT64_MAX)
        io_timer_stop(&client->io, &client->reply_timer);
    else
        io_timer_set(&client->io, &client->reply_timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* Queues a request; the reply is freed when that fails. */
static enum rtc_code requests_ask(struct rtc_client *client, struct rtc_envelope *envelope, struct reply *reply)
{
    if (!reply)
        return client_fail(client, RTC_NO_MEMORY, "out of memory");
    envelope->id = reply->id;
    enum rtc_code code = requests_queue(client, envelope);
    if (code != RTC_OK) {
        reply_free(reply);
        return code;
    }
    replies_add(&client->replies, reply);
    requests_arm(client);
    return RTC_OK;
}

struct reply *requests_expect(struct rtc_client *client, enum reply_kind kind, const char *group, unsigned timeout_ms,
                              rtc_reply_fn *on_reply, void *argument)
{
    struct reply *reply = reply_new(&client->replies, kind, group, client->io.now_ms + (timeout_ms ? timeout_ms : REPLY_MS));
    if (reply) {
        reply->on_reply = on_reply;
        reply->argument = argument;
    }
    return reply;
}

enum rtc_code rtc_invoke(struct rtc_client *client, const struct rtc_target *to, const char *event_name, const char *json,
                         unsigned timeout_ms, rtc_reply_fn *on_reply, void *argument)
{
    struct rtc_envelope envelope;
    enum rtc_code code = requests_fill(client, to, event_name, json, &envelope);
    return code == RTC_OK ? requests_ask(client, &envelope, requests_expect(client, REPLY_INVOKE, "", timeout_ms, on_reply, argument)) : code;
}

static enum rtc_code check_group(struct rtc_client *client, const char *group)
{
    if (group && name_is_valid(bytes_text(group), NAME_MAX_BYTES))
        return RTC_OK;
    return client_fail(client, RTC_BAD_ARGUMENT, "a group's name is 1 to 255 bytes of UTF-8 without control characters");
}

/* The join of a group with this reply: queued as any request, or early on a new connection. */
static enum rtc_code join_fill(struct rtc_client *client, const struct group *group, struct buf *data, struct rtc_envelope *ret)
{
    group_add_join(group, data);
    if (buf_status(data) < 0)
        return client_fail(client, RTC_NO_MEMORY, "out of memory");
    *ret = (struct rtc_envelope){.event_name = bytes_to(BYTES("rtc.join")), .json = bytes_to(buf_bytes(data))};
    return RTC_OK;
}

enum rtc_code rtc_join(struct rtc_client *client, const char *name, const struct rtc_since *since, rtc_reply_fn *on_reply, void *argument)
{
    struct buf data = {0};
    struct rtc_envelope envelope = {0};
    enum rtc_code code = check_group(client, name);
    if (code != RTC_OK)
        return code;
    bool was_there = groups_find(&client->groups, bytes_text(name)) != NULL;
    struct group *group = groups_add(&client->groups, name, since);
    if (!group)
        return client_fail(client, RTC_NO_MEMORY, "out of memory");
    code = join_fill(client, group, &data, &envelope);
    if (code == RTC_OK)
        code = requests_ask(client, &envelope, requests_expect(client, REPLY_JOIN, name, 0, on_reply, argument));
    if (code == RTC_OK)
        group->join_id = client->replies.last_id;
    else if (!was_there)
        groups_remove(&client->groups, group);
    buf_done(&data);
    return code;
}

enum rtc_code rtc_leave(struct rtc_client *client, const char *name, rtc_reply_fn *on_reply, void *argument)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    enum rtc_code code = check_group(client, name);
    if (code != RTC_OK)
        return code;
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_text(&json, name);
    json_end_object(&json);
    struct rtc_envelope envelope = {.event_name = bytes_to(BYTES("rtc.leave")), .json = bytes_to(buf_bytes(&data))};
    code = buf_status(&data) == 0 ? requests_ask(client, &envelope, requests_expect(client, REPLY_LEAVE, name, 0, on_reply, argument))
                                  : client_fail(client, RTC_NO_MEMORY, "out of memory");
    struct group *group = groups_find(&client->groups, bytes_text(name));
    if (code == RTC_OK && group)
        groups_remove(&client->groups, group);
    buf_done(&data);
    return code;
}
