/*
 * Each part with each of its allocations failing, one at a time, until it gets through: it says so by its error, and nothing is
 * left of it (which AddressSanitizer and valgrind see).
 */
#include "tests/unit/test.h"

#include "daemon/auth/auth.h"
#include "daemon/config/config_file.h"
#include "daemon/config/option.h"
#include "daemon/core/answered.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/net/mailbox.h"
#include "lib/client/event_stream.h"
#include "lib/rtc.h"
#include "lib/transcode.h"
#include "tests/scarce/parts.h"
#include "tests/scarce/scarce.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/rtcd-test-scarce-XXXXXX";
static char config_path[64], key_path[64];

/* Config, keys */

static const char config_text[] =
    "connection: {anonymous: true, groups: 7}\nhttp: {origins: [\"http://a\", \"https://b:444\"]}\nlisten: [\"127.0.0.1:1\", \"unix:/tmp/x\"]\n"
    "webhooks: [{name: a, url: \"http://a\", events: [epoch, online], groups: [a, b]}]\n";

static int load_config(void)
{
    static const char *const overrides[] = {"resume.window=10s", "http.base-path=/x"};
    struct buf problems = {0}, changes = {0};
    struct config *config = NULL, *other = NULL;
    int r = config_load(config_path, overrides, COUNT_OF(overrides), &config, &problems);
    if (r == 0)
        r = config_load(NULL, NULL, 0, &other, &problems);
    if (r == 0) {
        options_report_changes(config, other, &changes);
        r = options_keep_until_restart(config, other);
    }
    buf_done(&problems);
    buf_done(&changes);
    config_unref(config);
    config_unref(other);
    return r;
}

static int load_bad_config(void)
{
    static const char *const overrides[] = {"resume.windw=10s", "connection.groups=many"};
    struct buf problems = {0};
    struct config *config = NULL;
    int r = config_load(config_path, overrides, COUNT_OF(overrides), &config, &problems);
    assert_true(r < 0 && !config);
    buf_done(&problems);
    return 0;
}

static int load_keys(void)
{
    char source[100];
    char *items[] = {source};
    struct config config = {.auth = {.keys = {items, 1}, .requires_exp = true, .user_claim = (char *)"sub"}};
    struct buf problems = {0};
    struct auth_verdict verdict;
    struct fault fault = {0};
    snprintf(source, sizeof(source), "%s alg=HS256 kid=one", key_path);
    int r = auth_load(&config, NULL, &problems);
    if (r == 0) {
        /* Its signature is wrong, and that is looked at last. */
        struct bytes token = BYTES("eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_int_not_equal(auth_verify(&config, token, 1000, &verdict, &fault), FAULT_NONE);
        auth_verdict_done(&verdict);
    }
    if (config.free_keys)
        config.free_keys(&config);
    buf_done(&problems);
    return r;
}

/* Codecs */

static int code_both_ways(void)
{
    struct bytes text = BYTES("{\"eventName\":\"a\\u00e9\",\"data\":{\"b\":[1,-2.5,\"\\n\\ud83d\\ude00\",\n null]},\"to\":{\"group\":\"\\u00e9\"},\"id\":7}");
    struct buf scratch = {0}, packed = {0}, room = {0}, back = {0};
    struct envelope envelope, again;
    struct fault fault = {0};
    int r = codecs[CODEC_JSON]->decode(text, &scratch, &envelope, &fault) == DECODE_DONE ? 0 : -ENOMEM;
    if (r == 0)
        envelope.to = (struct target){0};
    if (r == 0)
        r = codecs[CODEC_MSGPACK]->encode(&packed, &envelope);
    if (r == 0)
        r = codecs[CODEC_MSGPACK]->decode(buf_bytes(&packed), &room, &again, &fault) == DECODE_DONE ? 0 : -ENOMEM;
    if (r == 0)
        r = codecs[CODEC_JSON]->encode(&back, &again);
    if (r == 0)
        assert_non_null(strstr(buf_text(&back), "[1,-2.5,"));
    buf_done(&scratch);
    buf_done(&packed);
    buf_done(&room);
    buf_done(&back);
    return r;
}

/* Core */

static struct config *core_config;

static int publish(struct exchange *exchange, const char *name, enum target_kind kind)
{
    struct envelope envelope = {.event_name = BYTES("n"), .data = BYTES("[1]"), .data_codec = CODEC_JSON};
    struct target to = {.kind = kind, .name = bytes_text(name)};
    unsigned recipients;
    struct message *message = message_new(&envelope);
    int r = message ? exchange_publish(exchange, core_config, message, &to, 0, &recipients) : -ENOMEM;
    message_unref(message);
    return r;
}

static int use_hub(struct exchange *exchange, struct hub *hub, struct mailbox *mailbox)
{
    struct identity identity = {.user = BYTES("u")};
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    int r = 0;
    for (unsigned i = 0; i < 12 && r == 0; i++) {
        struct connection *connection = connection_new(hub, &scarce_dialect, CODEC_JSON, &identity, &address, &fault);
        if (!connection)
            return -ENOMEM;
        connection_attach(connection, (struct link *)hub, &scarce_transport);
        for (unsigned group = 0; group < 4 && r == 0; group++)
            r = connection_join(connection, bytes_text((const char *[]){"a", "b", "c", "d"}[group]));
        if (r == 0 && i % 3 == 0)
            r = connection_leave(connection, BYTES("b"));
    }
    for (unsigned i = 0; i < 40 && r == 0; i++)
        r = publish(exchange, i % 2 ? "a" : "u", i % 2 ? TARGET_GROUP : TARGET_USER);
    if (r == 0)
        r = publish(exchange, "", TARGET_ALL);
    struct letter letter;
    while (mailbox_take(mailbox, &letter)) {
        bool is_done = hub_handle(hub, &letter, 1);
        while (!is_done)
            is_done = hub_continue(hub);
    }
    hub_finish_turn(hub);
    return r;
}

static int run_core(void)
{
    struct mailbox mailbox;
    struct ports ports = {.post = scarce_post, .has_room = scarce_has_room, .settle = scarce_settle, .wall_ms = scarce_wall_ms, .argument = &mailbox};
    int r = mailbox_init(&mailbox, 1000);
    if (r < 0)
        return r;
    struct exchange *exchange = exchange_new(1, &ports);
    struct hub *hub = exchange ? hub_new(0, exchange, core_config, 1000) : NULL;
    if (hub) {
        r = use_hub(exchange, hub, &mailbox);
        hub_close_all(hub, FAULT_SHUTDOWN);
        hub_finish_turn(hub);
        assert_int_equal(directory_count(exchange->directory, SPACE_GROUP), 0);
        assert_int_equal(directory_count(exchange->directory, SPACE_USER), 0);
        assert_int_equal(limits_connection_count(exchange->limits), 0);
        hub_free(hub);
    }
    if (exchange)
        exchange_free(exchange);
    mailbox_done(&mailbox);
    return hub ? r : -ENOMEM;
}

/* librtc */

static void on_message(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
}

static int build_client(void)
{
    struct rtc_error error;
    struct rtc_builder *builder = rtc_builder_new();
    if (!builder)
        return -ENOMEM;
    rtc_builder_url(builder, "http://127.0.0.1:1/rtc");
    rtc_builder_user(builder, "someone");
    rtc_builder_transports(builder, "websocket,sse");
    struct rtc_client *client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!client)
        return -ENOMEM;
    enum rtc_code code = rtc_on(client, "n", on_message, NULL);
    if (code == RTC_OK)
        code = rtc_start(client);
    if (code == RTC_OK)
        code = rtc_send(client, "n", "[1]");
    rtc_free(client);
    return code == RTC_OK ? 0 : -ENOMEM;
}

static void on_event(void *argument, struct bytes data, struct bytes id)
{
    ++*(unsigned *)argument;
}

static int read_events(void)
{
    struct event_stream stream;
    struct bytes text = BYTES("id: 1\ndata: a\ndata: bb\n\nid: 2\nda");
    unsigned count = 0;
    event_stream_init(&stream, 1000);
    int r = event_stream_read(&stream, text, on_event, &count);
    if (r == 0)
        r = event_stream_read(&stream, BYTES("ta: c\n\n"), on_event, &count);
    if (r == 0)
        assert_int_equal(count, 2);
    event_stream_done(&stream);
    return r;
}

static void a_config_is_loaded_or_refused(void **state)
{
    without_each_allocation(load_config, 20);
    without_each_allocation(load_bad_config, 20);
}

static void keys_are_loaded_or_refused(void **state)
{
    without_each_allocation(load_keys, 5);
}

static void envelopes_are_decoded_and_encoded_or_refused(void **state)
{
    without_each_allocation(code_both_ways, 4);
}

static void connections_groups_and_messages_leave_nothing(void **state)
{
    without_each_allocation(run_core, 100);
}

static void a_client_is_built_or_refused(void **state)
{
    without_each_allocation(build_client, 10);
    without_each_allocation(read_events, 1);
}

/* Each key is begun, and ended or dropped; one that could not be kept is as if it had never come. */
static int keep_answers(void)
{
    struct answered *answered = answered_new();
    int r = answered ? 0 : -ENOMEM;
    for (unsigned char number = 0; number < 20 && r == 0; number++) {
        unsigned char text[300] = {(unsigned char)('a' + number)};
        struct answered_call call = {.caller = BYTES("c"), .key = bytes_of(text, 1), .group = bytes_of("ab" + number % 2, 1)};
        struct answered_entry *entry;
        struct bytes answer;
        enum answered_state state = answered_begin(answered, &call, 1000, number, &entry, &answer);
        assert_true(state == ANSWERED_NEW || state == ANSWERED_NO_MEMORY);
        if (state == ANSWERED_NO_MEMORY)
            r = -ENOMEM;
        else if (number % 4 == 0)
            answered_drop(answered, entry);
        else
            answered_end(answered, entry, bytes_of(text, sizeof(text)), 10, number);
    }
    answered_free(answered);
    return r;
}

static void answers_are_kept_or_not(void **state)
{
    without_each_allocation(keep_answers, 40);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static int set_up(void **state)
{
    static const char *const overrides[] = {"limits.fanout-slice=16", "connection.groups=4"};
    struct buf problems = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(config_path, sizeof(config_path), "%s/config", folder);
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    write_file(config_path, config_text);
    write_file(key_path, "0123456789abcdef0123456789abcdef\n");
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &core_config, &problems), 0);
    for (enum log_area area = 0; area < LOG_AREA_COUNT; area++)
        log_set_level(area, LOG_LEVEL_ERROR);
    buf_done(&problems);
    return 0;
}

static int tear_down(void **state)
{
    config_unref(core_config);
    unlink(config_path);
    unlink(key_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_config_is_loaded_or_refused), TEST(keys_are_loaded_or_refused), TEST(envelopes_are_decoded_and_encoded_or_refused),
        TEST(connections_groups_and_messages_leave_nothing), TEST(a_client_is_built_or_refused),
        TEST(answers_are_kept_or_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
