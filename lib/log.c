/*
 * Log: see log.h. Owns the process's one log state: where lines go, the levels, and how often each message came lately.
 */
#include "lib/log.h"

#include "lib/buf.h"
#include "lib/text.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

enum {
    BURST = 20,                 /* lines of one message in PERIOD_S; more are counted only */
    PERIOD_S = 10,
    RATE_SLOTS = 64,
    FIELDS_MAX = 12,
    LINE_MAX_BYTES = 4096,
};

struct rate {
    const char *format;         /* which message: formats are literals, so their address tells them apart */
    time_t since_s;
    unsigned count, suppressed;
};

static struct {
    bool is_journal, is_terminal;
    atomic_int levels[LOG_AREA_COUNT];
    pthread_mutex_t lock;
    struct rate rates[RATE_SLOTS];
    _Atomic uint64_t dropped;
} log_state = {
    .levels = {LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO},
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

static const struct { const char *name; int priority; } levels[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

static const char *const areas[LOG_AREA_COUNT] = {
    [LOG_AREA_DAEMON] = "daemon", [LOG_AREA_CONFIG] = "config", [LOG_AREA_NET] = "net",
    [LOG_AREA_CORE] = "core", [LOG_AREA_ADMIN] = "admin",
};

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

const char *log_area_name(enum log_area area)
{
    return areas[area];
}

bool log_is_on(enum log_level level, enum log_area area)
{
    return (int)level <= atomic_load_explicit(&log_state.levels[area], memory_order_relaxed);
}

void log_set_level(enum log_area area, enum log_level level)
{
    atomic_store_explicit(&log_state.levels[area], (int)level, memory_order_relaxed);
}

uint64_t log_dropped_count(void)
{
    return atomic_load_explicit(&log_state.dropped, memory_order_relaxed);
}

/* systemd says which stream is the journal (systemd.exec(5), "JOURNAL_STREAM"). */
void log_start(void)
{
    struct stat status;
    unsigned long long device, inode;
    const char *stream = getenv("JOURNAL_STREAM");
    log_state.is_terminal = isatty(STDERR_FILENO);
    log_state.is_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2
        && fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

/* May this line be written? *ret_suppressed: how many like it were not, since the last one. */
static bool log_admit(const char *format, unsigned *ret_suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    pthread_mutex_lock(&log_state.lock);
    struct rate *rate = &log_state.rates[((uintptr_t)format >> 3) % RATE_SLOTS];
    bool is_new = rate->format != format || now.tv_sec - rate->since_s >= PERIOD_S;
    *ret_suppressed = is_new ? rate->suppressed : 0;
    if (is_new)
        *rate = (struct rate){.format = format, .since_s = now.tv_sec};
    bool is_admitted = rate->count < BURST;
    if (is_admitted)
        rate->count++;
    else
        rate->suppressed++;
    pthread_mutex_unlock(&log_state.lock);
    if (!is_admitted)
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    return is_admitted;
}

static void log_add_time(struct buf *line)
{
    char text[40];
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(text, sizeof(text), log_state.is_terminal ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &local);
    buf_add_text(line, text);
    if (!log_state.is_terminal)
        buf_add_format(line, ".%03ld", now.tv_nsec / 1000000);
}

static void log_to_stderr(enum log_level level, enum log_area area, const struct log_field *fields, struct bytes text)
{
    struct buf line = {0};
    log_add_time(&line);
    buf_add_format(&line, " %-7s %s: ", levels[level].name, areas[area]);
    text_add_escaped(&line, text, LINE_MAX_BYTES);
    for (; fields && fields->name; fields++) {
        if (!fields->value)
            continue;
        buf_add_format(&line, " %s=", fields->name);
        text_add_escaped(&line, bytes_text(fields->value), 512);
    }
    buf_add_byte(&line, '\n');
    if (buf_status(&line) < 0 || write(STDERR_FILENO, line.data, line.length) < 0)
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    buf_done(&line);
}

static void log_to_journal(enum log_level level, enum log_area area, const struct log_field *fields, struct bytes text)
{
    struct buf items[FIELDS_MAX] = {0};
    struct iovec pieces[FIELDS_MAX];
    int count = 0;
    buf_add_text(&items[count], "MESSAGE=");
    text_add_escaped(&items[count++], text, LINE_MAX_BYTES);
    buf_add_format(&items[count++], "PRIORITY=%d", levels[level].priority);
    buf_add_text(&items[count++], "SYSLOG_IDENTIFIER=rtcd");
    buf_add_format(&items[count++], "RTCD_AREA=%s", areas[area]);
    for (; fields && fields->name && count < FIELDS_MAX; fields++) {
        if (!fields->value)
            continue;
        buf_add_text(&items[count], "RTCD_");
        for (const char *at = fields->name; *at; at++)
            buf_add_byte(&items[count], (unsigned char)toupper((unsigned char)*at));
        buf_add_byte(&items[count], '=');
        text_add_escaped(&items[count++], bytes_text(fields->value), 512);
    }
    for (int i = 0; i < count; i++)
        pieces[i] = (struct iovec){items[i].data, items[i].length};
    if (sd_journal_sendv(pieces, count) < 0)
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    for (int i = 0; i < count; i++)
        buf_done(&items[i]);
}

void log_write(enum log_level level, enum log_area area, const struct log_field *fields, const char *format, ...)
{
    unsigned suppressed;
    if (!log_admit(format, &suppressed))
        return;
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    length = MIN(length, (int)sizeof(text) - 1);
    if (suppressed && length < (int)sizeof(text) - 40)
        length += snprintf(text + length, sizeof(text) - (size_t)length, " (suppressed %u like it)", suppressed);
    (log_state.is_journal ? log_to_journal : log_to_stderr)(level, area, fields, bytes_of(text, (size_t)length));
}
