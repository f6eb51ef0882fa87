/*
 * Attendance: see attendance.h.
 */
#include "daemon/core/attendance.h"

#include "lib/envelope.h"
#include "lib/json.h"

#include <stdlib.h>

enum { KEY_MAX = 1 + NAME_MAX_BYTES, PENDING_SPARE = 64 };

struct entry {
    struct list node;                   /* in `pending`, or by itself */
    uint32_t count;                     /* connections of the user; of a connection 1 while it is in the group */
    bool is_told;                       /* as far as the members know it is there */
    uint16_t key_length;
    uint32_t text_length;
    unsigned char bytes[];              /* the key: what is announced, then id or name; then the text */
};

static struct bytes entry_key(const void *item)
{
    const struct entry *entry = item;
    return bytes_of(entry->bytes, entry->key_length);
}

static enum config_presence entry_events(const struct entry *entry)
{
    return (enum config_presence)entry->bytes[0];
}

struct attendance *attendance_new(struct place *place, const struct table_seed *seed)
{
    struct attendance *attendance = calloc(1, sizeof(*attendance));
    if (!attendance)
        return NULL;
    attendance->place = place;
    list_init(&attendance->due_node);
    list_init(&attendance->pending);
    table_init(&attendance->entries, seed, entry_key);
    return attendance;
}

void attendance_free(struct attendance *attendance)
{
    if (!attendance)
        return;
    size_t slot = 0;
    for (struct entry *entry; (entry = table_each(&attendance->entries, &slot));)
        free(entry);
    table_done(&attendance->entries);
    free(attendance);
}

static struct bytes attendee_key(const struct attendee *attendee, unsigned char ret[static KEY_MAX])
{
    struct bytes name = attendee->events == PRESENCE_USERS ? attendee->user : attendee->id;
    ret[0] = (unsigned char)attendee->events;
    if (name.length)
        memcpy(ret + 1, name.data, name.length);
    return bytes_of(ret, name.length + 1);
}

static struct entry *entry_new(struct attendance *attendance, struct bytes key, struct bytes text)
{
    struct entry *entry = malloc(sizeof(*entry) + key.length + text.length);
    if (!entry)
        return NULL;
    *entry = (struct entry){.key_length = (uint16_t)key.length, .text_length = (uint32_t)text.length};
    list_init(&entry->node);
    memcpy(entry->bytes, key.data, key.length);
    if (text.length)
        memcpy(entry->bytes + key.length, text.data, text.length);
    if (table_insert(&attendance->entries, entry) < 0) {
        free(entry);
        return NULL;
    }
    return entry;
}

static void attendance_touch(struct attendance *attendance, struct entry *entry)
{
    if (!list_is_empty(&entry->node))
        return;
    list_append(&attendance->pending, &entry->node);
    attendance->pending_count++;
}

/* It is no news, and only remembered where there is something to count. */
static void attendance_settle(struct attendance *attendance, struct entry *entry)
{
    if (!list_is_empty(&entry->node)) {
        list_remove(&entry->node);
        attendance->pending_count--;
    }
    entry->is_told = entry->count > 0;
    if (entry->count == 0 || entry_events(entry) != PRESENCE_USERS) {
        table_remove(&attendance->entries, entry_key(entry));
        free(entry);
    }
}

static void attendance_forget(struct attendance *attendance)
{
    LIST_EACH(node, &attendance->pending)
        attendance_settle(attendance, CONTAINER_OF(node, struct entry, node));
}

static uint32_t attendance_count(const struct attendance *attendance)
{
    return attendance->events == PRESENCE_USERS ? attendance->users : attendance->connections;
}

static void attendance_mark_told(struct attendance *attendance)
{
    attendance->told = attendance->told_low = attendance->told_high = attendance_count(attendance);
}

/* A group is large until it is clearly smaller again, lest it be told from one time to the next to ask. */
static void attendance_measure(struct attendance *attendance, uint64_t named_max)
{
    bool is_large = attendance_count(attendance) > named_max;
    if ((is_large && !attendance->is_large) || attendance->pending_count > 2 * named_max + PENDING_SPARE)
        attendance->is_lost = true;
    attendance->is_large |= is_large;
    if (attendance->is_large || attendance->is_lost)
        attendance_forget(attendance);
}

/* What became of it may be news, if it is not as it was, or if somebody may have seen it otherwise meanwhile. */
static void attendance_weigh(struct attendance *attendance, struct entry *entry, bool is_news)
{
    if (is_news && !attendance->is_large && !attendance->is_lost && (entry->is_told != (entry->count > 0) || attendance->is_asked))
        attendance_touch(attendance, entry);
    else
        attendance_settle(attendance, entry);
}

static bool attendance_keeps(const struct attendance *attendance, const struct attendee *attendee, bool is_news)
{
    if (attendee->events == PRESENCE_USERS)
        return attendee->user.length > 0;
    return is_news && !attendance->is_large && !attendance->is_lost;
}

static void attendance_finish(struct attendance *attendance, const struct attendee *attendee, uint64_t named_max, bool is_news)
{
    attendance->events = (uint8_t)attendee->events;
    attendance_measure(attendance, named_max);
    if (!is_news)
        attendance_mark_told(attendance);
}

int attendance_enter(struct attendance *attendance, const struct attendee *attendee, uint64_t named_max, bool is_news)
{
    unsigned char bytes[KEY_MAX];
    struct bytes key = attendee_key(attendee, bytes);
    if (attendance_keeps(attendance, attendee, is_news)) {
        struct entry *entry = table_find(&attendance->entries, key);
        if (!entry)
            entry = entry_new(attendance, key, attendee->text);
        if (!entry)
            return -ENOMEM;
        if (entry->count++ == 0 && attendee->events == PRESENCE_USERS)
            attendance->users++;
        attendance_weigh(attendance, entry, is_news);
    }
    attendance->connections++;
    attendance_finish(attendance, attendee, named_max, is_news);
    return 0;
}

void attendance_leave(struct attendance *attendance, const struct attendee *attendee, uint64_t named_max, bool is_news)
{
    unsigned char bytes[KEY_MAX];
    struct bytes key = attendee_key(attendee, bytes);
    struct entry *entry = NULL;
    if (attendance_keeps(attendance, attendee, is_news)) {
        entry = table_find(&attendance->entries, key);
        if (!entry && attendee->events == PRESENCE_CONNECTIONS) {
            entry = entry_new(attendance, key, attendee->text);
            if (entry)
                entry->count = entry->is_told = 1;
            else
                attendance->is_lost = true;
        }
    }
    if (entry && entry->count) {
        if (--entry->count == 0 && attendee->events == PRESENCE_USERS)
            attendance->users--;
        attendance_weigh(attendance, entry, is_news);
    }
    attendance->connections--;
    attendance_finish(attendance, attendee, named_max, is_news);
}

/* The number, to all members. */
static bool attendance_is_known(const struct attendance *attendance)
{
    uint32_t count = attendance_count(attendance);
    return count == attendance->told_low && count == attendance->told_high;
}

bool attendance_has_news(const struct attendance *attendance)
{
    return attendance->pending_count || attendance->is_lost || (attendance->is_large && !attendance_is_known(attendance));
}

void attendance_begin_question(struct attendance *attendance)
{
    attendance->asking++;
    attendance->is_asked = true;
}

void attendance_end_question(struct attendance *attendance)
{
    assert(attendance->asking);
    attendance->asking--;
    if (!attendance->asking && !attendance->pending_count)
        attendance->is_asked = false;
}

bool attendance_answer(struct attendance *attendance, bool is_named, uint64_t *ret_count)
{
    uint32_t count = attendance_count(attendance);
    if (attendance->is_large) {
        attendance->told_low = MIN(attendance->told_low, count);
        attendance->told_high = MAX(attendance->told_high, count);
        *ret_count = count;
        return false;
    }
    /* Names are announced, which are of no use to who has not got the others: the next time all are told to ask. */
    if (!is_named)
        attendance->is_lost = true;
    return is_named;
}

static void entry_print(const struct entry *entry, struct buf *out)
{
    if (out->length)
        buf_add_byte(out, ',');
    if (entry->text_length) {
        buf_add(out, entry->bytes + entry->key_length, entry->text_length);
        return;
    }
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "userId");
    json_add_string(&json, bytes_of(entry->bytes + 1, entry->key_length - 1u));
    json_end_object(&json);
}

/* What may be seen otherwise by an answer still under way stays, and is told once more behind it. */
static void attendance_name(struct attendance *attendance, struct attendance_news *news)
{
    LIST_EACH(node, &attendance->pending) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        bool is_here = entry->count > 0, is_ours = entry_events(entry) == attendance->events;
        if (is_ours && (is_here != entry->is_told || attendance->is_asked))
            entry_print(entry, is_here ? &news->joined : &news->left);
        entry->is_told = is_here;
        if (!attendance->asking || !is_ours)
            attendance_settle(attendance, entry);
    }
    if (buf_status(&news->joined) < 0 || buf_status(&news->left) < 0) {
        news->is_named = false;
        attendance->is_lost = true;
    }
}

void attendance_take_news(struct attendance *attendance, uint64_t named_max, struct attendance_news *ret)
{
    uint32_t count = attendance_count(attendance);
    if (attendance->is_large && count <= named_max - named_max / 8) {
        attendance->is_large = false;
        attendance->is_lost = true;
    }
    attendance_measure(attendance, named_max);
    *ret = (struct attendance_news){.events = (enum config_presence)attendance->events, .count = count, .has_grown = count >= attendance->told,
                                    .is_named = !attendance->is_large && !attendance->is_lost};
    if (ret->is_named)
        attendance_name(attendance, ret);
    ret->must_ask = attendance->is_lost && !attendance->is_large;
    ret->has_changed = ret->must_ask || !attendance_is_known(attendance);
    attendance->is_lost = false;
    attendance_mark_told(attendance);
    attendance->is_asked = attendance->asking > 0;
}

void attendance_news_done(struct attendance_news *news)
{
    buf_done(&news->joined);
    buf_done(&news->left);
}

void attendance_drop_news(struct attendance *attendance)
{
    attendance_forget(attendance);
    attendance->is_lost = false;
    attendance_mark_told(attendance);
}

void attendance_lose_news(struct attendance *attendance)
{
    attendance_forget(attendance);
    attendance->is_lost = true;
}
