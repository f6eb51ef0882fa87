#include "tests/unit/test.h"

#include "daemon/net/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct bell {
    struct poll_source source;
    struct poller *poller;
    struct bell *other;                 /* forgotten when this one rings */
    void (*forget)(struct poller *poller, struct poll_source *source);
    unsigned count;
};

static void on_ring(struct poll_source *source, uint32_t events)
{
    struct bell *bell = CONTAINER_OF(source, struct bell, source);
    assert_true(events & EPOLLIN);
    bell->count++;
    if (bell->other)
        bell->forget(bell->poller, &bell->other->source);
}

static void bell_ring(struct bell *bell, struct poller *poller)
{
    *bell = (struct bell){.poller = poller, .source = {.on_ready = on_ring, .descriptor = eventfd(1, EFD_NONBLOCK)}};
    assert_true(bell->source.descriptor >= 0);
    assert_int_equal(poller_arm(poller, &bell->source, EPOLLIN), 0);
}

static void what_is_forgotten_in_a_turn_is_not_told_in_it(void **state)
{
    void (*const ways[])(struct poller *, struct poll_source *) = {poller_remove, poller_forget};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct poller poller;
        struct bell a, b;
        assert_int_equal(poller_init(&poller), 0);
        bell_ring(&a, &poller);
        bell_ring(&b, &poller);
        a.other = &b;
        b.other = &a;
        a.forget = b.forget = ways[i];
        poller_wait(&poller, -1);
        poller_tell(&poller);
        assert_int_equal(a.count + b.count, 1);
        close(a.source.descriptor);
        close(b.source.descriptor);
        poller_done(&poller);
    }
}

static void a_source_that_waits_for_nothing_is_not_told_and_may_wait_again(void **state)
{
    struct poller poller;
    struct bell bell;
    assert_int_equal(poller_init(&poller), 0);
    bell_ring(&bell, &poller);
    assert_int_equal(poller_arm(&poller, &bell.source, 0), 0);
    poller_wait(&poller, 0);
    poller_tell(&poller);
    assert_int_equal(bell.count, 0);
    assert_int_equal(poller_arm(&poller, &bell.source, EPOLLIN | EPOLLRDHUP), 0);
    assert_int_equal(poller_arm(&poller, &bell.source, EPOLLIN | EPOLLRDHUP), 0);
    poller_wait(&poller, 0);
    poller_tell(&poller);
    assert_int_equal(bell.count, 1);
    assert_int_equal(poller_arm(&poller, &(struct poll_source){.descriptor = -1}, EPOLLIN), -EBADF);
    close(bell.source.descriptor);
    poller_done(&poller);
}

static void strangers_are_told_last_and_a_few_in_a_turn(void **state)
{
    struct poller poller;
    struct bell strangers[STRANGERS_PER_TURN + 2], known;
    unsigned told = 0;
    assert_int_equal(poller_init(&poller), 0);
    for (size_t i = 0; i < COUNT_OF(strangers); i++) {
        bell_ring(&strangers[i], &poller);
        strangers[i].source.is_stranger = true;
    }
    bell_ring(&known, &poller);
    known.other = &strangers[0];
    known.forget = poller_remove;
    poller_wait(&poller, -1);
    poller_tell(&poller);
    assert_int_equal(known.count, 1);
    for (size_t i = 0; i < COUNT_OF(strangers); i++)
        assert_int_equal(strangers[i].count, 0);
    assert_true(poller_tell_strangers(&poller));
    for (size_t i = 0; i < COUNT_OF(strangers); i++)
        told += strangers[i].count;
    assert_int_equal(told, STRANGERS_PER_TURN - 1);
    assert_int_equal(strangers[0].count, 0);
    assert_false(poller_tell_strangers(&poller));
    for (unsigned turn = 0; turn < 2; turn++) {
        poller_wait(&poller, -1);
        poller_tell(&poller);
        poller_tell_strangers(&poller);
    }
    for (size_t i = 1; i < COUNT_OF(strangers); i++)
        assert_true(strangers[i].count > 0);
    for (size_t i = 0; i < COUNT_OF(strangers); i++)
        close(strangers[i].source.descriptor);
    close(known.source.descriptor);
    poller_done(&poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_forgotten_in_a_turn_is_not_told_in_it),
        TEST(a_source_that_waits_for_nothing_is_not_told_and_may_wait_again),
        TEST(strangers_are_told_last_and_a_few_in_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
