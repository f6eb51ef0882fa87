/*
 * connect: the command: from what was typed to a client, its loop with standard input, and an exit status.
 */
#include "cli/connect.h"

#include "cli/commands.h"
#include "cli/connect_edit.h"
#include "cli/token.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, LINE_MAX_BYTES = 1024 * 1024 };

/* Standard input: typed with an editor, or lines of a pipe. */
struct input {
    struct connect_edit *edit;      /* NULL: a pipe */
    struct buf in;
    uint64_t line_count;
    bool is_over;
    bool is_refused;                /* a line was no envelope */
};

static void on_message(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    struct connect *connect = argument;
    connect_view_message(&connect->view, message);
}

static void on_state_change(struct rtc_client *client, enum rtc_state from, enum rtc_state to, void *argument)
{
    struct connect *connect = argument;
    if (to == RTC_STATE_CONNECTED && !connect->was_connected) {
        connect->was_connected = true;
        connect_view_connected(&connect->view, client, NULL);
    }
}

static void on_reconnecting(struct rtc_client *client, const struct rtc_error *why, void *argument)
{
    struct connect *connect = argument;
    connect_view_lost(&connect->view, why);
}

static void on_reconnected(struct rtc_client *client, const struct rtc_reconnected *how, void *argument)
{
    struct connect *connect = argument;
    connect_view_connected(&connect->view, client, how);
}

static void on_rejoined(struct rtc_client *client, const char *group, const struct rtc_error *error, const char *json, void *argument)
{
    struct connect *connect = argument;
    connect_view_rejoined(&connect->view, group, error, json);
}

static void on_close(struct rtc_client *client, const struct rtc_error *reason, void *argument)
{
    struct connect *connect = argument;
    connect->is_over = true;
    connect->reason = *reason;
    connect_view_closed(&connect->view, reason);
}

static void before_line(void *argument)
{
    connect_edit_hide(argument);
}

static void after_line(void *argument)
{
    connect_edit_show(argument);
}

static const char *edit_word(size_t index)
{
    const struct connect_word *word = connect_words(index);
    return word ? word->word : NULL;
}

static int client_new(const struct invocation *invocation, struct connect *connect)
{
    static const struct rtc_life life = {on_state_change, on_reconnecting, on_reconnected, on_close, on_rejoined};
    char room[TOKEN_MAX];
    const char *url = arguments_value(invocation, "url"), *transports = arguments_value(invocation, "transport"), *token;
    const char *protocol = arguments_value(invocation, "protocol"), *user = arguments_value(invocation, "user");
    struct rtc_tls tls = {.ca_file = arguments_value(invocation, "ca")};
    struct rtc_error error = {0};
    int status = token_read(arguments_value(invocation, "token"), room, &token);
    if (status)
        return status;
    struct rtc_builder *builder = rtc_builder_new();
    if (!builder)
        return EX_OSERR;
    rtc_builder_url(builder, url ? url : "http://127.0.0.1:8000/rtc");
    if (transports)
        rtc_builder_transports(builder, transports);
    if (protocol)
        rtc_builder_protocols(builder, protocol);
    if (token)
        rtc_builder_access_token(builder, token);
    if (user)
        rtc_builder_user(builder, user);
    rtc_builder_tls(builder, &tls);
    connect->client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!connect->client) {
        fprintf(stderr, "rtcctl: %s\n", error.message);
        return EX_USAGE;
    }
    rtc_set_life(connect->client, &life, connect);
    return rtc_on(connect->client, NULL, on_message, connect) == RTC_OK ? 0 : EX_OSERR;
}

static void refuse(struct input *input, const char *problem)
{
    fprintf(stderr, "rtcctl: line %llu: %s\n", (unsigned long long)input->line_count + 1, problem);
    input->is_refused = true;
}

/* false: the queue is full, and the line waits. */
static bool take_line(struct connect *connect, struct input *input, struct bytes line)
{
    struct connect_action action;
    char problem[CONNECT_PROBLEM_MAX];
    bool is_taken = true;
    int r = input->edit ? connect_line_read((const char *)line.data, &action, problem) : connect_envelope_read(line, &action, problem);
    if (r == 0)
        is_taken = connect_do(connect, &action) != RTC_QUEUE_FULL;
    else if (input->edit)
        connect_view_note(&connect->view, "%s", problem);
    else
        refuse(input, problem);
    connect_action_done(&action);
    return is_taken;
}

/* What has been read, line by line, until there is no whole one, or the queue is full. */
static void take_lines(struct connect *connect, struct input *input)
{
    size_t taken = 0;
    const unsigned char *end;
    while (!connect->is_over && taken < input->in.length
           && (end = memchr(input->in.data + taken, '\n', input->in.length - taken))) {
        struct bytes line = bytes_of(input->in.data + taken, (size_t)(end - input->in.data) - taken);
        if (!take_line(connect, input, line))
            break;
        input->line_count++;
        taken += line.length + 1;
    }
    buf_consume(&input->in, taken);
    if (input->in.length >= LINE_MAX_BYTES && !memchr(input->in.data, '\n', input->in.length)) {
        refuse(input, "a line has at most 1 MiB");
        buf_clear(&input->in);
        input->is_over = true;
    }
}

static void read_pipe(struct connect *connect, struct input *input)
{
    unsigned char *room = buf_room(&input->in, READ_BYTES);
    ssize_t got = room ? read(STDIN_FILENO, room, READ_BYTES) : -1;
    if (got < 0 && errno == EINTR)
        return;
    if (got > 0) {
        input->in.length += (size_t)got;
        return;
    }
    input->is_over = true;
    if (input->in.length && input->in.data[input->in.length - 1] != '\n')
        buf_add_byte(&input->in, '\n');
}

static void read_typed(struct connect *connect, struct input *input)
{
    const char *line;
    switch (connect_edit_read(input->edit, &line)) {
    case CONNECT_TYPED_LINE:
        if (!take_line(connect, input, bytes_text(line)))
            connect_view_note(&connect->view, "as much waits to be sent as may: try again when the connection is back");
        break;
    case CONNECT_TYPED_END:
        input->is_over = true;
        break;
    case CONNECT_TYPED_MORE:
        break;
    }
}

/* Whatever the answer is, it stands behind all that was sent before; but none came, or one may have been on its way to the old connection. */
static void on_settled(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument)
{
    struct connect *connect = argument;
    connect->awaited--;
    connect->is_settled = error->code != RTC_TIMEOUT && error->code != RTC_CONNECTION_LOST;
}

/* Has the server taken all lines of the pipe? Those without an id have no reply, so a request that does nothing is sent behind them. */
static bool is_settled(struct connect *connect)
{
    if (connect->is_settled)
        return true;
    enum rtc_code code = rtc_invoke(connect->client, NULL, "rtc.leave", NULL, 0, on_settled, connect);
    if (code == RTC_OK)
        connect->awaited++;
    return code != RTC_OK && code != RTC_QUEUE_FULL;
}

/* A pipe is read no further while its lines wait for room. Where nothing came at all (</dev/null) one just listens. */
static bool is_finished(struct connect *connect, const struct input *input)
{
    if (!input->is_over || input->in.length || connect->awaited)
        return false;
    return input->edit || (input->line_count && is_settled(connect));
}

static void turn(struct connect *connect, struct input *input, int signals)
{
    bool reads = !input->is_over && input->in.length < LINE_MAX_BYTES;
    struct pollfd polled[] = {
        {.fd = rtc_fd(connect->client), .events = rtc_events(connect->client)},
        {.fd = signals, .events = POLLIN},
        {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
    };
    struct signalfd_siginfo info;
    int wait_ms = rtc_timeout_ms(connect->client);
    if (poll(polled, COUNT_OF(polled), wait_ms) < 0 && errno != EINTR)
        return;
    if (polled[2].revents)
        (input->edit ? read_typed : read_pipe)(connect, input);
    rtc_process(connect->client);
    take_lines(connect, input);
    if (!connect->is_over && (is_finished(connect, input) || connect->view.is_failed
                              || read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)))
        rtc_stop(connect->client);
}

static int status_of(enum rtc_code code)
{
    static const struct { enum rtc_code code; int status; } rows[] = {
        {RTC_OK, 0}, {RTC_STOPPED, 0}, {RTC_UNAUTHORIZED, EX_NOPERM}, {RTC_EXPIRED, EX_NOPERM}, {RTC_FORBIDDEN, EX_NOPERM},
        {RTC_RATE_LIMITED, EX_TEMPFAIL}, {RTC_DRAINING, EX_TEMPFAIL}, {RTC_BAD_ANSWER, EX_PROTOCOL}, {RTC_BAD_ARGUMENT, EX_USAGE},
        {RTC_NO_MEMORY, EX_OSERR}, {RTC_INTERNAL, EX_SOFTWARE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].code == code)
            return rows[i].status;
    return EX_UNAVAILABLE;
}

static int run(const struct invocation *invocation, struct connect *connect, struct input *input, int signals)
{
    struct connect_action join = {.verb = CONNECT_JOIN, .group = arguments_value(invocation, "group")};
    if (rtc_start(connect->client) != RTC_OK || (join.group && connect_do(connect, &join) != RTC_OK)) {
        fprintf(stderr, "rtcctl: %s\n", rtc_error(connect->client)->message);
        return EX_USAGE;
    }
    while (!connect->is_over)
        turn(connect, input, signals);
    int status = connect->view.is_failed ? EX_IOERR : status_of(connect->reason.code);
    rtc_run(connect->client);       /* until the server has been told */
    connect_edit_free(input->edit);
    input->edit = NULL;
    connect->view.before = connect->view.after = NULL;
    if (status && !connect->view.is_failed)
        fprintf(stderr, "rtcctl: %s: %s\n", rtc_code_name(connect->reason.code), connect->reason.message);
    return status == 0 && input->is_refused ? EX_DATAERR : status;
}

int command_connect(const struct invocation *invocation)
{
    struct connect connect = {.view.is_ndjson = !isatty(STDOUT_FILENO)};
    struct input input = {0};
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    if (invocation->format == OUTPUT_JSON || invocation->format == OUTPUT_NDJSON)
        connect.view.is_ndjson = true;
    int status = client_new(invocation, &connect);
    if (status == 0 && isatty(STDIN_FILENO) && !connect.view.is_ndjson) {
        input.edit = connect_edit_new("> ", edit_word);
        if (input.edit) {
            connect.view.before = before_line;
            connect.view.after = after_line;
            connect.view.argument = input.edit;
        }
    }
    sigprocmask(SIG_BLOCK, &stops, NULL);
    int signals = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
    if (status == 0)
        status = run(invocation, &connect, &input, signals);
    rtc_free(connect.client);
    connect_edit_free(input.edit);
    buf_done(&input.in);
    if (signals >= 0)
        close(signals);
    return status;
}
