/*
 * Request: see request.h.
 */
#include "cli/request.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

static int explain(const struct session *session, const char *path, int error)
{
    if (session->is_quiet && error != EACCES && error != EPERM)
        return EX_UNAVAILABLE;
    fprintf(stderr, "rtcctl: cannot reach rtcd at %s: %s\n", path, strerror(error));
    if (error == EACCES || error == EPERM) {
        fprintf(stderr, "Only root, the daemon's own user and members of its admin group (rtcd-admin) may. Try sudo.\n");
        return EX_NOPERM;
    }
    fprintf(stderr, "Is rtcd running? Start it with: systemctl start rtcd. Name another socket with --socket PATH.\n");
    return EX_UNAVAILABLE;
}

static const char *pick_path(const char *wanted, char room[static 108])
{
    const char *named = getenv("RTCD_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
    if (wanted)
        return wanted;
    if (named && named[0])
        return named;
    if (runtime && runtime[0] == '/' && snprintf(room, 108, "%s/rtcd/admin.sock", runtime) < 108 && access(room, F_OK) == 0)
        return room;
    return "/run/rtcd/admin.sock";
}

static int session_reach(struct session *session, const char *path)
{
    char room[108];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    path = pick_path(path, room);
    if (strlen(path) >= sizeof(name.sun_path)) {
        fprintf(stderr, "rtcctl: the path of the socket is longer than %zu bytes\n", sizeof(name.sun_path) - 1);
        return EX_USAGE;
    }
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    session->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->descriptor < 0 || connect(session->descriptor, (const struct sockaddr *)&name, sizeof(name)) < 0)
        return explain(session, path, errno);
    fcntl(session->descriptor, F_SETFL, O_NONBLOCK);
    return 0;
}

int session_open(struct session *session, const char *path)
{
    *session = (struct session){.descriptor = -1};
    return session_reach(session, path);
}

int session_try(struct session *session, const char *path)
{
    *session = (struct session){.descriptor = -1, .is_quiet = true};
    return session_reach(session, path);
}

void session_close(struct session *session)
{
    if (session->descriptor >= 0)
        close(session->descriptor);
    buf_done(&session->in);
    buf_done(&session->out);
}

void session_ask(struct session *session, const char *words, uint64_t id, struct bytes data)
{
    struct buf *out = &session->out;
    buf_add_text(out, "{\"eventName\":\"");
    for (; *words; words++)
        buf_add_byte(out, *words == ' ' ? '.' : (unsigned char)*words);
    buf_add_text(out, "\",\"id\":");
    buf_add_decimal(out, id);
    buf_add_text(out, ",\"data\":");
    buf_add_bytes(out, data.length ? data : BYTES("{}"));
    buf_add_text(out, "}\n");
}

static int session_lost(const struct session *session, int error)
{
    if (session->is_quiet)
        return EX_UNAVAILABLE;
    fprintf(stderr, "rtcctl: rtcd ended the connection%s%s\n", error ? ": " : "", error ? strerror(error) : "");
    return EX_UNAVAILABLE;
}

int session_turn(struct session *session, int also, bool *ret_also)
{
    struct pollfd polled[2] = {
        {.fd = session->descriptor, .events = (short)((session->is_paused ? 0 : POLLIN) | (session->out.length ? POLLOUT : 0))},
        {.fd = also, .events = POLLIN},
    };
    if (poll(polled, 2, -1) < 0)
        return errno == EINTR ? 0 : session_lost(session, errno);
    if (ret_also)
        *ret_also = polled[1].revents != 0;
    /* Reading first: a refusal stands there even when writing fails. */
    if (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        unsigned char *room = buf_room(&session->in, 65536);
        if (!room)
            return session_lost(session, ENOMEM);
        ssize_t got = recv(session->descriptor, room, 65536, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return session_lost(session, got < 0 ? errno : 0);
        session->in.length += got > 0 ? (size_t)got : 0;
    }
    if ((polled[0].revents & POLLOUT) && session->out.length) {
        ssize_t sent = send(session->descriptor, session->out.data, session->out.length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)
            return session_lost(session, errno);
        if (sent > 0)
            buf_consume(&session->out, (size_t)sent);
    }
    return 0;
}

bool session_line(struct session *session, struct bytes *ret)
{
    struct buf *in = &session->in;
    size_t left = in->length - session->in_taken;
    const unsigned char *end = left ? memchr(in->data + session->in_taken, '\n', left) : NULL;
    if (end) {
        *ret = bytes_of(in->data + session->in_taken, (size_t)(end - in->data) - session->in_taken);
        return true;
    }
    buf_consume(in, session->in_taken);
    session->in_taken = 0;
    return false;
}

void session_drop_line(struct session *session)
{
    struct bytes line;
    if (session_line(session, &line))
        session->in_taken += line.length + 1;
}

int reply_read(struct bytes line, struct reply *ret)
{
    struct json_scan scan;
    struct bytes key, value, name = {0}, error = {0};
    *ret = (struct reply){0};
    json_scan_init(&scan, line);
    int r = json_enter(&scan, '{');
    while (r == 0 && (r = json_next_member(&scan, JSON_DEPTH_MAX, &key, &value)) == 1) {
        if (json_string_is(key, "eventName"))
            name = value;
        else if (json_string_is(key, "error"))
            error = value;
        else if (json_string_is(key, "data"))
            ret->data = value;
        else if (json_string_is(key, "id") && json_uint(value, &ret->id) < 0)
            return -EBADMSG;
        r = 0;
    }
    if (r < 0 || json_finish(&scan) < 0)
        return -EBADMSG;
    if (json_string_is(name, "rtc.error"))
        error = ret->data;
    if (error.length == 0)
        return 0;
    if (!buf_room(&ret->scratch, line.length + 1)
        || json_string(json_member(error, "code"), &ret->scratch, &ret->code) < 0
        || json_string(json_member(error, "message"), &ret->scratch, &ret->message) < 0)
        return -EBADMSG;
    return 0;
}

void reply_done(struct reply *reply)
{
    buf_done(&reply->scratch);
}

int reply_fail(const struct reply *reply)
{
    static const struct { const char *code; int status; } statuses[] = {
        {"timeout", EX_TEMPFAIL}, {"not-found", EX_NOHOST}, {"forbidden", EX_NOPERM}, {"unauthorized", EX_NOPERM}, {"rate-limited", EX_TEMPFAIL},
        {"draining", EX_TEMPFAIL}, {"bad-envelope", EX_DATAERR}, {"too-large", EX_DATAERR}, {"unsupported", EX_USAGE},
        {"internal", EX_SOFTWARE},
    };
    fprintf(stderr, "rtcctl: %.*s\n", (int)reply->message.length, (const char *)reply->message.data);
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (bytes_is(reply->code, statuses[i].code))
            return statuses[i].status;
    return EX_PROTOCOL;
}

int session_call(struct session *session, const char *words, struct bytes data, struct reply *ret)
{
    struct bytes line;
    *ret = (struct reply){0};
    session_ask(session, words, 1, data);
    while (!session_line(session, &line)) {
        int status = session_turn(session, -1, NULL);
        if (status)
            return status;
    }
    if (reply_read(line, ret) < 0) {
        fprintf(stderr, "rtcctl: rtcd's answer cannot be read; are rtcctl and rtcd of one version?\n");
        return EX_PROTOCOL;
    }
    return ret->code.data ? reply_fail(ret) : 0;
}
