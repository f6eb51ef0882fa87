/*
 * rtcctl: words to a command's row, the row to a request, the reply to the terminal, the outcome to an exit status.
 */
#include "cli/commands.h"
#include "cli/render.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

void command_add_arguments(const struct invocation *invocation, const char *const *skip, struct json_writer *json)
{
    for (unsigned i = 0; i < invocation->argument_count; i++) {
        const struct admin_argument *argument = &invocation->arguments[i];
        bool is_skipped = !invocation->values[i];
        for (const char *const *name = skip; name && *name; name++)
            is_skipped = is_skipped || strcmp(*name, argument->name) == 0;
        if (is_skipped)
            continue;
        json_key(json, argument->name);
        if (argument->takes_value && !(argument->may_lack_value && !invocation->values[i][0]))
            json_add_text(json, invocation->values[i]);
        else
            json_add_bool(json, true);
    }
}

/* Where a listing says as of which life-cycle event it holds: beside the rows, whatever their form. */
static void print_position(const struct reply *reply)
{
    struct bytes epoch = json_member(reply->data, "epoch");
    uint64_t sequence;
    if (epoch.length > 2 && json_uint(json_member(reply->data, "sequence"), &sequence) == 0)
        fprintf(stderr, "As of life-cycle event %llu of epoch %.*s\n", (unsigned long long)sequence, (int)epoch.length - 2,
                (const char *)epoch.data + 1);
}

/* Of how many in all, where a listing says so. */
static void print_totals(const struct reply *reply)
{
    struct bytes users = json_member(reply->data, "users");
    uint64_t connections, user_count;
    if (!users.length || json_uint(json_member(reply->data, "connections"), &connections) < 0)
        return;
    if (json_uint(users, &user_count) == 0)
        fprintf(stderr, "%llu connections, %llu users\n", (unsigned long long)connections, (unsigned long long)user_count);
    else
        fprintf(stderr, "%llu connections\n", (unsigned long long)connections);
}

/* What became of an event, in numbers. */
static void print_counts(const struct reply *reply)
{
    static const struct { const char *member, *word; } names[] = {
        {"acknowledged", "acknowledged"}, {"dropped", "dropped"}, {"forgotten", "forgotten"}, {"closed", "closed"}, {"tooNew", "too-new"},
        {"unsettled", "unsettled"},
    };
    uint64_t queued, count;
    if (json_uint(json_member(reply->data, "queued"), &queued) < 0)
        return;
    fprintf(stderr, "Queued to %llu", (unsigned long long)queued);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_uint(json_member(reply->data, names[i].member), &count) == 0 && count)
            fprintf(stderr, ", %s %llu", names[i].word, (unsigned long long)count);
    fprintf(stderr, "\n");
}

/* A listing under way: page by page, until it, or the user's --limit, is over. */
struct pages {
    const struct invocation *invocation;
    struct session *session;
    struct render *render;
    uint64_t left;                      /* rows still wanted */
    uint64_t page_max;                  /* sorted rows come in one page */
    uint64_t matched;
    const char *go_on;                  /* what the next page is asked by: cursor, or since */
    struct buf cursor;
    bool has_begun;
    bool lacks_some;                    /* not all that was asked for is remembered */
};

static uint64_t pages_next(const struct pages *pages)
{
    return MIN(pages->left, pages->page_max);
}

static bool is_trace(const struct invocation *invocation)
{
    return invocation->command == &admin_commands[ADMIN_trace_publish];
}

/* 0, or an exit status. */
static int pages_ask(const struct pages *pages, struct buf *out)
{
    static const char *const skip_event[] = {"limit", "event", "data", "msgpack", NULL};
    const char *const skip[] = {"limit", pages->go_on, NULL};
    struct json_writer json = json_writer(out);
    int status = 0;
    json_begin_object(&json);
    command_add_arguments(pages->invocation, is_trace(pages->invocation) ? skip_event : skip, &json);
    if (is_trace(pages->invocation))
        status = command_add_event(pages->invocation, &json);
    if (arguments_takes(pages->invocation, "limit")) {
        json_key(&json, "limit");
        json_add_uint(&json, pages_next(pages));
    }
    if (pages->invocation->columns && arguments_takes(pages->invocation, "columns")) {
        json_key(&json, "columns");
        json_add_text(&json, pages->invocation->columns);
    }
    if (pages->cursor.length) {
        json_key(&json, pages->go_on);
        json_add_string(&json, buf_bytes(&pages->cursor));
    }
    json_end_object(&json);
    return status;
}

/* A page of a filtered listing may have fewer rows than asked for, or none, and yet be followed by others. */
static void pages_take(struct pages *pages, struct reply *reply)
{
    struct bytes next;
    bool is_recovered = true;
    if (!pages->has_begun) {
        print_position(reply);
        print_totals(reply);
        print_counts(reply);
    }
    pages->has_begun = true;
    uint64_t count = render_rows(pages->render, json_member(reply->data, "rows"));
    pages->left -= MIN(count, pages->left);
    buf_clear(&pages->cursor);
    if (json_string(json_member(reply->data, "cursor"), &reply->scratch, &next) == 0)
        buf_add_bytes(&pages->cursor, next);
    (void)!json_bool(json_member(reply->data, "recovered"), &is_recovered);
    pages->lacks_some = !is_recovered && !pages->cursor.length;     /* a page is not all either */
    if (json_uint(json_member(reply->data, "matched"), &pages->matched) < 0)
        pages->matched = 0;
}

static int pages_run(struct pages *pages)
{
    int status = 0;
    do {
        struct buf data = {0};
        struct reply reply = {0};
        status = pages_ask(pages, &data);
        if (status == 0)
            status = session_call(pages->session, pages->invocation->command->words, buf_bytes(&data), &reply);
        if (status == 0)
            pages_take(pages, &reply);
        session_drop_line(pages->session);
        reply_done(&reply);
        buf_done(&data);
    } while (status == 0 && pages->left && pages->cursor.length);
    if (status == 0)
        status = render_finish(pages->render, buf_bytes(&pages->cursor), pages->matched);
    if (status || !pages->lacks_some)
        return status;
    fprintf(stderr, "rtcctl: this is not all that was asked for: %s\n", arguments_value(pages->invocation, "since")
            ? "some of what followed is not remembered any more; without --since, what still is remembered is shown"
            : "there are values of more keys, or there was no room to remember one (history-envelopes, history-bytes)");
    return EX_NOHOST;
}

static int run_listing(const struct invocation *invocation, struct session *session)
{
    const char *go_on = arguments_takes(invocation, "since") ? "since" : "cursor";
    const char *wanted = arguments_value(invocation, "limit"), *start = arguments_value(invocation, go_on);
    struct pages pages = {.invocation = invocation, .session = session, .left = UINT64_MAX, .go_on = go_on,
                          .page_max = arguments_value(invocation, "sort") || !arguments_takes(invocation, "cursor") ? ADMIN_ROWS_SORTED_MAX
                              : ADMIN_ROWS_PAGE};
    if (wanted && (json_uint(bytes_text(wanted), &pages.left) < 0 || pages.left == 0)) {
        fprintf(stderr, "rtcctl: --limit needs a whole number from 1\n");
        return EX_USAGE;
    }
    pages.render = render_new(invocation, invocation->command->columns);
    if (!pages.render)
        return EX_USAGE;
    if (start)
        buf_add_text(&pages.cursor, start);
    int status = pages_run(&pages);
    buf_done(&pages.cursor);
    render_free(pages.render);
    return status;
}

static int run_object(const struct invocation *invocation, struct session *session)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    struct reply reply;
    json_begin_object(&json);
    command_add_arguments(invocation, NULL, &json);
    json_end_object(&json);
    int status = session_call(session, invocation->command->words, buf_bytes(&data), &reply);
    if (status == 0)
        status = render_object(invocation, reply.data);
    reply_done(&reply);
    buf_done(&data);
    return status;
}

/* A --token is read as explain token reads its own. */
static int run_explain(const struct invocation *invocation, struct session *session)
{
    struct invocation read = *invocation;
    struct buf token = {0};
    int status = 0;
    for (unsigned i = 0; i < read.argument_count && status == 0; i++) {
        if (!read.values[i] || strcmp(read.arguments[i].name, "token") != 0)
            continue;
        status = command_read_token(read.values[i], &token);
        read.values[i] = buf_text(&token);
    }
    if (status == 0)
        status = run_listing(&read, session);
    buf_done(&token);
    return status;
}

static int run_reload(const struct invocation *invocation, struct session *session)
{
    struct reply reply;
    struct bytes report;
    int status = session_call(session, "reload", (struct bytes){0}, &reply);
    if (status == 0 && json_string(json_member(reply.data, "report"), &reply.scratch, &report) == 0)
        printf("%.*s", (int)report.length, (const char *)report.data);
    reply_done(&reply);
    return status;
}

static int run_version(const struct invocation *invocation, struct session *session)
{
    if (invocation->format != OUTPUT_JSON && invocation->format != OUTPUT_NDJSON)
        printf("rtcctl\t%s\n", RTCD_VERSION);
    return run_object(invocation, session);
}

static int run_publish(const struct invocation *invocation, struct session *session)
{
    return arguments_value(invocation, "stream") ? command_publish_stream(invocation, session)
                                                 : command_publish(invocation, session);
}

/* Commands that are more than a request and a view of its reply. */
static const struct { enum admin_command_id id; int (*run)(const struct invocation *invocation, struct session *session); }
special[] = {
    {ADMIN_publish, run_publish},
    {ADMIN_listen, command_listen},
    {ADMIN_handle, command_handle},
    {ADMIN_reply_to, command_reply},
    {ADMIN_explain_token, command_with_token},
    {ADMIN_revoke_token, command_with_token},
    {ADMIN_explain_join, run_explain},
    {ADMIN_explain_publish, run_explain},
    {ADMIN_explain_presence, run_explain},
    {ADMIN_explain_history, run_explain},
    {ADMIN_reload, run_reload},
    {ADMIN_version, run_version},
};

/* Commands that ask no daemon's admin socket, or one that may not be there yet; a row of own_commands.def without its command_NAME() does
 * not link. */
static const struct { enum admin_command_id id; int (*run)(const struct invocation *invocation); } own[] = {
    {ADMIN_wait_ready, command_wait_ready},
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) {ADMIN_##id, command_##id},
#include "lib/own_commands.def"
#undef ADMIN_COMMAND
};

static int run(const struct invocation *invocation)
{
    struct session session;
    const struct admin_command *command = invocation->command;
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (command == &admin_commands[own[i].id])
            return own[i].run(invocation);
    int status = session_open(&session, invocation->socket);
    if (status == 0) {
        int (*run_it)(const struct invocation *, struct session *) = command->columns[0] ? run_listing : run_object;
        for (size_t i = 0; i < COUNT_OF(special); i++)
            if (command == &admin_commands[special[i].id])
                run_it = special[i].run;
        status = run_it(invocation, &session);
    }
    session_close(&session);
    return status;
}

/* Whoever read it has seen enough, as head(1). */
static bool is_unread_pipe(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) == 1 && output.revents & POLLERR;
}

static int printed(int status)
{
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (is_written || (status && status != EX_IOERR))
        return status;
    if (!is_unread_pipe())
        fputs("rtcctl: standard output cannot be written\n", stderr);
    return EX_IOERR;
}

/* One that is closed would be the admin socket's number: what is printed would go there, and answers be read as data. */
static bool fill_standard_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct invocation invocation;
    signal(SIGPIPE, SIG_IGN);
    if (!fill_standard_descriptors())
        return EX_IOERR;
    int status = arguments_read(argc, argv, &invocation);
    if (status)
        return status;
    if (invocation.wants_version) {
        printf("rtcctl %s\n", RTCD_VERSION);
        return printed(0);
    }
    if (invocation.command && !invocation.wants_help)
        return printed(run(&invocation));
    if (invocation.word_count && strcmp(invocation.words[0], "completion") == 0 && !invocation.wants_help)
        return printed(command_completion(&invocation));
    return printed(command_help(&invocation));
}
