/*
 * Archive: see archive.h.
 */
#include "daemon/core/archive.h"

#include "daemon/config/groups.h"
#include "daemon/core/message.h"

#include <stdlib.h>
#include <sys/random.h>

enum { SWEEP_MS = 5000 };

void catch_up_done(struct catch_up *catch_up)
{
    for (uint32_t i = 0; i < catch_up->count; i++)
        message_unref(catch_up->messages[i]);
    free(STEAL(catch_up->messages));
    catch_up->count = 0;
}

static void on_forgotten(struct history_sink *sink, uint64_t offset)
{
    struct remembered *remembered = CONTAINER_OF(sink, struct remembered, sink);
    remembered->keeper->forget(remembered->keeper, remembered->place, remembered->history, offset);
}

static void on_cleared(struct history_sink *sink)
{
    struct remembered *remembered = CONTAINER_OF(sink, struct remembered, sink);
    remembered->keeper->clear(remembered->keeper, remembered->place, remembered->history);
}

/* Nothing is remembered any more. */
static void archive_forget(struct stripe *stripe, struct remembered *remembered)
{
    if (remembered->keeper)
        remembered->keeper->end(remembered->keeper, remembered->place, remembered->history);
    list_remove(&remembered->node);
    stripe->remembered_count--;
    remembered->place->remembered = NULL;
    history_free(remembered->history);
    free(remembered);
}

/* The same, and a group without members is gone then. */
static void archive_close(struct directory *directory, struct stripe *stripe, struct remembered *remembered)
{
    struct place *place = remembered->place;
    archive_forget(stripe, remembered);
    if (place->workers == 0)
        directory_drop(directory, stripe, place);
}

static void archive_touch(struct stripe *stripe, struct remembered *remembered, uint64_t now_ms)
{
    remembered->used_ms = now_ms;
    list_remove(&remembered->node);
    list_append(&stripe->remembered, &remembered->node);
}

/* Takes the history over. */
static struct remembered *archive_begin(struct directory *directory, struct stripe *stripe, struct place *place, struct history *history)
{
    struct remembered *remembered = history ? calloc(1, sizeof(*remembered)) : NULL;
    if (!remembered) {
        history_free(history);
        return NULL;
    }
    remembered->history = history;
    remembered->place = place;
    remembered->keeper = directory->keeper;
    remembered->sink = (struct history_sink){on_forgotten, on_cleared};
    history_tell(history, remembered->keeper ? &remembered->sink : NULL);
    place->remembered = remembered;
    list_append(&stripe->remembered, &remembered->node);
    stripe->remembered_count++;
    return remembered;
}

static struct history *archive_new_history(void)
{
    uint64_t random;
    return getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random) ? history_new(random) : NULL;
}

/* The rule is looked up when the group is new here, and once after each reload. */
static const struct group_rule *archive_rule(struct place *place, const struct config *config)
{
    if (place->rule_generation != config->generation) {
        const struct group_rule *rule = config_group_rule(config, place_name(place));
        place->rule = rule ? (uint8_t)(rule - config->groups + 1) : 0;
        place->rule_generation = config->generation;
    }
    return place->rule ? &config->groups[place->rule - 1] : NULL;
}

struct remembered *archive_open(struct directory *directory, struct stripe *stripe, struct place *place, const struct config *config,
                                uint64_t now_ms)
{
    const struct group_rule *rule = archive_rule(place, config);
    struct remembered *remembered = place->remembered;
    if (!rule || rule->history.envelopes == 0) {
        if (remembered)
            archive_forget(stripe, remembered);
        return NULL;
    }
    if (!remembered && stripe->remembered_count >= MAX(config->history.groups / DIRECTORY_STRIPES, UINT64_C(1)))
        archive_close(directory, stripe, CONTAINER_OF(stripe->remembered.next, struct remembered, node));
    if (!remembered)
        remembered = archive_begin(directory, stripe, place, archive_new_history());
    if (remembered && history_keep_latest(remembered->history, rule->history.keep == KEEP_LATEST) < 0)
        archive_forget(stripe, STEAL(remembered));
    if (!remembered)
        return NULL;
    remembered->limits = (struct history_limits){.count = (uint32_t)rule->history.envelopes, .bytes = rule->history.bytes,
                                                 .age_ms = rule->history.age_ms};
    history_trim(remembered->history, &remembered->limits, now_ms);
    archive_touch(stripe, remembered, now_ms);
    return remembered;
}

void archive_append(struct stripe *stripe, struct remembered *remembered, struct message *message, uint64_t now_ms)
{
    archive_touch(stripe, remembered, now_ms);
    struct keeper *keeper = remembered->keeper;
    /* Without memory the history is empty now, which is what whoever asks is told. */
    (void)!history_append(remembered->history, message, &remembered->limits, now_ms);
    if (!keeper)
        return;
    bool is_held = history_message(remembered->history, message->envelope.offset);
    message->stored_by = keeper->put(keeper, remembered->place, remembered->history, is_held ? message : NULL);
}

struct remembered *archive_restore(struct directory *directory, struct bytes group, const struct history_state *state,
                                   const struct config *config, uint64_t now_ms, int *ret)
{
    const struct group_rule *rule = config_group_rule(config, group);
    struct remembered *remembered = NULL;
    struct place *place;
    *ret = 0;
    if (!rule || rule->history.envelopes == 0)
        return NULL;
    struct stripe *stripe = directory_lock(directory, SPACE_GROUP, group, &place);
    place = directory_make(directory, stripe, SPACE_GROUP, group);
    if (place)
        remembered = archive_begin(directory, stripe, place, history_restore(state));
    if (remembered)
        remembered = archive_open(directory, stripe, place, config, now_ms);
    *ret = remembered ? 0 : -ENOMEM;
    directory_unlock(stripe);
    return remembered;
}

/* Is this one delivered, after so many newer ones? */
enum fit { FIT_TAKE, FIT_PASS, FIT_END, FIT_TOO_MUCH };

static enum fit archive_fits(const struct catch_up *asked, const struct message *message, uint64_t taken, uint64_t bytes)
{
    if (asked->epoch.length && message->envelope.offset <= asked->offset)
        return FIT_END;
    if (asked->is_snapshot && message->envelope.data.length == 0)
        return FIT_PASS;                /* a value that was taken away */
    if (!asked->epoch.length && taken == asked->last)
        return asked->is_snapshot ? FIT_TOO_MUCH : FIT_END;
    return taken == asked->count_max || bytes + message->size > asked->bytes_max ? FIT_TOO_MUCH : FIT_TAKE;
}

/* Of those that were asked for, how many of the newest may be taken. */
static uint32_t archive_count(const struct history *history, struct catch_up *asked)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    struct history_walk walk = {0};
    struct message *message;
    while ((message = history_older(history, &walk))) {
        enum fit fit = archive_fits(asked, message, count, bytes);
        if (fit == FIT_TOO_MUCH)
            asked->is_complete = false;
        if (fit == FIT_TOO_MUCH || fit == FIT_END)
            break;
        if (fit == FIT_PASS)
            continue;
        count++;
        bytes += message->size;
    }
    return count;
}

static bool archive_can_answer(const struct history *history, const struct catch_up *asked)
{
    if (asked->epoch.length)
        return bytes_is(asked->epoch, history_epoch(history)) && history_covers(history, asked->offset);
    return asked->last > 0 && !(asked->is_snapshot && history_has_lost_values(history));
}

static void archive_take(const struct history *history, struct catch_up *asked, uint32_t count)
{
    struct history_walk walk = {0};
    while (asked->count < count) {
        struct message *message = history_older(history, &walk);
        if (archive_fits(asked, message, asked->count, 0) != FIT_TAKE)
            continue;
        asked->count++;
        asked->messages[count - asked->count] = message;
        message_ref_many(message, 1);
    }
}

/* What followed, from the oldest on, as far as it fits. */
static void archive_take_page(const struct history *history, struct catch_up *asked)
{
    uint64_t bytes = 0, count_max = MIN(asked->count_max, (uint64_t)history_count(history));
    asked->messages = malloc(MAX(count_max, UINT64_C(1)) * sizeof(*asked->messages));
    struct message *message = asked->messages ? history_after(history, asked->offset) : NULL;
    while (message && asked->count < count_max) {
        bytes += message->size;
        if (bytes > asked->bytes_max)
            break;
        asked->messages[asked->count++] = message;
        message_ref_many(message, 1);
        message = history_after(history, message->envelope.offset);
    }
    asked->has_more = asked->count > 0;
}

void archive_answer(const struct remembered *remembered, struct catch_up *catch_up)
{
    if (!remembered)
        return;
    const struct history *history = remembered->history;
    bool is_since = catch_up->epoch.length > 0;
    catch_up->has_history = true;
    memcpy(catch_up->now_epoch, history_epoch(history), sizeof(catch_up->now_epoch));
    catch_up->now_offset = history_offset(history);
    catch_up->is_snapshot = !is_since && history_keeps_latest(history);
    catch_up->is_complete = archive_can_answer(history, catch_up);
    if (!catch_up->is_complete && (is_since || catch_up->last == 0))
        return;
    uint32_t count = archive_count(history, catch_up);
    /* What comes after a gap is of no use to who wants to go on; who wants the last ones may have fewer. */
    bool is_too_much = is_since && !catch_up->is_complete;
    if (is_too_much && catch_up->takes_pages)
        archive_take_page(history, catch_up);
    if (is_too_much || count == 0)
        return;
    catch_up->messages = malloc(count * sizeof(*catch_up->messages));
    if (catch_up->messages)
        archive_take(history, catch_up, count);
    else
        catch_up->is_complete = false;
}

bool archive_read(struct directory *directory, struct bytes group, const struct config *config, uint64_t now_ms, struct catch_up *catch_up)
{
    struct place *place;
    struct stripe *stripe = directory_lock(directory, SPACE_GROUP, group, &place);
    if (place && place->remembered)
        archive_answer(archive_open(directory, stripe, place, config, now_ms), catch_up);
    if (place && !place->remembered && place->workers == 0)
        directory_drop(directory, stripe, place);
    directory_unlock(stripe);
    return catch_up->has_history;
}

bool archive_clear(struct directory *directory, struct bytes group)
{
    struct place *place;
    struct stripe *stripe = directory_lock(directory, SPACE_GROUP, group, &place);
    bool has_history = place && place->remembered;
    if (has_history)
        history_clear(place->remembered->history);
    directory_unlock(stripe);
    return has_history;
}

static void stripe_sweep(struct directory *directory, struct stripe *stripe, uint64_t now_ms)
{
    pthread_mutex_lock(&stripe->lock);
    LIST_EACH(node, &stripe->remembered) {
        struct remembered *remembered = CONTAINER_OF(node, struct remembered, node);
        history_trim(remembered->history, &remembered->limits, now_ms);
        if (remembered->place->workers == 0 && now_ms > remembered->used_ms + remembered->limits.age_ms)
            archive_close(directory, stripe, remembered);
    }
    pthread_mutex_unlock(&stripe->lock);
}

uint64_t archive_due_ms(const struct directory *directory)
{
    return atomic_load_explicit(&directory->sweep_ms, memory_order_relaxed);
}

void archive_sweep(struct directory *directory, uint64_t now_ms)
{
    uint64_t due_ms = atomic_load_explicit(&directory->sweep_ms, memory_order_relaxed);
    if (now_ms < due_ms || !atomic_compare_exchange_strong(&directory->sweep_ms, &due_ms, now_ms + SWEEP_MS))
        return;
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++)
        stripe_sweep(directory, &directory->places[SPACE_GROUP][i], now_ms);
}
