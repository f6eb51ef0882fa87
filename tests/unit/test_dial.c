#include "tests/unit/loopback.h"

#include "lib/client/dial.h"
#include "lib/client/error.h"
#include "lib/client/resolve.h"

#include <netinet/tcp.h>
#include <sys/syscall.h>

/* Instead of the resolver: the addresses that a test wants, told later as by the real one. */
struct resolution {
    struct io *io;
    struct io_timer timer;
    void (*on_done)(void *owner, const struct addresses *found, const struct rtc_error *why);
    void *owner;
};
static struct addresses known;

static void on_resolved(struct io_timer *timer)
{
    struct resolution *resolution = CONTAINER_OF(timer, struct resolution, timer);
    struct rtc_error why;
    error_set(&why, RTC_NETWORK, "nobody knows it");
    resolution->on_done(resolution->owner, known.count ? &known : NULL, known.count ? NULL : &why);
}

struct resolution *resolve_start(struct io *io, const struct url *url,
                                 void (*on_done)(void *owner, const struct addresses *found, const struct rtc_error *why), void *owner,
                                 struct rtc_error *error)
{
    struct resolution *resolution = calloc(1, sizeof(*resolution));
    *resolution = (struct resolution){.io = io, .timer.on_due = on_resolved, .on_done = on_done, .owner = owner};
    io_later(io, &resolution->timer);
    return resolution;
}

void resolve_cancel(struct resolution *resolution)
{
    io_timer_stop(resolution->io, &resolution->timer);
    free(resolution);
}

/* The system gives a socket any free port of its own; now and then it is the very one that is called. */
static bool is_given_the_port_it_calls;

int connect(int descriptor, __CONST_SOCKADDR_ARG to, socklen_t length)
{
    if (is_given_the_port_it_calls)
        assert_int_equal(bind(descriptor, to, length), 0);
    return (int)syscall(SYS_connect, descriptor, to.__sockaddr__, length);
}

static void add_address(const char *host, uint16_t port)
{
    struct address *address = &known.list[known.count++];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;
    *address = (struct address){0};
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        address->length = sizeof(*v4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        address->length = sizeof(*v6);
    }
}

struct caller {
    struct loopback loopback;
    struct dial *dial;
    unsigned count;
    int descriptor;
    struct rtc_error why;
    bool ends;                          /* in the callback */
};

static void on_dialed(void *owner, int descriptor, const struct rtc_error *why)
{
    struct caller *caller = owner;
    caller->count++;
    caller->descriptor = descriptor;
    if (descriptor < 0)
        caller->why = *why;
    if (caller->ends)
        dial_end(STEAL(caller->dial));
}

static void caller_init(struct caller *caller)
{
    *caller = (struct caller){.descriptor = -1};
    known.count = 0;
    loopback_init(&caller->loopback);
}

static void caller_dial(struct caller *caller)
{
    caller->dial = dial_start(&caller->loopback.io, &caller->loopback.url, on_dialed, caller, NULL);
    assert_non_null(caller->dial);
}

static void caller_done(struct caller *caller)
{
    dial_end(caller->dial);
    assert_int_equal(io_timeout_ms(&caller->loopback.io), -1);
    if (caller->descriptor >= 0)
        close(caller->descriptor);
    loopback_done(&caller->loopback);
}

/* The address that answered. */
static void expect_peer(struct caller *caller, const char *host)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char text[INET6_ADDRSTRLEN];
    UNTIL(&caller->loopback, caller->count);
    if (caller->descriptor < 0)
        fail_msg("%s", caller->why.message);
    assert_int_equal(getpeername(caller->descriptor, (struct sockaddr *)&address, &length), 0);
    inet_ntop(address.ss_family, address.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&address)->sin_addr
                                                               : (void *)&((struct sockaddr_in6 *)&address)->sin6_addr, text, sizeof(text));
    assert_string_equal(text, host);
}

/* An address that neither takes a connection nor refuses it: its queue of connections is full. */
struct silence { int listener, filler; };

static struct silence be_silent(const char *host, uint16_t port)
{
    struct silence silence = {.listener = loopback_listen(host, &port, 0)};
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    getsockname(silence.listener, (struct sockaddr *)&address, &length);
    silence.filler = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(silence.filler, (struct sockaddr *)&address, length), 0);
    return silence;
}

static void silence_done(struct silence *silence)
{
    close(silence->filler);
    close(silence->listener);
}

static void a_connection_is_handed_over_ready_for_use(void **state)
{
    struct caller caller;
    int value = 0;
    socklen_t length = sizeof(value);
    caller_init(&caller);
    add_address("127.0.0.1", caller.loopback.url.port);
    caller_dial(&caller);
    assert_int_equal(caller.count, 0);
    expect_peer(&caller, "127.0.0.1");
    assert_true(fcntl(caller.descriptor, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(caller.descriptor, F_GETFD) & FD_CLOEXEC);
    getsockopt(caller.descriptor, IPPROTO_TCP, TCP_NODELAY, &value, &length);
    assert_true(value);
    getsockopt(caller.descriptor, SOL_SOCKET, SO_KEEPALIVE, &value, &length);
    assert_true(value);
    caller_done(&caller);
}

static void an_address_that_refuses_gives_way_to_the_next(void **state)
{
    struct caller caller;
    caller_init(&caller);
    add_address("127.0.0.2", caller.loopback.url.port);
    add_address("127.0.0.3", caller.loopback.url.port);
    add_address("127.0.0.1", caller.loopback.url.port);
    caller_dial(&caller);
    expect_peer(&caller, "127.0.0.1");
    caller_done(&caller);
}

static void an_address_that_does_not_answer_has_a_head_start_only(void **state)
{
    struct caller caller;
    caller_init(&caller);
    struct silence silence = be_silent("127.0.0.2", caller.loopback.url.port);
    add_address("127.0.0.2", caller.loopback.url.port);
    add_address("127.0.0.1", caller.loopback.url.port);
    uint64_t start_ms = caller.loopback.io.now_ms;
    caller_dial(&caller);
    expect_peer(&caller, "127.0.0.1");
    assert_true(caller.loopback.io.now_ms - start_ms >= 250);
    silence_done(&silence);
    caller_done(&caller);
}

static void the_families_take_turns(void **state)
{
    struct caller caller;
    caller_init(&caller);
    uint16_t port = caller.loopback.url.port;
    struct silence silence = be_silent("127.0.0.2", port);
    int v6 = loopback_listen("::1", &port, 8);
    add_address("127.0.0.2", port);
    add_address("127.0.0.1", port);     /* would answer, but another family may know a way where this one does not */
    add_address("::1", port);
    caller_dial(&caller);
    expect_peer(&caller, "::1");
    silence_done(&silence);
    close(v6);
    caller_done(&caller);
}

static void when_none_answers_the_last_reason_is_told(void **state)
{
    struct caller caller;
    unsigned before = open_descriptors();
    caller_init(&caller);
    add_address("127.0.0.2", caller.loopback.url.port);
    add_address("::1", caller.loopback.url.port);
    caller_dial(&caller);
    UNTIL(&caller.loopback, caller.count);
    assert_int_equal(caller.descriptor, -1);
    assert_int_equal(caller.why.code, RTC_NETWORK);
    assert_non_null(strstr(caller.why.message, strerror(ECONNREFUSED)));
    caller_done(&caller);
    assert_int_equal(open_descriptors(), before);
}

static void a_name_without_addresses_fails_with_the_resolvers_reason(void **state)
{
    struct caller caller;
    caller_init(&caller);
    caller.ends = true;
    caller_dial(&caller);
    UNTIL(&caller.loopback, caller.count);
    assert_string_equal(caller.why.message, "nobody knows it");
    caller_done(&caller);
}

static void it_may_be_ended_at_any_time(void **state)
{
    unsigned before = open_descriptors();
    for (int turns = 0; turns < 6; turns++) {
        struct caller caller;
        caller_init(&caller);
        struct silence silence = be_silent("127.0.0.2", caller.loopback.url.port);
        add_address("127.0.0.2", caller.loopback.url.port);
        add_address("127.0.0.3", caller.loopback.url.port);
        add_address("127.0.0.1", caller.loopback.url.port);
        caller.ends = turns == 5;       /* in its callback */
        caller_dial(&caller);
        for (int i = 0; i < turns && !caller.count; i++)
            loopback_turn(&caller.loopback, -1, 0);
        if (turns == 5)
            expect_peer(&caller, "127.0.0.1");
        silence_done(&silence);
        caller_done(&caller);
        assert_int_equal(open_descriptors(), before);
    }
}

static void a_socket_that_was_connected_to_itself_is_no_server(void **state)
{
    struct caller caller;
    caller_init(&caller);
    close(caller.loopback.listener);
    caller.loopback.listener = -1;
    add_address("127.0.0.1", caller.loopback.url.port);
    is_given_the_port_it_calls = true;
    caller_dial(&caller);
    UNTIL(&caller.loopback, caller.count);
    is_given_the_port_it_calls = false;
    assert_int_equal(caller.descriptor, -1);
    assert_non_null(strstr(caller.why.message, strerror(ECONNREFUSED)));
    caller_done(&caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_handed_over_ready_for_use), TEST(an_address_that_refuses_gives_way_to_the_next),
        TEST(an_address_that_does_not_answer_has_a_head_start_only), TEST(the_families_take_turns), TEST(when_none_answers_the_last_reason_is_told),
        TEST(a_name_without_addresses_fails_with_the_resolvers_reason), TEST(it_may_be_ended_at_any_time),
        TEST(a_socket_that_was_connected_to_itself_is_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
