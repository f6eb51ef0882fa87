#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/config/groups.h"
#include "daemon/config/webhooks.h"
#include "daemon/config/listen.h"
#include "daemon/config/option.h"

#include <sys/mman.h>
#include <unistd.h>

static int load(const char *text, const char *const *overrides, size_t count, struct config **ret, struct buf *problems)
{
    char path[64];
    int file = memfd_create("config", 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    *ret = NULL;
    buf_clear(problems);
    int r = config_load(path, overrides, count, ret, problems);
    close(file);
    return r;
}

static void every_option_has_a_right_default_that_reads_back_and_one_short_sentence(void **state)
{
    struct config *config;
    struct buf problems = {0};
    assert_int_equal(config_load(NULL, NULL, 0, &config, &problems), 0);
    for (size_t i = 0; i < option_count; i++) {
        const struct config_option *option = &options[i];
        struct buf first = {0}, second = {0}, reason = {0};
        option_print(config, option, &first);
        assert_int_equal(option_set(config, option, buf_text(&first), "test", &reason), 0);
        option_print(config, option, &second);
        assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
        size_t length = strlen(option->summary);
        assert_true(length > 10 && length < 90 && option->summary[length - 1] == '.' && !strstr(option->summary, ". "));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(option->path, options[k].path);
        buf_done(&first);
        buf_done(&second);
        buf_done(&reason);
    }
    config_unref(config);
    buf_done(&problems);
}

static void all_mistakes_are_told_at_once_with_their_lines(void **state)
{
    struct config *config;
    struct buf problems = {0};
    const char *text = "workers: 100\n"
                       "listen: [127.0.0.1:80, nonsense]\n"
                       "conection:\n"
                       "  anonymous: true\n"
                       "resume:\n"
                       "  widnow: 5s\n"
                       "  bytes: 1KB\n"
                       "  envelopes: [1]\n"
                       "publish: yes\n"
                       "workers: 2\n"
                       "http:\n"
                       "  base-path: rtc\n"
                       "  origins: &a [\"https://x/path\"]\n"
                       "log:\n"
                       "  core: loud\n";
    static const char *const expected[] = {
        ":1: workers: \"100\"", ":2: listen: \"nonsense\"", ":3: conection: there is no such option; did you mean connection?", ":6: resume.widnow", "did you mean resume.window?",
        ":7: resume.bytes: \"1KB\" is not right: a size such as 64KiB", ":8: resume.envelopes: one value is expected",
        ":9: publish: options are expected below it", ":10: workers: it is given twice", ":12: http.base-path", ":13: http.origins: anchors",
        ":15: log.core: \"loud\" is not right: one of these is expected: error warning info debug",
    };
    assert_int_equal(load(text, NULL, 0, &config, &problems), -EINVAL);
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        if (!strstr(buf_text(&problems), expected[i]))
            fail_msg("missing: %s\nin:\n%s", expected[i], buf_text(&problems));
    buf_done(&problems);
}

static void what_is_not_a_mapping_of_options_is_refused(void **state)
{
    static const char *const texts[] = {"- a\n", "just text\n", "a: b\n---\nc: d\n", "workers: *x\n", "workers: !!int 3\n", "{: }", "\"\n", "? [a]\n: b\n",
                                        "workers:\n  auto: 1\n", "\t x"};
    struct config *config;
    struct buf problems = {0};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (load(texts[i], NULL, 0, &config, &problems) != -EINVAL)
            fail_msg("taken: %s", texts[i]);
        assert_true(problems.length > 0);
    }
    assert_int_equal(load("", NULL, 0, &config, &problems), 0);
    config_unref(config);
    assert_int_equal(config_load("/nowhere/rtcd.yaml", NULL, 0, &config, &problems), -ENOENT);
    buf_done(&problems);
}

static void expect_problem(const char *text, const char *expected)
{
    struct config *config;
    struct buf problems = {0};
    if (load(text, NULL, 0, &config, &problems) != -EINVAL || !strstr(buf_text(&problems), expected))
        fail_msg("for:\n%s\nmissing: %s\nin:\n%s", text, expected, buf_text(&problems));
    buf_done(&problems);
}

static void no_mistake_hides_those_behind_it(void **state)
{
    expect_problem("? [a, {b: c}]\n: {d: [e]}\nworkers: 0\n", ":3: workers: \"0\" is not right: a whole number, or auto, of at least 1 and at most 64");
    expect_problem("&a listen: x\n*a : y\nworkers: 0\n", ":3: workers");
    expect_problem("resume: {window: 1}\nqueue: [1, {a: b}]\nresume: {bytes: x}\n", ":3: resume: it is given twice");
    expect_problem("resume: {window: 1}\nqueue: [1, {a: b}]\nresume: {bytes: x}\n", ":3: resume.bytes: \"x\"");
    expect_problem("resume: {window: 1}\nqueue: [1, {a: b}]\nresume: {bytes: x}\n", ":2: queue: options are expected below it");
    expect_problem("listen:\n  - 127.0.0.1:1\n  - {a: b}\n  - 127.0.0.1:x\nlog: {net: 3}\n", ":3: listen: its items must be plain values");
    expect_problem("listen:\n  - 127.0.0.1:1\n  - {a: b}\n  - 127.0.0.1:x\nlog: {net: 3}\n", ":4: listen: \"127.0.0.1:x\"");
    expect_problem("listen:\n  - 127.0.0.1:1\n  - {a: b}\n  - 127.0.0.1:x\nlog: {net: 3}\n", ":5: log.net: \"3\"");
}

static void nesting_without_end_is_refused_where_it_begins(void **state)
{
    char text[20001] = "listen: ";
    memset(text + strlen(text), '[', sizeof(text) - 1 - strlen(text));
    expect_problem(text, ":1: nested too deep");
}

static void text_that_is_none_is_refused_where_it_stands(void **state)
{
    expect_problem("listen: \"127.0.0.1:8000\\0x\"\n", ":1: listen: the value has a NUL byte");
    expect_problem("\"workers\\0x\": 2\n", ":1: an option's name is expected");
    expect_problem("workers: 2\n\nadmin: {group: \xff}\n", ":3: not YAML");
    expect_problem("\"\\e[2J\": 2\n", ":1: \\x1b[2J: there is no such option");
    expect_problem("keep-alive: 5s\n", "did you mean connection.keep-alive?");
    expect_problem("http: {origins: [\"https://Example.org\"]}\n", "in lower case");
}

static void a_file_beyond_its_limit_is_not_read(void **state)
{
    struct config *config;
    struct buf problems = {0}, text = {0};
    while (text.length < 1100 * 1024)
        buf_add_text(&text, "# a line of comment\n");
    assert_int_equal(load(buf_text(&text), NULL, 0, &config, &problems), -EFBIG);
    assert_non_null(strstr(buf_text(&problems), "cannot be read"));
    buf_done(&text);
    buf_done(&problems);
}

static void each_option_can_be_compared_and_copied(void **state)
{
    struct config *ours, *theirs;
    struct buf problems = {0};
    assert_int_equal(config_load(NULL, NULL, 0, &ours, &problems), 0);
    assert_int_equal(load("workers: 3\nlisten: [127.0.0.1:81, \"[::1]:82\"]\nadmin: {mode: 0600, group: staff}\nresume: {window: 90s}\n"
                          "limits: {connections-per-address: unlimited}\npublish: {to-group: anyone}\ntransports: {sse: no}\n",
                          NULL, 0, &theirs, &problems), 0);
    unsigned changed = 0, restarts = 0;
    for (size_t i = 0; i < option_count; i++) {
        bool is_same = option_is_same(ours, theirs, &options[i]);
        changed += !is_same;
        restarts += !is_same && options[i].reload == RELOAD_RESTART;
        assert_int_equal(option_copy(ours, theirs, &options[i]), 0);
        assert_true(option_is_same(ours, theirs, &options[i]));
        assert_string_equal(option_origin(ours, &options[i]), option_origin(theirs, &options[i]));
    }
    assert_int_equal(changed, 8);
    assert_int_equal(restarts, 4);
    assert_int_equal(ours->admin.mode, 0600);
    assert_int_equal(ours->limits.connections_per_address, 0);
    config_unref(ours);
    config_unref(theirs);
    buf_done(&problems);
}

static void listen_addresses(void **state)
{
    static const char *const right[] = {"127.0.0.1:8000", "0.0.0.0:65535", "[::]:1", "[fe80::1]:80", "unix:/run/a.sock", "systemd:web",
                                        "tls:127.0.0.1:8443", "tls:[::]:8443", "tls:unix:/run/a.sock", "tls:systemd:web",
                                        "proxy:127.0.0.1:8000", "proxy:tls:[::]:8443", "proxy:unix:/run/a.sock", "proxy:systemd:web"};
    static const char *const wrong[] = {
        "", ":", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "localhost:80", "::1:80", "[::1]", "[::1]80", "[]:80",
        "[127.0.0.1]:80", "unix:run/a.sock", "unix:", "systemd:", "127.0.0.1:80 ", "127.0.0.1:+80", "127.1:80",
        "tls:", "tls:tls:127.0.0.1:80", "TLS:127.0.0.1:80", "proxy:", "proxy:tls:", "tls:proxy:127.0.0.1:80", "proxy:proxy:127.0.0.1:80",
    };
    struct listen_address address;
    for (size_t i = 0; i < COUNT_OF(right); i++)
        if (listen_parse(right[i], &address) != 0)
            fail_msg("refused: %s", right[i]);
        else
            assert_true(address.is_tls == (strstr(right[i], "tls:") != NULL) && address.is_proxied == (right[i][0] == 'p'));
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (listen_parse(wrong[i], &address) != -EINVAL)
            fail_msg("taken: %s", wrong[i]);
}

static void origins_hosts_and_proxies_that_could_never_match_are_refused(void **state)
{
    static const struct { const char *option, *right, *wrong; } rows[] = {
        {"http.origins", "https://app.example", "https://app.example/"}, {"http.origins", "https://app.example:8443", "https://app.example:443"},
        {"http.origins", "http://app.example:443", "http://app.example:80"}, {"http.origins", "null", "https://App.example"},
        {"http.hosts", "example.org", "https://example.org"}, {"http.hosts", "localhost:8000", "Localhost"},
        {"http.hosts", "[::1]:80", "::1"}, {"http.hosts", "[::1]", "[::1"}, {"http.hosts", "127.0.0.1", "example.org/x"},
        {"http.trusted-proxies", "10.0.0.0/8", "10.0.0.1/8"}, {"http.trusted-proxies", "unix", "localhost"}, {"http.trusted-proxies", "::1", "[::1]"},
    };
    struct config *config;
    struct buf problems = {0};
    assert_int_equal(load("", NULL, 0, &config, &problems), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf reason = {0};
        const struct config_option *option = option_find(rows[i].option);
        if (option_set(config, option, rows[i].right, "test", &reason) != 0 || option_set(config, option, rows[i].wrong, "test", &reason) != -EINVAL)
            fail_msg("%s: %s, %s", rows[i].option, rows[i].right, rows[i].wrong);
        buf_done(&reason);
    }
    config_unref(config);
    buf_done(&problems);
}

static void values_origins_and_overrides(void **state)
{
    struct config *config;
    struct buf problems = {0};
    static const char *const good[] = {"workers=3", "http.origins=https://a.example,https://b.example:8443"};
    assert_int_equal(load("workers: auto\nlisten:\n  - 127.0.0.1:8001\n  - \"[::1]:8002\"\nresume: {window: 2min, bytes: 1MiB}\n", good, 2, &config,
                          &problems), 0);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->listen.count, 2);
    assert_int_equal(config->resume.window_ms, 120000);
    assert_int_equal(config->http.origins.count, 2);
    assert_string_equal(config->http.origins.items[1], "https://b.example:8443");
    assert_non_null(strstr(option_origin(config, option_find("resume.bytes")), ":5"));
    assert_string_equal(option_origin(config, option_find("workers")), "command line");
    assert_string_equal(option_origin(config, option_find("queue.time")), "default");
    config_unref(config);
    static const char *const bad[] = {"workers", "wrokers=1", "workers=x"};
    assert_int_equal(load("", bad, 3, &config, &problems), -EINVAL);
    assert_non_null(strstr(buf_text(&problems), "did you mean workers?"));
    buf_done(&problems);
}

static void rules_between_options(void **state)
{
    static const char *const overrides[][1] = {
        {"connection.timeout=10s"}, {"http.body-bytes=32KiB"}, {"queue.bytes=4KiB"}, {"listen="}, {"listen=proxy:127.0.0.1:1"}, {"http.target-bytes=64KiB"}, {"protocols.json=false"},
        {"listen=127.0.0.1:80,[::1]:80,127.0.0.1:80"},
    };
    struct config *config;
    struct buf problems = {0};
    for (size_t i = 0; i < COUNT_OF(overrides); i++) {
        buf_clear(&problems);
        assert_int_equal(config_load(NULL, overrides[i], 1, &config, &problems), -EINVAL);
    }
    buf_done(&problems);
}

static void the_sample_is_a_config_of_comments(void **state)
{
    struct config *config;
    struct buf sample = {0}, problems = {0};
    config_print_sample(&sample);
    assert_int_equal(load(buf_text(&sample), NULL, 0, &config, &problems), 0);
    config_unref(config);
    /* With the hash marks of its options taken away it is every default, spelled out. */
    struct buf plain = {0};
    for (char *line = strtok((char *)sample.data, "\n"); line; line = strtok(NULL, "\n")) {
        bool is_option = line[0] == '#' && line[1] != ' ' ;
        bool is_member = line[0] == '#' && line[1] == ' ' && line[2] == ' ';
        if (is_option || is_member)
            buf_add_format(&plain, "%s\n", line + 1);
    }
    if (load(buf_text(&plain), NULL, 0, &config, &problems) != 0)
        fail_msg("%s\n%s", buf_text(&problems), buf_text(&plain));
    config_unref(config);
    buf_done(&plain);
    buf_done(&sample);
    buf_done(&problems);
}

static const char *const rules = "groups:\n  - match: \"room.*.staff\"\n    join: nobody\n"
                                 "  - {match: \"room.**\", join: token, publish: anyone}\n  - match: news\n";

static void the_first_rule_that_matches_holds_alone(void **state)
{
    struct config *config;
    struct buf problems = {0};
    assert_int_equal(load(rules, NULL, 0, &config, &problems), 0);
    const struct group_rule *first = config_group_rule(config, BYTES("room.7.staff")), *second = config_group_rule(config, BYTES("room.7")),
        *third = config_group_rule(config, BYTES("news"));
    assert_ptr_equal(first, &config->groups[0]);
    assert_ptr_equal(second, &config->groups[1]);
    assert_ptr_equal(third, &config->groups[2]);
    assert_null(config_group_rule(config, BYTES("newsx")));
    assert_int_equal(config_who_may(config, first, GROUP_JOIN), WHO_NOBODY);
    assert_int_equal(config_who_may(config, first, GROUP_PUBLISH), config->may[GROUP_PUBLISH]);
    assert_int_equal(config_who_may(config, second, GROUP_PUBLISH), WHO_ANYONE);
    assert_int_equal(config_who_may(config, third, GROUP_JOIN), config->may[GROUP_JOIN]);
    assert_int_equal(config_who_may(config, NULL, GROUP_JOIN), WHO_ANYONE);
    assert_non_null(strstr(second->origin, ":4"));
    config_unref(config);
    buf_done(&problems);
}

static void rules_are_cloned_and_compared(void **state)
{
    struct config *config, *other;
    struct buf problems = {0};
    assert_int_equal(load(rules, NULL, 0, &config, &problems), 0);
    struct config *clone = config_clone(config);
    assert_true(clone && rule_list_is_same(&group_list, config, clone));
    assert_string_equal(clone->groups[1].origin, config->groups[1].origin);
    assert_int_equal(load("groups: [{match: x}]\n", NULL, 0, &other, &problems), 0);
    assert_false(rule_list_is_same(&group_list, config, other));
    options_report_changes(config, other, &problems);
    assert_non_null(strstr(buf_text(&problems), "groups changed"));
    config_unref(config);
    config_unref(clone);
    config_unref(other);
    buf_done(&problems);
}

static void mistakes_in_rules_are_told_with_their_lines(void **state)
{
    expect_problem("groups:\n  - match: a\n    publsh: nobody\n", ":3: groups.publsh: there is no such option; did you mean groups.publish?");
    expect_problem("groups:\n  - match: a\n    publish: memebrs\n",
                   ":3: groups.publish: \"memebrs\" is not right: one of these is expected: nobody token members anyone default");
    expect_problem("groups:\n  - match: a\n  - join: nobody\n", ":3: groups.match: each rule needs it");
    expect_problem("groups:\n  - match: \"a***\"\n", ":2: groups.match: \"a***\" is not right: a pattern");
    expect_problem("groups:\n  - match: a\n    match: b\n", ":3: groups.match: it is given twice");
    expect_problem("groups:\n  - match: [a]\n", ":2: groups.match: one value is expected");
    expect_problem("groups: {match: a}\n", ":1: groups: a list of rules is expected");
    expect_problem("groups: nobody\n", ":1: groups: a list of rules is expected");
    expect_problem("groups:\n  - room\nworkers: 0\n", ":2: groups: each rule is a mapping");
    expect_problem("groups:\n  - room\nworkers: 0\n", ":3: workers");
    expect_problem("groups:\n  - {match: a, x: {y: [z]}}\nworkers: 0\n", ":2: groups.x: there is no such option");
    expect_problem("groups:\n  - {match: a, x: {y: [z]}}\nworkers: 0\n", ":3: workers");
    expect_problem("groups: []\ngroups: []\n", ":2: groups: it is given twice");
    expect_problem("gruops: []\n", "did you mean groups?");
    expect_problem("groups:\n  - &a {match: a}\n", ":2: groups: each rule is a mapping");
    struct config *config;
    struct buf problems = {0};
    static const char *const override[] = {"groups=x"};
    assert_int_equal(load("groups:\n", NULL, 0, &config, &problems), 0);
    config_unref(config);
    assert_int_equal(load("", override, 1, &config, &problems), -EINVAL);
    assert_non_null(strstr(buf_text(&problems), "from the file alone"));
    buf_done(&problems);
}

static const char hooks[] = "webhooks:\n  - name: a\n    url: https://example.org/x\n    events: [connected, online]\n    groups: [\"room.*\", \"x\"]\n"
                            "  - {name: b, url: \"http://[::1]:80/\", events: epoch, batch: 7}\n";

static void webhooks_are_read_cloned_and_compared(void **state)
{
    struct config *config;
    struct buf problems = {0};
    if (load(hooks, NULL, 0, &config, &problems) < 0)
        fail_msg("%s", buf_text(&problems));
    struct config *clone = config_clone(config);
    assert_true(clone && rule_list_is_same(&webhook_list, config, clone));
    const struct webhook_rule *rule = &clone->webhooks[0];
    assert_int_equal(clone->webhook_count, 2);
    assert_true(webhook_rule_wants(rule, WEBHOOK_ONLINE) && webhook_rule_wants(rule, WEBHOOK_CONNECTED) && !webhook_rule_wants(rule, WEBHOOK_EPOCH));
    assert_true(webhook_rule_has_group(rule, BYTES("room.1")) && webhook_rule_has_group(rule, BYTES("x")) && !webhook_rule_has_group(rule, BYTES("y")));
    assert_true(webhook_rule_has_group(&clone->webhooks[1], BYTES("y")));
    assert_int_equal(clone->webhooks[1].batch, 7);
    clone->webhooks[1].batch = 8;
    assert_false(rule_list_is_same(&webhook_list, config, clone));
    config_unref(config);
    config_unref(clone);
    buf_done(&problems);
}

static void mistakes_in_webhooks_are_told_with_their_lines(void **state)
{
    static const char *const urls[] = {"ftp://a", "https:///x", "http://u:p@a", "http://a b", "http://a#x", "a", "", "http://", "http://:1", "http://a:",
                                       "http://a:0/", "http://a:65536/", "http://a:8o/", "http://a:000080", "http://[::1", "http://::1]/", "http://[::1]1/", "http://a:1:2"};
    static const char *const right[] = {"http://a:1", "https://a:65535/x:y", "http://[::1]:8/", "http://[2001:db8::7]", "http://a?b:c"};
    expect_problem("webhooks:\n  - {name: a, url: http://a}\n", ":2: webhooks.events: each rule needs it");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: []}\n", ":2: webhooks.events: each rule needs it");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: []}\n  - x\n", ":3: webhooks: each rule is a mapping, as name: \"accounts\"");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: [conected]}\n", ":2: webhooks.events: \"conected\" is not right: connect, ");
    expect_problem("webhooks:\n  - {name: a b, url: http://a, events: epoch}\n", ":2: webhooks.name: \"a b\" is not right");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: epoch}\n  - {name: a, url: http://b, events: epoch}\n",
                   ":3: webhooks.name: another webhook has this name");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: epoch, retry-delay: 2s, retry-delay-max: 1s}\n", ":2: webhooks.retry-delay-max: it must be");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: epoch, groups: [\"a,b\"]}\n", "without a comma");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: event, event-names: [\"a,b\"]}\n", ":2: webhooks.event-names: ");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: connect}\n  - {name: b, url: http://b, events: [epoch, connect]}\n",
                   ":3: webhooks.events: another webhook is asked already");
    expect_problem("webhooks:\n  - {name: a, url: http://a, events: epoch, secret-file: x}\n", ":2: webhooks.secret-file: ");
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct buf text = {0};
        buf_add_format(&text, "webhooks:\n  - {name: a, url: \"%s\", events: epoch}\n", urls[i]);
        expect_problem(buf_text(&text), ":2: webhooks.url: ");
        buf_done(&text);
    }
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        struct config *config;
        struct buf text = {0}, problems = {0};
        buf_add_format(&text, "webhooks:\n  - {name: a, url: \"%s\", events: epoch}\n", right[i]);
        if (load(buf_text(&text), NULL, 0, &config, &problems) < 0)
            fail_msg("%s", buf_text(&problems));
        config_unref(config);
        buf_done(&text);
        buf_done(&problems);
    }
}

static void there_may_be_so_many_rules_and_no_more(void **state)
{
    struct config *config;
    struct buf problems = {0}, text = {0};
    buf_add_text(&text, "groups:\n");
    for (unsigned i = 0; i < GROUP_RULES_MAX; i++)
        buf_add_format(&text, "  - match: a%u\n", i);
    assert_int_equal(load(buf_text(&text), NULL, 0, &config, &problems), 0);
    assert_int_equal(config->group_count, GROUP_RULES_MAX);
    config_unref(config);
    buf_add_text(&text, "  - match: more\n");
    expect_problem(buf_text(&text), ":130: groups: there are more than 128 rules");
    buf_done(&text);
    buf_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_option_has_a_right_default_that_reads_back_and_one_short_sentence), TEST(all_mistakes_are_told_at_once_with_their_lines),
        TEST(what_is_not_a_mapping_of_options_is_refused), TEST(values_origins_and_overrides), TEST(rules_between_options),
        TEST(the_sample_is_a_config_of_comments),
        TEST(no_mistake_hides_those_behind_it), TEST(nesting_without_end_is_refused_where_it_begins), TEST(text_that_is_none_is_refused_where_it_stands),
        TEST(a_file_beyond_its_limit_is_not_read), TEST(each_option_can_be_compared_and_copied), TEST(listen_addresses),
        TEST(origins_hosts_and_proxies_that_could_never_match_are_refused),
        TEST(the_first_rule_that_matches_holds_alone), TEST(rules_are_cloned_and_compared),
        TEST(mistakes_in_rules_are_told_with_their_lines), TEST(webhooks_are_read_cloned_and_compared),
        TEST(mistakes_in_webhooks_are_told_with_their_lines), TEST(there_may_be_so_many_rules_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
