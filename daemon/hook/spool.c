/*
 * Spool: see spool.h.
 */
#include "daemon/hook/spool.h"

#include "daemon/config/config.h"
#include "daemon/core/metrics.h"
#include "daemon/hook/spool_record.h"
#include "lib/file.h"
#include "lib/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024, VOID_BYTES = 64 * 1024, ENDS_BYTES = 64 * 1024 };

static int write_at(int descriptor, uint64_t offset, struct bytes text)
{
    while (text.length) {
        ssize_t length = pwrite(descriptor, text.data, text.length, (off_t)offset);
        if (length < 0 && errno != EINTR)
            return -errno;
        size_t written = length > 0 ? (size_t)length : 0;
        text = bytes_of(text.data + written, text.length - written);
        offset += written;
    }
    return 0;
}

static int spool_sync(const struct spool *spool, int descriptor)
{
    return spool->config->hooks.spool_sync == SPOOL_SYNC_EACH && fdatasync(descriptor) < 0 ? -errno : 0;
}

/* Half a record is taken back: what follows it would never be found. */
static int spool_append(struct spool *spool, struct bytes text)
{
    int r = write_at(spool->descriptor, spool->bytes, text);
    if (r == 0)
        r = spool_sync(spool, spool->descriptor);
    if (r == 0)
        spool->bytes += text.length;
    else if (ftruncate(spool->descriptor, (off_t)spool->bytes) < 0)
        log_debug(LOG_AREA_DAEMON, NULL, "%s: a torn end stays until the next start cuts it", spool->path);
    return r;
}

static struct spool_record entry_record(const struct spool_entry *entry)
{
    return (struct spool_record){.kind = SPOOL_EVENT, .number = entry->number, .time_ms = entry->time_ms, .name = bytes_text(entry->name),
                                 .json = entry->json};
}

static uint64_t entry_bytes(const struct spool_entry *entry)
{
    struct spool_record record = entry_record(entry);
    return SPOOL_HEAD_BYTES + SPOOL_EVENT_BYTES + record.name.length + record.json.length;
}

/* Compacting */

static int write_live(const struct spool *spool, int descriptor, uint64_t *ret_bytes)
{
    struct buf out = {0};
    int r = 0;
    buf_add_text(&out, SPOOL_MAGIC);
    *ret_bytes = 0;
    LIST_EACH(node, &spool->entries) {
        struct spool_record record = entry_record(CONTAINER_OF(node, struct spool_entry, node));
        spool_record_add(&out, &record);
        if (out.length < PIECE_BYTES)
            continue;
        r = r == 0 ? buf_status(&out) : r;
        r = r == 0 ? write_at(descriptor, *ret_bytes, buf_bytes(&out)) : r;
        *ret_bytes += out.length;
        buf_clear(&out);
    }
    r = r == 0 ? buf_status(&out) : r;
    r = r == 0 ? write_at(descriptor, *ret_bytes, buf_bytes(&out)) : r;
    *ret_bytes += out.length;
    buf_done(&out);
    return r;
}

static int open_locked(const char *path, int flags)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | flags, 0600);
    int r = descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r < 0 && descriptor >= 0)
        close(descriptor);
    return r < 0 ? r : descriptor;
}

/* A whole new file in the place of the old one. */
static int spool_rewrite(struct spool *spool)
{
    char next[PATH_MAX + 8];
    uint64_t bytes = 0;
    snprintf(next, sizeof(next), "%s.new", spool->path);
    int descriptor = open_locked(next, O_TRUNC), r = descriptor < 0 ? descriptor : 0;
    /* One may lie there, of any mode; the next start takes no spool that others can read. */
    if (r == 0 && fchmod(descriptor, 0600) < 0)
        r = -errno;
    if (r == 0)
        r = write_live(spool, descriptor, &bytes);
    if (r == 0)
        r = spool_sync(spool, descriptor);
    if (r == 0 && rename(next, spool->path) < 0)
        r = -errno;
    if (r < 0) {
        if (descriptor >= 0)
            close(descriptor);
        return r;
    }
    close(spool->descriptor);
    spool->descriptor = descriptor;
    spool->bytes = bytes;
    return spool->config->hooks.spool_sync == SPOOL_SYNC_EACH ? file_sync_folder(spool->path) : 0;
}

/* Nothing waits any more: the usual case. */
static int spool_empty(struct spool *spool)
{
    if (spool->bytes == SPOOL_MAGIC_BYTES)
        return 0;
    if (ftruncate(spool->descriptor, SPOOL_MAGIC_BYTES) < 0)
        return -errno;
    spool->bytes = SPOOL_MAGIC_BYTES;
    return 0;
}

/* If so much of it is void. Where it does not work there is more in the file than must be, no less. */
static void spool_compact(struct spool *spool, uint64_t void_min)
{
    int r = 0;
    if (list_is_empty(&spool->entries))
        r = spool_empty(spool);
    else if (spool->bytes - spool->live_bytes >= void_min)
        r = spool_rewrite(spool);
    if (r < 0)
        log_warning(LOG_AREA_DAEMON, NULL, "%s: it cannot be written anew: %s; it goes on growing", spool->path, strerror(-r));
}

/* Events */

static int spool_write(struct spool *spool, const struct spool_entry *entry)
{
    struct buf out = {0};
    struct spool_record record = entry_record(entry);
    spool_record_add(&out, &record);
    int r = buf_status(&out);
    if (r == 0)
        r = spool_append(spool, buf_bytes(&out));
    buf_done(&out);
    return r;
}

static void spool_note_failure(struct spool *spool, const char *why)
{
    metrics_add(spool->metrics, METRIC_WEBHOOK_UNSPOOLED, 1);
    if (!spool->has_failed)
        log_warning(LOG_AREA_DAEMON, NULL, "%s: events for webhooks wait in memory alone, and would be lost with the daemon: %s", spool->path, why);
    spool->has_failed = true;
}

void spool_add(struct spool *spool, struct spool_entry *entry)
{
    list_init(&entry->node);
    entry->number = 0;
    if (!spool_is_open(spool))
        return;
    uint64_t most = spool->config->hooks.spool_bytes;
    if (!spool->is_loading && spool->bytes + entry_bytes(entry) > most)
        spool_compact(spool, most / 8);
    if (!spool->is_loading && (spool->bytes + entry_bytes(entry) > most || entry_bytes(entry) > SPOOL_BODY_MAX)) {
        spool_note_failure(spool, "it is as long as may be (hooks.spool-bytes)");
        return;
    }
    entry->number = ++spool->last_number;
    int r = spool->is_loading ? 0 : spool_write(spool, entry);
    if (r < 0) {
        entry->number = 0;
        spool_note_failure(spool, strerror(-r));
        return;
    }
    list_append(&spool->entries, &entry->node);
    spool->live_bytes += entry_bytes(entry);
    spool->has_failed = false;
}

void spool_end(struct spool *spool, struct spool_entry *entry)
{
    struct spool_record end = {.kind = SPOOL_END, .number = entry->number};
    if (entry->number == 0)
        return;
    list_remove(&entry->node);
    spool->live_bytes -= entry_bytes(entry);
    if (spool->is_loading)
        return;
    spool_record_add(&spool->out, &end);
    if (spool->out.length > ENDS_BYTES)
        spool_settle(spool);
}

/* Ends that get lost make doubles, which receivers know by their id. */
void spool_settle(struct spool *spool)
{
    if (!spool_is_open(spool) || spool->out.length == 0)
        return;
    bool is_empty = list_is_empty(&spool->entries);
    int r = is_empty ? 0 : spool_append(spool, buf_bytes(&spool->out));
    if (r < 0 && !spool->has_failed_ends)
        log_warning(LOG_AREA_DAEMON, NULL, "%s: it cannot be written: %s; what was delivered may be delivered again after a restart", spool->path,
                    strerror(-r));
    spool->has_failed_ends = r < 0;
    buf_clear(&spool->out);
    spool_compact(spool, MAX(spool->live_bytes, (uint64_t)VOID_BYTES));
}

/* Opening */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

/* Walks the records: how many bytes of them are whole. Numbers of what is over go to `ended`, if that is not NULL; other events to `found`. */
static size_t walk(struct bytes text, uint64_t *ended, size_t *ended_count, spool_found found, void *argument)
{
    struct bytes rest = text;
    struct spool_record record;
    size_t count = 0;
    while (spool_record_take(&rest, &record) == DECODE_DONE) {
        if (record.kind == SPOOL_END && ended)
            ended[count] = record.number;
        count += record.kind == SPOOL_END;
        if (found && record.kind == SPOOL_EVENT && !bsearch(&record.number, ended, *ended_count, sizeof(*ended), compare_numbers))
            found(argument, record.name, record.json, record.time_ms);
    }
    if (!found)
        *ended_count = count;
    return text.length - rest.length;
}

/* What is there, told. */
static int spool_take_over(struct spool *spool, struct bytes text, spool_found found, void *argument)
{
    size_t count = 0, whole = walk(text, NULL, &count, NULL, NULL);
    uint64_t *ended = calloc(count + 1, sizeof(*ended));
    if (!ended)
        return -ENOMEM;
    walk(text, ended, &count, NULL, NULL);
    qsort(ended, count, sizeof(*ended), compare_numbers);
    if (whole < text.length)
        log_warning(LOG_AREA_DAEMON, NULL, "%s: its last %zu bytes are torn or corrupt, and were cut off", spool->path, text.length - whole);
    walk(bytes_of(text.data, whole), ended, &count, found, argument);
    free(ended);
    return 0;
}

static int spool_load(struct spool *spool, spool_found found, void *argument)
{
    struct buf text = {0};
    struct stat status;
    int r = fstat(spool->descriptor, &status) < 0 ? -errno : 0;
    if (r == 0 && (!S_ISREG(status.st_mode) || status.st_mode & 077)) {
        log_error(LOG_AREA_DAEMON, NULL, "%s: it is not a file that the daemon's user alone may read and change (its mode is %04o); chmod 0600 "
                  "(hooks.spool)", spool->path, (unsigned)status.st_mode & 07777);
        return -EINVAL;
    }
    if (r == 0)
        r = file_read_all(spool->descriptor, &text);
    bool is_spool = text.length >= SPOOL_MAGIC_BYTES && memcmp(text.data, SPOOL_MAGIC, SPOOL_MAGIC_BYTES) == 0;
    if (r == 0 && text.length && !is_spool) {
        log_error(LOG_AREA_DAEMON, NULL, "%s: it is no spool; name another file, or take this one away (hooks.spool)", spool->path);
        r = -EINVAL;
    } else if (r == 0 && is_spool) {
        r = spool_take_over(spool, bytes_of(text.data + SPOOL_MAGIC_BYTES, text.length - SPOOL_MAGIC_BYTES), found, argument);
    }
    buf_done(&text);
    return r;
}

int spool_open(struct spool *spool, const struct config *config, struct metrics *metrics, spool_found found, void *argument)
{
    *spool = (struct spool){.descriptor = -1, .metrics = metrics, .config = config};
    list_init(&spool->entries);
    if (!config->hooks.spool[0])
        return 0;
    bool fits = snprintf(spool->path, sizeof(spool->path), "%s", config->hooks.spool) < (int)sizeof(spool->path);
    int descriptor = fits ? open_locked(spool->path, 0) : -ENAMETOOLONG;
    if (descriptor < 0) {
        log_error(LOG_AREA_DAEMON, NULL, "%s: it cannot be opened: %s (hooks.spool)", spool->path,
                  descriptor == -EWOULDBLOCK ? "another daemon uses it" : strerror(-descriptor));
        return -EINVAL;
    }
    spool->descriptor = descriptor;
    spool->is_loading = true;
    int r = spool_load(spool, found, argument);
    spool->is_loading = false;
    if (r == 0)
        r = spool_rewrite(spool);
    if (r < 0 && r != -EINVAL) {
        log_error(LOG_AREA_DAEMON, NULL, "%s: it cannot be read and written anew: %s (hooks.spool)", spool->path, strerror(-r));
        r = -EINVAL;
    }
    return r;
}

void spool_close(struct spool *spool)
{
    if (!spool_is_open(spool))
        return;
    spool_settle(spool);
    close(spool->descriptor);
    spool->descriptor = -1;
    buf_done(&spool->out);
}

void spool_set_config(struct spool *spool, const struct config *config)
{
    spool->config = config;
}
