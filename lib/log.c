/*
 * Log: see log.h. Owns the process's one log state: where lines go, the levels, and how often each message came lately.
 */
#include "lib/log.h"

#include "lib/buf.h"
#include "lib/text.h"

#include <ctype.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    BURST = 20,                 /* lines of one message in PERIOD_S; more are counted only */
    PERIOD_S = 10,
    RATE_SLOTS = 512,           /* more than the program has messages */
    LINE_MAX_BYTES = 4096,
};

struct rate {
    const char *format;         /* which message: formats are literals, so their address tells them apart */
    time_t since_s;
    unsigned count, suppressed;
};

static struct {
    bool is_terminal;
    int journal;                /* a socket; -1: stderr is no journal */
    atomic_int levels[LOG_AREA_COUNT];
    pthread_mutex_t lock;
    struct rate rates[RATE_SLOTS];
    _Atomic uint64_t dropped;
} log_state = {
    .levels = {LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO, LOG_LEVEL_INFO},
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .journal = -1,
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
    if (stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2
        && fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode)
        log_state.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Each message has its own, so that two that come in turn do not hide each other's number. */
static struct rate *log_rate(const char *format)
{
    size_t slot = ((uintptr_t)format >> 3) % RATE_SLOTS;
    for (size_t i = 0; i < RATE_SLOTS; i++) {
        struct rate *rate = &log_state.rates[(slot + i) % RATE_SLOTS];
        if (rate->format == format || !rate->format)
            return rate;
    }
    return &log_state.rates[slot];
}

/* May this line be written? *ret_suppressed: how many like it were not, since the last one. */
static bool log_admit(const char *format, unsigned *ret_suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    pthread_mutex_lock(&log_state.lock);
    struct rate *rate = log_rate(format);
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

/* Only what fits now is written: who does not read the log must not hold anybody up. A pipe that is writable takes PIPE_BUF bytes. */
static bool stderr_write(const struct buf *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    pthread_mutex_lock(&log_state.lock);
    bool is_written = poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line->data, line->length) == (ssize_t)line->length;
    pthread_mutex_unlock(&log_state.lock);
    return is_written;
}

static void line_end(struct buf *line)
{
    if (line->length >= PIPE_BUF) {
        line->length = PIPE_BUF - 1;
        while ((line->data[line->length] & 0xc0) == 0x80)
            line->length--;
    }
    buf_add_byte(line, '\n');
}

static bool log_to_stderr(enum log_level level, enum log_area area, const struct log_field *fields, struct bytes text)
{
    struct buf line = {0};
    log_add_time(&line);
    buf_add_format(&line, " %-7s %s: ", levels[level].name, areas[area]);
    text_add_sentence(&line, text, LINE_MAX_BYTES);
    for (; fields && fields->name; fields++) {
        if (!fields->value)
            continue;
        buf_add_format(&line, " %s=", fields->name);
        text_add_escaped(&line, bytes_text(fields->value), 512);
    }
    line_end(&line);
    bool is_written = buf_status(&line) == 0 && stderr_write(&line);
    buf_done(&line);
    return is_written;
}

/* The journal's own protocol: a datagram of NAME=value lines, whose values are escaped and so have no line ends. libsystemd would
 * wait for a journal that does not read. */
static bool log_to_journal(enum log_level level, enum log_area area, const struct log_field *fields, struct bytes text)
{
    static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    struct buf entry = {0};
    buf_add_format(&entry, "PRIORITY=%d\nSYSLOG_IDENTIFIER=rtcd\nRTCD_AREA=%s\nMESSAGE=", levels[level].priority, areas[area]);
    text_add_sentence(&entry, text, LINE_MAX_BYTES);
    for (; fields && fields->name; fields++) {
        if (!fields->value)
            continue;
        buf_add_text(&entry, "\nRTCD_");
        for (const char *at = fields->name; *at; at++)
            buf_add_byte(&entry, (unsigned char)toupper((unsigned char)*at));
        buf_add_byte(&entry, '=');
        text_add_escaped(&entry, bytes_text(fields->value), 512);
    }
    buf_add_byte(&entry, '\n');
    bool is_sent = buf_status(&entry) == 0
        && sendto(log_state.journal, entry.data, entry.length, MSG_NOSIGNAL, (const struct sockaddr *)&journal, sizeof(journal)) >= 0;
    buf_done(&entry);
    return is_sent;
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
    bool is_written = (log_state.journal >= 0 ? log_to_journal : log_to_stderr)(level, area, fields, bytes_of(text, (size_t)length));
    if (!is_written)
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
}
