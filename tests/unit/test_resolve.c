#include "tests/unit/loopback.h"

#include "lib/client/resolve.h"

#include <pthread.h>
#include <signal.h>

struct asker {
    struct io io;
    struct resolution *resolution;
    struct addresses found;
    struct rtc_error why;
    unsigned count;
    bool cancels;
};

static void on_done(void *owner, const struct addresses *found, const struct rtc_error *why)
{
    struct asker *asker = owner;
    assert_true(!found != !why);
    asker->count++;
    if (found)
        asker->found = *found;
    else
        asker->why = *why;
    if (asker->cancels)
        resolve_cancel(STEAL(asker->resolution));
}

static void asker_init(struct asker *asker, const char *host, bool is_ipv6)
{
    struct url url = {.port = 8000, .is_ipv6 = is_ipv6};
    strcpy(url.host, host);
    *asker = (struct asker){0};
    assert_int_equal(io_init(&asker->io), 0);
    asker->resolution = resolve_start(&asker->io, &url, on_done, asker, NULL);
    assert_non_null(asker->resolution);
    assert_int_equal(asker->count, 0);
}

static void asker_wait(struct asker *asker)
{
    while (!asker->count) {
        assert_int_equal(poll(&(struct pollfd){.fd = asker->io.epoll, .events = POLLIN}, 1, PATIENCE_MS), 1);
        io_process(&asker->io);
    }
    io_process(&asker->io);
    assert_int_equal(asker->count, 1);
}

static void asker_done(struct asker *asker)
{
    if (asker->resolution)
        resolve_cancel(asker->resolution);
    assert_int_equal(io_timeout_ms(&asker->io), -1);
    io_done(&asker->io);
}

static unsigned own_descriptors;        /* of the test itself, before it looked anything up */

static unsigned threads(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void addresses_are_known_at_once_without_a_thread(void **state)
{
    static const struct { const char *host, *first; bool is_ipv6; } rows[] = {
        {"127.0.0.1", "127.0.0.1", false}, {"::1", "::1", true}, {"2001:DB8::00ff", "2001:db8::ff", true}, {"0.0.0.0", "0.0.0.0", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct asker asker;
        char text[INET6_ADDRSTRLEN];
        unsigned before = threads();
        asker_init(&asker, rows[i].host, rows[i].is_ipv6);
        assert_int_equal(threads(), before);
        io_process(&asker.io);
        assert_int_equal(asker.count, 1);
        assert_int_equal(asker.found.count, 1);
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&asker.found.list[0].storage;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&asker.found.list[0].storage;
        assert_int_equal(v4->sin_family, rows[i].is_ipv6 ? AF_INET6 : AF_INET);
        assert_int_equal(ntohs(rows[i].is_ipv6 ? v6->sin6_port : v4->sin_port), 8000);
        inet_ntop(v4->sin_family, rows[i].is_ipv6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, text, sizeof(text));
        assert_string_equal(text, rows[i].first);
        asker_done(&asker);
    }
}

static void a_name_is_looked_up_beside_the_loop(void **state)
{
    struct asker asker;
    asker_init(&asker, "localhost", false);
    asker_wait(&asker);
    assert_in_range(asker.found.count, 1, ADDRESSES_MAX);
    asker_done(&asker);
}

/* No name server is asked for a label of more than 63 bytes: how long one takes is not ours to test. */
static const char long_label[] = "a123456789a123456789a123456789a123456789a123456789a123456789a123456789.localhost";

static void what_has_no_address_is_named(void **state)
{
    static const struct { const char *host; bool is_ipv6; } rows[] = {{":::", true}, {long_label, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct asker asker;
        asker_init(&asker, rows[i].host, rows[i].is_ipv6);
        asker_wait(&asker);
        assert_int_equal(asker.found.count, 0);
        assert_int_equal(asker.why.code, RTC_NETWORK);
        assert_non_null(strstr(asker.why.message, rows[i].host));
        asker_done(&asker);
    }
}

static void it_may_be_cancelled_in_its_own_callback(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", long_label};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct asker asker;
        asker_init(&asker, hosts[i], false);
        asker.cancels = true;
        asker_wait(&asker);
        assert_null(asker.resolution);
        asker_done(&asker);
    }
}

static void who_does_not_wait_hears_nothing_and_leaves_nothing_behind(void **state)
{
    for (int i = 0; i < 30; i++) {
        struct asker asker;
        asker_init(&asker, "localhost", false);
        if (i % 2)
            io_process(&asker.io);
        asker_done(&asker);
        assert_true(asker.count <= (unsigned)(i % 2));
    }
    /* A thread ends by itself, a moment after it has said what it found. */
    for (int i = 0; open_descriptors() != own_descriptors; i++) {
        assert_true(i < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static volatile sig_atomic_t signal_count;
static pthread_t signal_thread;

static void on_signal(int number)
{
    signal_thread = pthread_self();
    signal_count++;
}

static void its_threads_take_no_signals_of_the_program(void **state)
{
    sigset_t blocked, before;
    struct asker asker;
    signal(SIGUSR1, on_signal);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    for (int i = 0; i < 20; i++) {
        asker_init(&asker, "localhost", false);
        kill(getpid(), SIGUSR1);        /* would go to whoever lets it through */
        asker_wait(&asker);
        asker_done(&asker);
    }
    assert_int_equal(signal_count, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(signal_count, 1);
    assert_true(pthread_equal(signal_thread, pthread_self()));
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    own_descriptors = open_descriptors();
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_known_at_once_without_a_thread), TEST(a_name_is_looked_up_beside_the_loop), TEST(what_has_no_address_is_named),
        TEST(it_may_be_cancelled_in_its_own_callback), TEST(who_does_not_wait_hears_nothing_and_leaves_nothing_behind),
        TEST(its_threads_take_no_signals_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
