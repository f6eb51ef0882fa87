/*
 * Notice: see notice.h. An envelope in JSON, with a header `from` where it speaks of a connection, whatever that one's protocol is. The
 * data stands last, and its numbers last in it: they are known only when all else is written.
 */
#include "daemon/core/notice.h"

#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "lib/json.h"
#include "lib/transcode.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBERS_MAX = 128 };             /* ,"epoch":"…","sequence":…,"generation":…}} */
_Static_assert(NUMBERS_MAX > LIFECYCLE_EPOCH_TEXT + 2 * 20 + 40, "the numbers fit");

static const char *const kind_names[NOTICE_KIND_COUNT] = {
    [NOTICE_GAP] = "rtc.gap",
    [NOTICE_EPOCH] = "rtc.epoch",
    [NOTICE_CONNECTED] = "rtc.connected",
    [NOTICE_DISCONNECTED] = "rtc.disconnected",
    [NOTICE_ONLINE] = "rtc.online",
    [NOTICE_OFFLINE] = "rtc.offline",
    [NOTICE_OCCUPIED] = "rtc.occupied",
    [NOTICE_VACATED] = "rtc.vacated",
};

const char *notice_kind_name(enum notice_kind kind)
{
    return kind_names[kind];
}

static struct bytes notice_keep(char **end, struct bytes text)
{
    char *start = *end;
    if (text.length)
        memcpy(start, text.data, text.length);
    *end += text.length;
    return bytes_of(start, text.length);
}

struct notice *notice_new(const struct notice_draft *draft, uint64_t time_ms)
{
    struct bytes name = draft->kind == NOTICE_EVENT ? draft->name : bytes_text(kind_names[draft->kind]);
    struct notice *notice = !draft->json.length ? NULL : malloc(sizeof(*notice) + name.length + draft->user.length + draft->group.length + UUID_TEXT + 1
                                   + draft->json.length + NUMBERS_MAX);
    if (!notice)
        return NULL;
    char *end = notice->bytes;
    *notice = (struct notice){.kind = draft->kind, .generation = draft->generation, .time_ms = time_ms};
    notice->name = notice_keep(&end, name);
    notice->user = notice_keep(&end, draft->user);
    notice->group = notice_keep(&end, draft->group);
    if (draft->connection) {
        uuid_print(draft->connection, end);
        notice->connection = bytes_of(end, UUID_TEXT);
        end += UUID_TEXT;
    }
    notice->json = notice_keep(&end, draft->json);
    return notice;
}

void notice_number(struct notice *notice, const char *epoch, uint64_t sequence)
{
    /* The text is ours, and there is room behind it. */
    char *end = notice->bytes + (notice->json.data - (const unsigned char *)notice->bytes) + notice->json.length;
    bool is_first = end[-1] == '{';
    if (notice->kind == NOTICE_ONLINE)
        notice->generation = sequence;
    int length = snprintf(end, NUMBERS_MAX, "%s\"epoch\":\"%s\",\"sequence\":%llu", is_first ? "" : ",", epoch, (unsigned long long)sequence);
    if (notice->generation)
        length += snprintf(end + length, (size_t)(NUMBERS_MAX - length), ",\"generation\":%llu", (unsigned long long)notice->generation);
    length += snprintf(end + length, (size_t)(NUMBERS_MAX - length), "}}");
    notice->sequence = sequence;
    notice->json.length += (size_t)length;
}

void notice_add_identity(struct json_writer *json, const struct connection *connection)
{
    char id[UUID_TEXT + 1];
    struct bytes user = connection_user(connection);
    uuid_print(&connection->id, id);
    json_key(json, "connectionId");
    json_add_text(json, id);
    json_key(json, "userId");
    if (user.length)
        json_add_string(json, user);
    else
        json_add_null(json);
}

void notice_add_member(struct json_writer *json, const struct connection *connection)
{
    const struct labels *labels = labels_find(connection->hub, connection);
    json_begin_object(json);
    notice_add_identity(json, connection);
    if (labels && labels->info.length) {
        json_key(json, "info");
        json_add_raw(json, labels->info);
    }
    json_end_object(json);
}

void notice_add_sender(struct json_writer *json, const struct connection *connection)
{
    const struct labels *labels = labels_find(connection->hub, connection);
    json_begin_object(json);
    notice_add_identity(json, connection);
    if (labels && labels->labels.length) {
        json_key(json, "labels");
        json_add_raw(json, labels->labels);
    }
    json_end_object(json);
}

static struct json_writer notice_begin(struct buf *out, struct bytes name, const struct connection *connection)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, name);
    json_key(&json, "from");
    notice_add_sender(&json, connection);
    return json;
}

static struct notice_draft notice_draft(struct connection *connection, enum notice_kind kind, const struct buf *json)
{
    return (struct notice_draft){.kind = kind, .user = connection_user(connection), .connection = &connection->id,
                                 .generation = connection->user ? connection->user->place->generation : 0,
                                 .json = buf_status(json) == 0 ? buf_bytes(json) : (struct bytes){0}};
}

static void notice_send(struct connection *connection, enum notice_kind kind, struct buf *json)
{
    struct notice_draft draft = notice_draft(connection, kind, json);
    lifecycle_tell(&connection->hub->exchange->lifecycle, &draft);
    buf_done(json);
}

/* Of a user or a group. Returns the number. */
static uint64_t notice_send_place(struct lifecycle *lifecycle, enum notice_kind kind, const struct place *place)
{
    bool is_user = place->space == SPACE_USER;
    struct buf out = {0};
    struct json_writer json = json_writer(&out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, kind_names[kind]);
    json_key(&json, "data");
    json_begin_object(&json);
    json_key(&json, is_user ? "userId" : "group");
    json_add_string(&json, place_name(place));
    struct notice_draft draft = {.kind = kind};
    if (buf_status(&out) == 0)
        draft.json = buf_bytes(&out);
    *(is_user ? &draft.user : &draft.group) = place_name(place);
    draft.generation = is_user ? place->generation : 0;
    uint64_t sequence = lifecycle_tell(lifecycle, &draft);
    buf_done(&out);
    return sequence;
}

uint64_t notice_online(struct lifecycle *lifecycle, const struct place *user)
{
    uint64_t generation = lifecycle_skip(lifecycle, NOTICE_ONLINE);
    return generation ? generation : notice_send_place(lifecycle, NOTICE_ONLINE, user);
}

void notice_offline(struct lifecycle *lifecycle, const struct place *user)
{
    if (lifecycle_wants(lifecycle, NOTICE_OFFLINE))
        notice_send_place(lifecycle, NOTICE_OFFLINE, user);
}

void notice_occupied(struct lifecycle *lifecycle, const struct place *group)
{
    if (lifecycle_wants(lifecycle, NOTICE_OCCUPIED))
        notice_send_place(lifecycle, NOTICE_OCCUPIED, group);
}

void notice_vacated(struct lifecycle *lifecycle, const struct place *group)
{
    if (lifecycle_wants(lifecycle, NOTICE_VACATED))
        notice_send_place(lifecycle, NOTICE_VACATED, group);
}

void notice_connected(struct connection *connection)
{
    if (!lifecycle_wants(&connection->hub->exchange->lifecycle, NOTICE_CONNECTED))
        return;
    struct buf out = {0};
    char address[PEER_TEXT_MAX];
    peer_address_print(&connection->address, address);
    struct json_writer json = notice_begin(&out, BYTES("rtc.connected"), connection);
    json_key(&json, "data");
    json_begin_object(&json);
    json_key(&json, "transport");
    json_add_text(&json, connection->transport ? connection->transport->name : NULL);
    json_key(&json, "protocol");
    json_add_text(&json, codecs[connection->codec]->name);
    json_key(&json, "address");
    json_add_text(&json, address);
    notice_send(connection, NOTICE_CONNECTED, &out);
}

void notice_disconnected(struct connection *connection, const struct fault *why)
{
    if (!lifecycle_wants(&connection->hub->exchange->lifecycle, NOTICE_DISCONNECTED))
        return;
    struct buf out = {0};
    struct json_writer json = notice_begin(&out, BYTES("rtc.disconnected"), connection);
    json_key(&json, "data");
    json_begin_object(&json);
    json_key(&json, "reason");
    json_add_text(&json, fault_rows[why->id].name);
    if (why->detail[0]) {
        json_key(&json, "detail");
        json_add_text(&json, why->detail);
    }
    notice_send(connection, NOTICE_DISCONNECTED, &out);
}

bool notice_event(struct connection *connection, const struct envelope *envelope)
{
    struct hub *hub = connection->hub;
    if (!lifecycle_wants(&hub->exchange->lifecycle, NOTICE_EVENT))
        return false;
    struct buf out = {0}, data = {0};
    if (envelope->data_codec == CODEC_MSGPACK && envelope->data.length
        && transcode_to_json(&data, envelope->data, NULL) < 0)
        buf_clear(&data);

    struct json_writer json = notice_begin(&out, envelope->event_name, connection);
    json_key(&json, "data");
    json_add_raw(&json, envelope->data_codec == CODEC_MSGPACK ? buf_bytes(&data) : envelope->data);
    if (envelope->id) {
        json_key(&json, "id");
        json_add_uint(&json, envelope->id);
    }
    json_end_object(&json);
    buf_done(&data);
    struct notice_draft draft = notice_draft(connection, NOTICE_EVENT, &out);
    draft.name = envelope->event_name;
    bool is_sent = lifecycle_pass(&hub->exchange->lifecycle, &draft) == 0;
    buf_done(&out);
    if (!is_sent)
        metrics_add(&hub->metrics, METRIC_LISTEN_DROPPED, 1);
    return is_sent;
}
