/*
 * Sent queue: see sent_queue.h.
 */
#include "lib/client/sent_queue.h"

#include <stdlib.h>

#define SENT(item) CONTAINER_OF(item, struct sent, node)

void sent_queue_init(struct sent_queue *queue, size_t count_max, size_t weight_max)
{
    *queue = (struct sent_queue){.count_max = count_max, .weight_max = weight_max, .first = 1};
    list_init(&queue->entries);
    queue->given = &queue->entries;
}

void sent_queue_done(struct sent_queue *queue)
{
    LIST_EACH(item, &queue->entries) {
        list_remove(item);
        sent_free(SENT(item));
    }
    sent_queue_init(queue, queue->count_max, queue->weight_max);
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static struct rtc_bytes sent_keep(char **memory, struct rtc_bytes bytes)
{
    struct rtc_bytes kept = {*memory, bytes.length};
    if (bytes.length)
        memcpy(*memory, bytes.data, bytes.length);
    *memory += bytes.length;
    return kept;
}

enum rtc_code sent_new(const struct rtc_envelope *envelope, const struct rtc_codec *codec, struct sent **ret)
{
    size_t name_size = text_size(envelope->to.name), key_size = text_size(envelope->to.key);
    size_t weight = envelope->event_name.length + envelope->json.length;
    struct sent *sent = calloc(1, sizeof(*sent) + weight + name_size + key_size);
    if (!sent)
        return RTC_NO_MEMORY;
    char *memory = sent->memory;
    list_init(&sent->node);
    sent->weight = weight;
    sent->envelope = (struct rtc_envelope){.id = envelope->id, .to = envelope->to};
    sent->envelope.event_name = sent_keep(&memory, envelope->event_name);
    sent->envelope.json = sent_keep(&memory, envelope->json);
    if (name_size)
        sent->envelope.to.name = sent_keep(&memory, (struct rtc_bytes){envelope->to.name, name_size}).data;
    if (key_size)
        sent->envelope.to.key = sent_keep(&memory, (struct rtc_bytes){envelope->to.key, key_size}).data;
    enum rtc_code code = sent_write(sent, codec);
    if (code != RTC_OK) {
        sent_free(sent);
        return code;
    }
    *ret = sent;
    return RTC_OK;
}

void sent_free(struct sent *sent)
{
    buf_done(&sent->text);
    free(sent);
}

enum rtc_code sent_write(struct sent *sent, const struct rtc_codec *codec)
{
    if (sent->codec == codec)
        return RTC_OK;
    buf_clear(&sent->text);
    enum rtc_code code = codec_encode(codec, &sent->envelope, &sent->text);
    sent->codec = code == RTC_OK ? codec : NULL;
    return code;
}

bool sent_queue_has_room(const struct sent_queue *queue, const struct sent *sent)
{
    return queue->count < queue->count_max && sent->weight <= queue->weight_max && queue->weight <= queue->weight_max - sent->weight;
}

static void queue_insert(struct sent_queue *queue, struct list *before, struct sent *sent)
{
    list_append(before, &sent->node);
    queue->count++;
    queue->weight += sent->weight;
}

static void queue_take_out(struct sent_queue *queue, struct sent *sent)
{
    if (queue->given == &sent->node)
        queue->given = sent->node.previous;
    list_remove(&sent->node);
    queue->count--;
    queue->weight -= sent->weight;
}

void sent_queue_push(struct sent_queue *queue, struct sent *sent)
{
    queue_insert(queue, &queue->entries, sent);
}

void sent_queue_push_early(struct sent_queue *queue, struct sent *sent, size_t *at)
{
    struct list *before = queue->entries.next;
    for (size_t left = queue->sent_count + (*at)++; left; left--)
        before = before->next;
    queue_insert(queue, before, sent);
}

struct sent *sent_queue_peek(const struct sent_queue *queue)
{
    return queue->given_count == queue->count ? NULL : SENT(queue->given->next);
}

struct sent *sent_queue_next(struct sent_queue *queue, uint64_t *ret_number)
{
    if (queue->given_count == queue->count)
        return NULL;
    struct sent *sent = SENT(queue->given->next);
    queue->given = &sent->node;
    *ret_number = queue->first + queue->given_count++;
    queue->sent_count = MAX(queue->sent_count, queue->given_count);
    return sent;
}

int sent_queue_acknowledge(struct sent_queue *queue, uint64_t received)
{
    if (received < queue->first)
        return 0;
    uint64_t count = received - queue->first + 1;
    if (count > queue->sent_count)
        return -ERANGE;
    for (uint64_t left = count; left; left--) {
        struct sent *sent = SENT(queue->entries.next);
        queue_take_out(queue, sent);
        sent_free(sent);
    }
    queue->first += count;
    queue->sent_count -= (size_t)count;
    queue->given_count -= MIN(queue->given_count, (size_t)count);
    return 0;
}

void sent_queue_rewind(struct sent_queue *queue)
{
    queue->given_count = 0;
    queue->given = &queue->entries;
}

size_t sent_queue_restart(struct sent_queue *queue, struct list *ret_lost)
{
    size_t count = queue->sent_count;
    list_init(ret_lost);
    for (size_t left = count; left; left--) {
        struct sent *sent = SENT(queue->entries.next);
        queue_take_out(queue, sent);
        list_append(ret_lost, &sent->node);
    }
    queue->first = 1;
    queue->sent_count = 0;
    sent_queue_rewind(queue);
    return count;
}

static struct sent *queue_find_unsent(const struct sent_queue *queue, uint64_t id)
{
    struct list *item = queue->entries.previous;
    for (size_t left = queue->count - queue->sent_count; left; left--, item = item->previous)
        if (SENT(item)->envelope.id == id)
            return SENT(item);
    return NULL;
}

bool sent_queue_withdraw(struct sent_queue *queue, uint64_t id)
{
    struct sent *sent = queue_find_unsent(queue, id);
    if (!sent)
        return false;
    queue_take_out(queue, sent);
    sent_free(sent);
    return true;
}

bool sent_queue_has_unsent(const struct sent_queue *queue, uint64_t id)
{
    return queue_find_unsent(queue, id) != NULL;
}
