/*
 * Announcer: see announcer.h.
 */
#include "daemon/core/announcer.h"

#include "daemon/config/groups.h"
#include "daemon/core/attendance.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/notice.h"
#include "lib/json.h"

enum { TOLD_PER_TICK = 1000 };          /* groups; the others are told later, so that a worker has time for other things */

static void announcer_put(struct hub *hub, struct attendance *attendance)
{
    attendance->due_ms = hub->now_ms + hub->config->presence.interval_ms;
    list_append(&hub->announcer.due, &attendance->due_node);
    if (!timer_is_set(&hub->announcer.timer))
        timer_set(&hub->wheel, &hub->announcer.timer, attendance->due_ms);
}

static struct message *announcer_message(const char *event, const struct group_rule *rule, const struct attendance_news *news, struct bytes group,
                                         const struct buf *members)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, group);
    if (news->events == PRESENCE_USERS) {
        json_key(&json, "by");
        json_add_text(&json, "users");
    }
    json_key(&json, "count");
    json_add_uint(&json, news->count);
    if (members) {
        json_key(&json, "members");
        json_begin_array(&json);
        buf_add_bytes(&data, buf_bytes(members));
        json_end_array(&json);
    } else if (news->must_ask) {
        json_key(&json, "ask");
        json_add_bool(&json, true);
    }
    json_end_object(&json);
    struct envelope envelope = {.event_name = bytes_text(event), .group = group, .data = buf_bytes(&data), .data_codec = CODEC_JSON};
    struct message *message = buf_status(&data) == 0 ? message_new(&envelope) : NULL;
    /* The newest alone says nothing of those before it: dropped, it has to leave a gap. */
    if (message)
        message_set_slow(message, rule->slow == SLOW_LATEST ? SLOW_DROP_OLDEST : rule->slow);
    buf_done(&data);
    return message;
}

static int announcer_tell(struct hub *hub, struct place *place, const struct group_rule *rule, const struct attendance_news *news,
                          const char *event, const struct buf *members)
{
    struct message *message = announcer_message(event, rule, news, place_name(place), members);
    int r = message ? exchange_tell_members(hub->exchange, place, message) : -ENOMEM;
    if (r == 0)
        metrics_add(&hub->metrics, METRIC_PRESENCE_TOLD, 1);
    message_unref(message);
    return r;
}

/* With the lock held. Without room in a mailbox, or memory, members are told later, and have to ask. */
static void announcer_publish(struct hub *hub, struct place *place, const struct group_rule *rule, struct attendance *attendance)
{
    struct attendance_news news;
    int r = 0;
    attendance_take_news(attendance, hub->config->presence.members, &news);
    if (!news.is_named && news.has_changed)
        r = announcer_tell(hub, place, rule, &news, news.has_grown ? "rtc.joined" : "rtc.left", NULL);
    if (news.is_named && news.left.length)
        r = announcer_tell(hub, place, rule, &news, "rtc.left", &news.left);
    if (news.is_named && news.joined.length && r == 0)
        r = announcer_tell(hub, place, rule, &news, "rtc.joined", &news.joined);
    if (r < 0)
        attendance_lose_news(attendance);
    attendance_news_done(&news);
}

static void announcer_run(struct hub *hub, struct attendance *attendance)
{
    struct place *place = attendance->place;
    const struct group_rule *rule = config_group_rule(hub->config, place_name(place));
    list_remove(&attendance->due_node);
    struct stripe *stripe = directory_lock_place(hub->exchange->directory, place);
    if (place->workers == 0 || !rule || rule->presence_events == PRESENCE_NONE)
        attendance_drop_news(attendance);
    else
        announcer_publish(hub, place, rule, attendance);
    bool is_due = attendance->is_due = attendance_has_news(attendance);
    directory_unlock(stripe);
    if (is_due)
        announcer_put(hub, attendance);
    else
        place_unref(place);
}

static struct attendance *announcer_first(const struct hub *hub)
{
    return CONTAINER_OF(hub->announcer.due.next, struct attendance, due_node);
}

static void on_due(struct timer *timer)
{
    struct hub *hub = CONTAINER_OF(timer, struct hub, announcer.timer);
    const struct list *due = &hub->announcer.due;
    for (unsigned i = 0; i < TOLD_PER_TICK && !list_is_empty(due) && announcer_first(hub)->due_ms <= hub->now_ms; i++)
        announcer_run(hub, announcer_first(hub));
    if (!list_is_empty(due))
        timer_set(&hub->wheel, timer, MAX(announcer_first(hub)->due_ms, hub->now_ms + 1));
}

void announcer_init(struct hub *hub)
{
    list_init(&hub->announcer.due);
    timer_init(&hub->announcer.timer, on_due);
}

void announcer_done(struct hub *hub)
{
    LIST_EACH(node, &hub->announcer.due) {
        list_remove(node);
        place_unref(CONTAINER_OF(node, struct attendance, due_node)->place);
    }
}

static void announcer_add_text(const struct connection *connection, struct buf *out)
{
    struct json_writer json = json_writer(out);
    notice_add_member(&json, connection);
}

static struct attendee announcer_attendee(const struct connection *connection, enum config_presence events, const struct buf *text)
{
    return (struct attendee){.events = events, .id = bytes_of(connection->id.bytes, UUID_BYTES), .user = connection_user(connection),
                             .text = events == PRESENCE_CONNECTIONS ? buf_bytes(text) : (struct bytes){0}};
}

/* Both with the lock held. */
static void announcer_count_out(struct connection *connection, struct membership *membership, const struct buf *text, bool is_news)
{
    struct hub *hub = connection->hub;
    struct attendee attendee = announcer_attendee(connection, (enum config_presence)membership->announced, text);
    attendance_leave(membership->roster->place->attendance, &attendee, hub->config->presence.members, is_news);
    membership->announced = PRESENCE_NONE;
    hub->announcer.member_count--;
}

static void announcer_count_in(struct connection *connection, struct membership *membership, enum config_presence events,
                               const struct buf *text, bool is_news)
{
    struct hub *hub = connection->hub;
    struct place *place = membership->roster->place;
    struct attendee attendee = announcer_attendee(connection, events, text);
    if (!place->attendance)
        place->attendance = attendance_new(place, &hub->exchange->directory->seed);
    if (!place->attendance || attendance_enter(place->attendance, &attendee, hub->config->presence.members, is_news) < 0)
        return;
    membership->announced = (uint8_t)events;
    hub->announcer.member_count++;
}

/* The membership counts as this from now on, and no longer as what it did. `is_news`: it begins, or ends. */
static void announcer_count(struct connection *connection, struct membership *membership, enum config_presence events, bool is_news)
{
    struct hub *hub = connection->hub;
    struct place *place = membership->roster->place;
    struct buf text = {0};
    bool is_due = false;
    if (is_news)
        announcer_add_text(connection, &text);
    struct stripe *stripe = directory_lock_place(hub->exchange->directory, place);
    if (membership->announced != PRESENCE_NONE)
        announcer_count_out(connection, membership, &text, is_news);
    if (events != PRESENCE_NONE && buf_status(&text) == 0)
        announcer_count_in(connection, membership, events, &text, is_news);
    struct attendance *attendance = place->attendance;
    if (attendance && !attendance->is_due)
        is_due = attendance->is_due = attendance_has_news(attendance);
    directory_unlock(stripe);
    if (is_due) {
        place_ref(place);
        announcer_put(hub, attendance);
    }
    buf_done(&text);
}

static enum config_presence announcer_events(const struct hub *hub, struct roster *roster)
{
    const struct group_rule *rule = roster_rule(hub, roster);
    return rule ? rule->presence_events : PRESENCE_NONE;
}

void announcer_join(struct connection *connection, struct membership *membership)
{
    enum config_presence events = announcer_events(connection->hub, membership->roster);
    if (events != PRESENCE_NONE)
        announcer_count(connection, membership, events, true);
}

void announcer_leave(struct connection *connection, struct membership *membership)
{
    announcer_count(connection, membership, PRESENCE_NONE, true);
}

static bool announcer_is_used(const struct hub *hub)
{
    bool is_used = hub->announcer.member_count > 0;
    for (size_t i = 0; i < hub->config->group_count && !is_used; i++)
        is_used = hub->config->groups[i].presence_events != PRESENCE_NONE;
    return is_used;
}

void announcer_take_config(struct hub *hub)
{
    uint32_t end = announcer_is_used(hub) ? hub->slot_count : 0;
    for (uint32_t slot = 0; slot < end; slot++) {
        struct connection *connection = hub->slots[slot];
        for (unsigned i = 0; connection && i < connection->membership_count; i++) {
            struct membership *membership = &connection_memberships(connection)[i];
            enum config_presence events = announcer_events(hub, membership->roster);
            if (events != membership->announced)
                announcer_count(connection, membership, events, false);
        }
    }
}
