/*
 * Store load: what the file has comes back into the directory at the start, see store.h. There is one thread yet.
 */
#include "daemon/store/store_state.h"

#include "daemon/config/config.h"
#include "daemon/core/archive.h"
#include "daemon/core/message.h"
#include "lib/log.h"

#include <stdlib.h>
#include <sys/random.h>

enum { SAY_MS = 5000 };

static const char *const sync_words[] = {[SYNC_EACH] = "each", [SYNC_INTERVAL] = "interval", [SYNC_NEVER] = "never"};

struct loading {
    struct store *store;
    const struct config *config;
    uint64_t now_ms, wall_ms, said_ms;
    bool skips_offsets, renews_epochs;      /* after a crash */
    struct remembered *remembered;          /* the group's whose messages are read */
    struct store_group *group;
    uint64_t group_count, message_count;
    struct buf ids;                         /* of all groups, in order */
};

static int load_message(uint64_t offset, struct bytes record, void *argument)
{
    struct loading *loading = argument;
    struct history *history = loading->remembered->history;
    const struct history_state *state = &loading->group->record.state;
    struct message *message = NULL;
    uint64_t at_ms;
    int r = store_read_message(record, place_name(loading->remembered->place), offset, &message, &at_ms);
    bool is_left_over = r == 0 && (state->keeps_latest ? message->envelope.key.length == 0 : offset <= state->forgotten);
    if (r == 0 && offset > state->offset)
        r = -EBADMSG;
    if (r == 0 && !is_left_over)
        r = history_put_back(history, message, loading->now_ms - (loading->wall_ms > at_ms ? loading->wall_ms - at_ms : 0));
    if (r == -EBADMSG)
        log_error(LOG_AREA_DAEMON, NULL, "group %.*s, offset %llu: what is stored is damaged", (int)loading->group->name_length,
                  loading->group->name, (unsigned long long)offset);
    message_unref(message);
    loading->message_count += r == 0;
    return r;
}

/* Where messages may be missing that somebody has seen, or was told were stored. */
static int load_mend(const struct loading *loading, struct history_state *state)
{
    uint64_t random;
    if (loading->skips_offsets)
        history_state_skip(state, STORE_SKIPPED);
    if (!loading->renews_epochs)
        return 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -EIO;
    history_state_renew(state, random);
    return 0;
}

static void load_say(struct loading *loading)
{
    uint64_t now_ms = loading->store->exchange->ports.now_ms(loading->store->exchange->ports.argument);
    if (now_ms < loading->said_ms + SAY_MS)
        return;
    loading->said_ms = now_ms;
    log_info(LOG_AREA_DAEMON, NULL, "reading histories from %s: %llu groups, %llu envelopes so far", loading->store->path,
             (unsigned long long)loading->group_count, (unsigned long long)loading->message_count);
}

static int load_group(struct bytes name, struct bytes record, void *argument)
{
    struct loading *loading = argument;
    struct store *store = loading->store;
    struct store_group_record group;
    int r = name_is_valid(name, NAME_MAX_BYTES) ? store_read_group(record, &group) : -EBADMSG;
    if (r == 0 && group.id == 0)
        r = -EBADMSG;
    if (r == 0)
        r = load_mend(loading, &group.state);
    if (r < 0)
        return r;
    loading->group = store_groups_add(&store->groups, name, &group, loading->skips_offsets || loading->renews_epochs);
    if (!loading->group)
        return -ENOMEM;
    loading->remembered = archive_restore(store->exchange->directory, name, &group.state, loading->config, loading->now_ms, &r);
    if (r < 0)
        return r;
    if (!loading->remembered)
        return store_groups_end(&store->groups, loading->group);
    /* What is told of it now is what the start changed: it keeps another kind. */
    if (history_keeps_latest(loading->remembered->history) == group.state.keeps_latest)
        r = store_file_each_message(store->file, group.id, load_message, loading);
    if (r < 0)
        return r;
    history_trim(loading->remembered->history, &loading->remembered->limits, loading->now_ms);
    loading->group_count++;
    load_say(loading);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return (left > right) - (left < right);
}

/* Messages whose group is gone: the process ended before they were. */
static int load_orphan(uint64_t id, void *argument)
{
    struct loading *loading = argument;
    const uint64_t *ids = (const uint64_t *)loading->ids.data;
    return ids && bsearch(&id, ids, loading->ids.length / sizeof(id), sizeof(id), compare_ids) ? 0 : store_groups_doom(&loading->store->groups, id);
}

static int load_orphans(struct loading *loading)
{
    struct store *store = loading->store;
    LIST_EACH(node, &store->groups.used)
        buf_add(&loading->ids, &CONTAINER_OF(node, struct store_group, node)->record.id, sizeof(uint64_t));
    int r = buf_status(&loading->ids);
    if (r == 0 && loading->ids.length)
        qsort(loading->ids.data, loading->ids.length / sizeof(uint64_t), sizeof(uint64_t), compare_ids);
    if (r == 0)
        r = store_file_each_id(store->file, load_orphan, loading);
    buf_done(&loading->ids);
    return r;
}

static int load_all(struct loading *loading)
{
    struct store *store = loading->store;
    char running[16];
    int r = store_file_note(store->file, "running", running, sizeof(running));
    if (r < 0)
        return r;
    bool has_crashed = running[0] && strcmp(running, "no") != 0;
    loading->skips_offsets = has_crashed && strcmp(running, "each") == 0;
    loading->renews_epochs = has_crashed && !loading->skips_offsets;
    r = store_file_each_group(store->file, load_group, loading);
    if (r == 0)
        r = load_orphans(loading);
    if (r == 0 && has_crashed)
        log_warning(LOG_AREA_DAEMON, NULL, "the daemon did not come to its end the last time, with history.sync: %s; %s", running,
                    loading->skips_offsets ? "what was acknowledged is there" : "what was acknowledged last may be missing, so groups that remember have new epochs");
    return r;
}

int store_load(struct store *store, const struct config *config)
{
    const struct ports *ports = &store->exchange->ports;
    struct loading loading = {.store = store, .config = config, .now_ms = ports->now_ms(ports->argument), .wall_ms = ports->wall_ms(ports->argument)};
    loading.said_ms = loading.now_ms;
    int r = store_file_begin(store->file);
    if (r < 0)
        return r;
    r = load_all(&loading);
    if (r == 0)
        r = store_groups_write(&store->groups, store->file);
    if (r == 0)
        r = store_file_put_note(store->file, "running", sync_words[store->sync]);
    if (r < 0) {
        store_file_abort(store->file);
        return r;
    }
    r = store_file_commit(store->file);
    if (r < 0)
        return r;
    store_groups_settle(&store->groups);
    store_take(store);
    r = store_write_taken(store);
    if (r == 0)
        r = store_file_sync(store->file);
    if (r == 0)
        log_info(LOG_AREA_DAEMON, NULL, "histories: %llu groups with %llu envelopes from %s", (unsigned long long)loading.group_count,
                 (unsigned long long)loading.message_count, store->path);
    return r;
}
