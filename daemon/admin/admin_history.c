/*
 * What groups remember: history, clear history.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/config/groups.h"
#include "daemon/core/archive.h"
#include "daemon/core/message.h"
#include "lib/text.h"

#include <stdio.h>

/* A page holds the largest envelope there can be. */
enum { HISTORY_LAST = 100, HISTORY_ROWS_MAX = 10000, HISTORY_PAGE_BYTES = 128 * 1024 * 1024 };

/* EPOCH:OFFSET. */
static bool history_read_since(struct bytes text, struct catch_up *ret)
{
    const unsigned char *colon = memchr(text.data, ':', text.length);
    if (!colon)
        return false;
    ret->epoch = bytes_of(text.data, (size_t)(colon - text.data));
    return ret->epoch.length && text_parse_uint(bytes_of(colon + 1, text.length - ret->epoch.length - 1), &ret->offset) == 0;
}

static int history_add_row(struct json_writer *json, const char *epoch, const struct message *message)
{
    char position[HISTORY_EPOCH_TEXT + 24];
    struct buf text = {0};
    struct envelope envelope = {.event_name = message->envelope.event_name, .data = message->envelope.data,
                                .data_codec = message->envelope.data_codec};
    int r = codecs[CODEC_JSON]->encode(&text, &envelope);
    snprintf(position, sizeof(position), "%s:%llu", epoch, (unsigned long long)message->envelope.offset);
    json_begin_array(json);
    json_add_text(json, position);
    json_add_string(json, envelope.event_name);
    json_add_string(json, message->envelope.key);
    json_add_raw(json, r == 0 ? json_member(buf_bytes(&text), "data") : (struct bytes){0});
    json_end_array(json);
    buf_done(&text);
    return r == -ENOMEM ? r : 0;
}

/* Where to go on: since the last one of the page. */
static void history_add_cursor(const struct catch_up *page, struct json_writer *json)
{
    struct buf position = {0};
    buf_add_format(&position, "%s:%llu", page->now_epoch, (unsigned long long)page->messages[page->count - 1]->envelope.offset);
    json_key(json, "cursor");
    json_add_string(json, buf_bytes(&position));
    buf_done(&position);
}

static void history_answer(struct admin_call *call, const struct catch_up *found)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    int r = 0;
    json_begin_object(&json);
    json_key(&json, "epoch");
    json_add_text(&json, found->now_epoch);
    json_key(&json, "offset");
    json_add_uint(&json, found->now_offset);
    json_key(&json, "recovered");
    json_add_bool(&json, found->is_complete);
    json_key(&json, "rows");
    json_begin_array(&json);
    for (uint32_t i = 0; i < found->count && r == 0; i++)
        r = history_add_row(&json, found->now_epoch, found->messages[i]);
    json_end_array(&json);
    if (found->has_more)
        history_add_cursor(found, &json);
    json_end_object(&json);
    if (r < 0 || buf_status(&data) < 0)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply_made(&call->back, &data);
    buf_done(&data);
}

static const struct config *history_config(const struct admin_call *call)
{
    return call->host->config(call->host->argument);
}

static void history_refuse(struct admin_call *call, struct bytes group)
{
    const struct group_rule *rule = config_group_rule(history_config(call), group);
    admin_refuse(&call->back, FAULT_NOT_FOUND, "%s", rule && rule->history.envelopes
                 ? "this group remembers nothing yet: nobody has joined it or published to it, or not for so long that it was forgotten"
                 : "this group remembers nothing; history-envelopes, in a rule of groups, makes it");
}

static bool history_read(const struct admin_call *call, struct bytes group, struct catch_up *asked)
{
    const struct exchange *exchange = call->host->exchange;
    return archive_read(exchange->directory, group, history_config(call), exchange->ports.now_ms(exchange->ports.argument), asked);
}

/* Values are of use together: without --last all of them are meant. */
static void history_show(struct admin_call *call, struct bytes group, bool is_counted, struct catch_up *asked)
{
    bool is_there = history_read(call, group, asked);
    if (is_there && asked->is_snapshot && !asked->is_complete && !is_counted) {
        catch_up_done(asked);
        asked->last = HISTORY_ROWS_MAX;
        is_there = history_read(call, group, asked);
    }
    if (is_there)
        history_answer(call, asked);
    else
        history_refuse(call, group);
    catch_up_done(asked);
}

void admin_history(struct admin_call *call)
{
    struct bytes group, since = {0};
    struct catch_up asked = {.last = HISTORY_LAST, .count_max = HISTORY_ROWS_MAX, .takes_pages = true};
    int is_counted = -1;
    if (admin_text(call, "group", &group) <= 0 || admin_text(call, "since", &since) < 0
        || (is_counted = admin_number(call, "last", &asked.last)) < 0)
        return;
    if (since.length && !history_read_since(since, &asked)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "--since is EPOCH:OFFSET, such as an earlier reply said them");
        return;
    }
    if (asked.last == 0 || asked.last > HISTORY_ROWS_MAX) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "--last is from 1 to %d; --since shows everything, page by page", HISTORY_ROWS_MAX);
        return;
    }
    asked.bytes_max = since.length ? HISTORY_PAGE_BYTES : UINT64_MAX;
    history_show(call, group, is_counted > 0, &asked);
}

void admin_clear_history(struct admin_call *call)
{
    struct bytes group;
    if (admin_text(call, "group", &group) <= 0)
        return;
    struct keeper *keeper = call->host->exchange->directory->keeper;
    struct keeper_wait wait = {.client = call->back.client, .id = call->back.id, .recipients = KEEPER_NOBODY, .kept = call->back.kept};
    if (!archive_clear(call->host->exchange->directory, group))
        history_refuse(call, group);
    else if (!keeper || !call->back.id || !keeper->wait(keeper, keeper->told(keeper), &wait))
        admin_reply(&call->back, (struct bytes){0});
}
