/*
 * Exchange: see exchange.h.
 */
#include "daemon/core/exchange.h"

#include "daemon/config/groups.h"
#include "daemon/core/archive.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"

#include <stdlib.h>

struct exchange *exchange_new(unsigned worker_count, const struct ports *ports)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    exchange->worker_count = worker_count;
    exchange->ports = *ports;
    gate_init(&exchange->gate);
    exchange->directory = directory_new(worker_count, &exchange->lifecycle);
    exchange->limits = limits_new();
    exchange->revocations = revocations_new();
    int r = lifecycle_init(&exchange->lifecycle, &exchange->ports);
    if (r < 0 || !exchange->directory || !exchange->limits || !exchange->revocations) {
        exchange_free(exchange);
        return NULL;
    }
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    gate_done(&exchange->gate);
    directory_free(exchange->directory);
    limits_free(exchange->limits);
    revocations_free(exchange->revocations);
    lifecycle_done(&exchange->lifecycle);
    free(exchange);
}

static bool exchange_has_room(struct exchange *exchange, uint64_t workers)
{
    for (unsigned worker = 0; worker < exchange->worker_count; worker++)
        if (workers >> worker & 1 && !exchange->ports.has_room(exchange->ports.argument, worker))
            return false;
    return true;
}

/* Room was asked for before, so a letter fails only for want of memory: then that worker's members lose it, and the
 * publisher is told. */
static int exchange_post(struct exchange *exchange, uint64_t workers, struct letter *letter)
{
    int result = 0;
    for (unsigned worker = 0; worker < exchange->worker_count; worker++) {
        if (!(workers >> worker & 1))
            continue;
        message_ref_many(letter->message, 1);
        if (letter->kind == LETTER_PLACE)
            place_ref(letter->place);
        int r = exchange->ports.post(exchange->ports.argument, worker, letter);
        if (r < 0) {
            message_unref(letter->message);
            if (letter->kind == LETTER_PLACE)
                place_unref(letter->place);
            result = r;
        }
    }
    return result;
}

/* A group that remembers does so for those who come later, even when nobody is in it: *place is NULL then afterwards. -EAGAIN: its
 * keeper is too far behind, and nothing was done. */
static int exchange_remember(struct exchange *exchange, const struct config *config, struct stripe *stripe, struct place **ret_place,
                             struct message *message)
{
    struct bytes name = message->envelope.group;
    struct place *place = *ret_place;
    int r = 0;
    if (!place) {
        const struct group_rule *rule = config_group_rule(config, name);
        place = rule && rule->history.envelopes ? directory_make(exchange->directory, stripe, SPACE_GROUP, name) : NULL;
    }
    if (!place)
        return 0;
    uint64_t now_ms = exchange->ports.now_ms(exchange->ports.argument);
    struct remembered *remembered = archive_open(exchange->directory, stripe, place, config, now_ms);
    bool is_empty = place->workers == 0;
    if (remembered && !archive_has_room(remembered))
        r = -EAGAIN;
    else if (remembered)
        archive_append(stripe, remembered, message, now_ms);
    else if (is_empty)
        directory_drop(exchange->directory, stripe, place);
    *ret_place = is_empty ? NULL : place;
    return r;
}

/* Numbers it; whoever is in the group from here on does not get it. */
static int exchange_post_place(struct exchange *exchange, struct place *place, struct letter *letter)
{
    uint64_t sequence = atomic_load_explicit(&place->sequence, memory_order_relaxed) + 1;
    atomic_store_explicit(&place->sequence, sequence, memory_order_relaxed);
    letter->kind = LETTER_PLACE;
    letter->place = place;
    letter->sequence = sequence;
    return exchange_post(exchange, place->workers, letter);
}

int exchange_tell_members(struct exchange *exchange, struct place *place, struct message *message)
{
    struct letter letter = {.message = message};
    return exchange_has_room(exchange, place->workers) ? exchange_post_place(exchange, place, &letter) : -EAGAIN;
}

static int exchange_publish_place(struct exchange *exchange, const struct config *config, enum space space, struct bytes name,
                                  struct letter *letter, unsigned *ret_recipients)
{
    int r = 0;
    struct place *place;
    struct stripe *stripe = directory_lock(exchange->directory, space, name, &place);
    *ret_recipients = 0;
    if (place && !exchange_has_room(exchange, place->workers))
        r = -EAGAIN;
    else if (space == SPACE_GROUP && (config->group_count || (place && place->remembered)))
        r = exchange_remember(exchange, config, stripe, &place, letter->message);
    if (place && r == 0) {
        *ret_recipients = atomic_load_explicit(&place->member_count, memory_order_relaxed);
        r = exchange_post_place(exchange, place, letter);
    }
    directory_unlock(stripe);
    return r;
}

static int exchange_publish_connection(struct exchange *exchange, struct bytes id, struct letter *letter,
                                       unsigned *ret_recipients)
{
    struct uuid uuid;
    uint64_t handle = uuid_parse(id, &uuid) == 0 ? directory_find_connection(exchange->directory, &uuid) : 0;
    if (handle == 0)
        return -ENOENT;
    uint64_t worker = UINT64_C(1) << hub_handle_worker(handle);
    if (!exchange_has_room(exchange, worker))
        return -EAGAIN;
    letter->kind = LETTER_CONNECTION;
    letter->handle = handle;
    *ret_recipients = handle != letter->except;
    return *ret_recipients ? exchange_post(exchange, worker, letter) : 0;
}

static int exchange_publish_all(struct exchange *exchange, struct letter *letter, unsigned *ret_recipients)
{
    uint64_t workers = exchange->worker_count == 64 ? UINT64_MAX : (UINT64_C(1) << exchange->worker_count) - 1;
    if (!exchange_has_room(exchange, workers))
        return -EAGAIN;
    letter->kind = LETTER_ALL;
    *ret_recipients = (unsigned)limits_connection_count(exchange->limits);
    return exchange_post(exchange, workers, letter);
}

int exchange_publish(struct exchange *exchange, const struct config *config, struct message *message, const struct target *to,
                     uint64_t except, unsigned *ret_recipients)
{
    struct letter letter = {.message = message, .except = except};
    switch (to->kind) {
    case TARGET_GROUP:
        return exchange_publish_place(exchange, config, SPACE_GROUP, to->name, &letter, ret_recipients);
    case TARGET_USER:
        return exchange_publish_place(exchange, config, SPACE_USER, to->name, &letter, ret_recipients);
    case TARGET_CONNECTION:
        return exchange_publish_connection(exchange, to->name, &letter, ret_recipients);
    case TARGET_ALL:
        return exchange_publish_all(exchange, &letter, ret_recipients);
    default:
        return -EINVAL;
    }
}
