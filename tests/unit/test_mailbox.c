/*
 * The mailbox between real threads: order, bound, and that a sleeping owner is woken.
 */
#include "tests/unit/test.h"

#include "daemon/net/mailbox.h"

#include <poll.h>

static void letters_come_in_order_and_each_once(void **state)
{
    struct mailbox mailbox;
    struct letter letter = {.kind = LETTER_CONNECTION};
    uint64_t posted = 0, taken = 0;
    assert_int_equal(mailbox_init(&mailbox, 1000), 0);
    /* Posted and taken in turns of different length, so that what was taken over runs out now and then. */
    for (unsigned turn = 0; turn < 300; turn++) {
        for (unsigned i = 0; i < turn % 17; i++) {
            letter.handle = ++posted;
            assert_int_equal(mailbox_post(&mailbox, &letter), 0);
        }
        for (unsigned i = 0; i < turn % 13 && mailbox_take(&mailbox, &letter); i++)
            assert_int_equal(letter.handle, ++taken);
        assert_int_equal(mailbox_is_empty(&mailbox), posted == taken);
    }
    while (mailbox_take(&mailbox, &letter))
        assert_int_equal(letter.handle, ++taken);
    assert_int_equal(taken, posted);
    mailbox_done(&mailbox);
}

static void the_bound_counts_what_was_taken_over_but_not_handled(void **state)
{
    struct mailbox mailbox;
    struct letter letter = {.kind = LETTER_CONNECTION};
    assert_int_equal(mailbox_init(&mailbox, 4), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(mailbox_has_room(&mailbox));
        assert_int_equal(mailbox_post(&mailbox, &letter), 0);
    }
    assert_false(mailbox_has_room(&mailbox));
    assert_true(mailbox_take(&mailbox, &letter));
    assert_true(mailbox_has_room(&mailbox));
    assert_int_equal(mailbox_post(&mailbox, &letter), 0);
    assert_false(mailbox_has_room(&mailbox));
    /* What must not be lost is taken beyond the bound. */
    assert_int_equal(mailbox_post(&mailbox, &letter), 0);
    unsigned count = 0;
    while (mailbox_take(&mailbox, &letter))
        count++;
    assert_int_equal(count, 5);
    assert_true(mailbox_has_room(&mailbox));
    mailbox_done(&mailbox);
}

enum { SENDERS = 4, LETTERS_EACH = 50000 };

struct sender {
    struct mailbox *mailbox;
    uint64_t index;
};

static void *send_all(void *argument)
{
    const struct sender *sender = argument;
    for (uint64_t i = 0; i < LETTERS_EACH; i++) {
        struct letter letter = {.kind = LETTER_CONNECTION, .handle = sender->index, .sequence = i};
        while (!mailbox_has_room(sender->mailbox))
            sched_yield();
        if (mailbox_post(sender->mailbox, &letter) < 0)
            abort();
    }
    return NULL;
}

static void a_sleeping_owner_hears_of_every_letter_of_many_threads(void **state)
{
    struct mailbox mailbox;
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    uint64_t next[SENDERS] = {0}, total = 0;
    assert_int_equal(mailbox_init(&mailbox, 256), 0);
    mailbox_own(&mailbox);
    for (uint64_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&mailbox, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (total < (uint64_t)SENDERS * LETTERS_EACH) {
        struct pollfd polled = {.fd = mailbox.event_fd, .events = POLLIN};
        struct letter letter;
        /* Nobody sleeps while letters wait, and a letter that comes later wakes. */
        if (mailbox_is_empty(&mailbox))
            assert_int_equal(poll(&polled, 1, 20000), 1);
        mailbox_hear(&mailbox);
        while (mailbox_take(&mailbox, &letter)) {
            assert_int_equal(letter.sequence, next[letter.handle]++);
            total++;
        }
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(mailbox_is_empty(&mailbox));
    mailbox_done(&mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(letters_come_in_order_and_each_once), TEST(the_bound_counts_what_was_taken_over_but_not_handled),
        TEST(a_sleeping_owner_hears_of_every_letter_of_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
