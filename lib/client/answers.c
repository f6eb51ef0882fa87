/*
 * Answers: what becomes of requests: an rtc.reply, or a connection that could not be resumed. See requests.c for their way out.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"
#include "lib/json.h"

/* The `error` of an rtc.reply. */
static void read_refusal(struct bytes json, struct rtc_error *ret)
{
    struct buf scratch = {0}, scratch_too = {0};
    struct bytes code = {0}, message = {0};
    if (json_string(json_member(json, "code"), &scratch, &code) < 0)
        code = BYTES("internal");
    if (json_string(json_member(json, "message"), &scratch_too, &message) < 0)
        message = BYTES("the server gives no reason");
    error_set_named(ret, code, message);
    buf_done(&scratch);
    buf_done(&scratch_too);
}

static void note_join(struct rtc_client *client, const struct reply *reply, const struct rtc_error *error, struct bytes json)
{
    struct group *group = groups_find(&client->groups, bytes_text(reply->group));
    if (!group || group->join_id != reply->id)
        return;
    group->join_id = 0;
    if (error->code == RTC_OK) {
        group_note_joined(group, json);
        return;
    }
    if (group->is_joined)
        client_log(client, RTC_LOG_WARNING, "the group \"%s\" was not joined again: %s", reply->group, error->message);
    groups_remove(&client->groups, group);
}

/* json NULL: `error` says why. */
static void reply_tell(struct rtc_client *client, const struct reply *reply, const struct rtc_error *error, const char *json)
{
    bool is_running = client->state != RTC_STATE_STOPPED;
    if (reply->on_reply)
        reply->on_reply(client, error, json, reply->argument);
    if (reply->is_again && is_running && client->life.on_rejoined)
        client->life.on_rejoined(client, reply->group, error, json, client->life_argument);
}

void requests_answer(struct rtc_client *client, const struct rtc_envelope *envelope)
{
    struct reply *reply = replies_take(&client->replies, envelope->id);
    struct bytes json = envelope->json.length ? bytes_from(envelope->json) : BYTES("null");
    struct buf *text = &client->carry.text;
    struct rtc_error error = {0};
    if (!reply) {
        client_log(client, RTC_LOG_DEBUG, "an answer came for which nobody waits any more");
        return;
    }
    requests_arm(client);
    if (envelope->is_error)
        read_refusal(json, &error);
    if (reply->kind == REPLY_JOIN)
        note_join(client, reply, &error, json);
    buf_clear(text);
    buf_add_bytes(text, json);
    buf_add_byte(text, '\0');
    if (error.code == RTC_OK && buf_status(text) < 0)
        error_no_memory(&error);
    if (error.code != RTC_OK)
        client->error = error;
    reply_tell(client, reply, &error, error.code == RTC_OK ? (const char *)text->data : NULL);
    reply_free(reply);
}

void requests_fail_all(struct rtc_client *client, struct replies *failed, const struct rtc_error *why)
{
    static const struct rtc_error no_error;
    struct reply *reply;
    while ((reply = replies_take_first(failed))) {
        /* On a new connection, who wanted to leave a group is not in it. */
        bool has_left = reply->kind == REPLY_LEAVE && why->code == RTC_CONNECTION_LOST;
        reply_tell(client, reply, has_left ? &no_error : why, has_left ? "null" : NULL);
        reply_free(reply);
    }
}

/* In front of all that waits: what is to be published in the group needs its membership. */
static void join_again(struct rtc_client *client, struct group *group, size_t *at)
{
    struct reply *reply = group->join_id ? replies_find(&client->replies, group->join_id) : NULL;
    struct buf data = {0};
    struct sent *sent = NULL;
    if (!reply) {
        reply = requests_expect(client, REPLY_JOIN, group->name, 0, NULL, NULL);
        if (reply)
            replies_add(&client->replies, reply);
    }
    group_add_join(group, &data);
    struct rtc_envelope envelope = {.event_name = bytes_to(BYTES("rtc.join")), .json = bytes_to(buf_bytes(&data)), .id = reply ? reply->id : 0};
    if (reply && buf_status(&data) == 0 && sent_new(&envelope, client->link->codec, &sent) == RTC_OK) {
        sent_queue_push_early(&client->sent, sent, at);
        group->join_id = reply->id;
        reply->is_again = true;
    } else {
        client_log(client, RTC_LOG_ERROR, "out of memory: the group \"%s\" is not joined again", group->name);
    }
    buf_done(&data);
}

/* Does this request go on, as a join that was sent again? */
static bool is_sent_again(const struct rtc_client *client, const struct reply *reply)
{
    const struct group *group = reply->kind == REPLY_JOIN ? groups_find(&client->groups, bytes_text(reply->group)) : NULL;
    return group && group->join_id == reply->id;
}

void requests_restart(struct rtc_client *client, struct list *lost, struct replies *ret_failed)
{
    size_t at = 0;
    LIST_EACH(item, &client->groups.list) {
        struct group *group = CONTAINER_OF(item, struct group, node);
        if (!group->join_id || !sent_queue_has_unsent(&client->sent, group->join_id))
            join_again(client, group, &at);
    }
    LIST_EACH(item, lost) {
        struct sent *sent = CONTAINER_OF(item, struct sent, node);
        struct reply *reply = sent->envelope.id ? replies_find(&client->replies, sent->envelope.id) : NULL;
        if (reply && !is_sent_again(client, reply)) {
            list_remove(&reply->node);
            replies_add(ret_failed, reply);
        }
        list_remove(&sent->node);
        sent_free(sent);
    }
    requests_arm(client);
}
