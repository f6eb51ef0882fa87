#include "tests/unit/test.h"

#include "daemon/config/config.h"
#include "daemon/core/directory.h"
#include "daemon/core/message.h"
#include "daemon/store/store_groups.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_BYTES = 64 * 1024 * 1024 };

static struct place place = {.name = (const unsigned char *)"g", .name_bytes = 1};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

static char *make_folder(void)
{
    char *path = strdup("/tmp/rtcd-test-store-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void drop_folder(char *path)
{
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

static struct message *message_of(const char *key, uint64_t number)
{
    char data[24];
    snprintf(data, sizeof(data), "%llu", (unsigned long long)number);
    struct envelope envelope = {.event_name = BYTES("n"), .data = bytes_text(data), .group = BYTES("g"), .key = bytes_text(key)};
    return message_new(&envelope);
}

static void records_are_read_as_they_were_written(void **state)
{
    struct store_group_record group = {.id = 7, .state = {.epoch = "abcdefghijk", .keeps_latest = true, .offset = UINT64_MAX - 1, .forgotten = 3,
        .covered_from = 2, .gap_count = 2, .gaps = {{1, 2}, {5, 1 << 20}}}}, again;
    struct buf record = {0};
    store_write_group(&group, &record);
    assert_int_equal(store_read_group(buf_bytes(&record), &again), 0);
    assert_memory_equal(&again, &group, sizeof(group));

    struct envelope envelope = {.event_name = BYTES("e"), .data = BYTES("\x93\x01\x02\x03"), .data_codec = CODEC_MSGPACK, .key = BYTES("k"),
                                .from_connection = BYTES("c"), .from_user = BYTES("u"), .group = BYTES("g")};
    SCOPED(message) message = message_new(&envelope);
    SCOPED(message) read = NULL;
    uint64_t at_ms;
    message_set_slow(message, SLOW_LATEST);
    buf_clear(&record);
    store_write_message(message, 1234567890123, &record);
    assert_int_equal(store_read_message(buf_bytes(&record), BYTES("g"), 42, &read, &at_ms), 0);
    assert_int_equal(at_ms, 1234567890123);
    assert_int_equal(read->envelope.offset, 42);
    assert_int_equal(read->slow, SLOW_LATEST);
    assert_int_equal(read->envelope.data_codec, CODEC_MSGPACK);
    assert_true(bytes_equal(read->envelope.data, envelope.data) && bytes_equal(read->envelope.key, envelope.key)
                && bytes_equal(read->envelope.from_user, envelope.from_user) && bytes_equal(read->envelope.group, envelope.group));
    buf_done(&record);
}

static void whatever_is_changed_in_a_record_is_noticed(void **state)
{
    SCOPED(message) message = message_of("k", 1);
    struct buf record = {0};
    struct message *read;
    uint64_t at_ms;
    store_write_message(message, 1, &record);
    for (size_t i = 0; i < record.length; i++) {
        record.data[i] ^= 4;
        assert_int_equal(store_read_message(buf_bytes(&record), BYTES("g"), 1, &read, &at_ms), -EBADMSG);
        record.data[i] ^= 4;
        assert_int_equal(store_read_message(bytes_of(record.data, i), BYTES("g"), 1, &read, &at_ms), -EBADMSG);
    }
    buf_done(&record);
}

static int count_one(uint64_t offset, struct bytes record, void *argument)
{
    *(uint64_t *)argument += offset;
    return 0;
}

static int note_id(uint64_t id, void *argument)
{
    *(uint64_t *)argument = *(uint64_t *)argument * 10 + id;
    return 0;
}

static void messages_go_in_ranges(void **state)
{
    char *path = make_folder();
    struct store_file *file, *other;
    uint64_t sum = 0, ids = 0;
    assert_int_equal(store_file_open(path, FILE_BYTES, false, &file), 0);
    assert_int_equal(store_file_open(path, FILE_BYTES, false, &other), -EBUSY);
    assert_int_equal(store_file_begin(file), 0);
    for (uint64_t id = 1; id <= 3; id++)
        for (uint64_t offset = 1; offset <= 5000; offset++)
            assert_int_equal(store_file_put_message(file, id, offset, BYTES("some words that fill pages")), 0);
    assert_int_equal(store_file_drop_messages(file, 2, 11, 20, 5), 5);
    assert_int_equal(store_file_drop_messages(file, 2, 11, 20, 100), 5);
    assert_int_equal(store_file_drop_messages(file, 2, 0, 4900, 100000), 4890);
    assert_int_equal(store_file_drop_messages(file, 3, 0, UINT64_MAX, 100000), 5000);
    assert_int_equal(store_file_drop_messages(file, 3, 0, UINT64_MAX, 100000), 0);
    assert_int_equal(store_file_each_message(file, 2, count_one, &sum), 0);
    assert_int_equal(sum, 100 * (4901 + 5000) / 2);
    assert_int_equal(store_file_each_id(file, note_id, &ids), 0);
    assert_int_equal(ids, 12);
    assert_true(store_file_used(file) > 0);
    assert_int_equal(store_file_commit(file), 0);
    store_file_close(file);
    drop_folder(path);
}

/* Puts message `number`, which lets the one 10 before it go. */
static int put(struct store_groups *groups, struct store_file *file, uint64_t number, const char *epoch)
{
    SCOPED(message) message = message_of("", number);
    struct store_change change = {.kind = CHANGE_PUT, .place = &place, .message = message, .offset = number,
                                  .forgotten = number > 10 ? number - 10 : 0};
    memcpy(change.epoch, epoch, sizeof(change.epoch));
    return store_groups_apply(groups, file, &change);
}

static int end(struct store_groups *groups, struct store_file *file, const char *epoch)
{
    struct store_change change = {.kind = CHANGE_END, .place = &place};
    memcpy(change.epoch, epoch, sizeof(change.epoch));
    return store_groups_apply(groups, file, &change);
}

struct seen {
    struct store_file *file;
    struct store_group_record group;
    unsigned groups;
    uint64_t count, first, last;
};

static int see_message(uint64_t offset, struct bytes record, void *argument)
{
    struct seen *seen = argument;
    struct message *message;
    char data[24];
    uint64_t at_ms;
    snprintf(data, sizeof(data), "%llu", (unsigned long long)offset);
    assert_int_equal(store_read_message(record, BYTES("g"), offset, &message, &at_ms), 0);
    assert_true(bytes_is(message->envelope.data, data));
    message_unref(message);
    seen->first = seen->count++ ? seen->first : offset;
    assert_true(seen->count == 1 || offset == seen->last + 1);
    seen->last = offset;
    return 0;
}

static int see_group(struct bytes name, struct bytes record, void *argument)
{
    struct seen *seen = argument;
    seen->groups++;
    assert_int_equal(store_read_group(record, &seen->group), 0);
    return store_file_each_message(seen->file, seen->group.id, see_message, seen);
}

static struct seen see(struct store_file *file)
{
    struct seen seen = {.file = file};
    assert_int_equal(store_file_begin(file), 0);
    assert_int_equal(store_file_each_group(file, see_group, &seen), 0);
    store_file_abort(file);
    return seen;
}

static int commit(struct store_groups *groups, struct store_file *file)
{
    int r = store_groups_bury(groups, file);
    if (r == 0)
        r = store_groups_write(groups, file);
    if (r == 0)
        r = store_file_commit(file);
    if (r == 0)
        store_groups_settle(groups);
    return r;
}

static void what_failed_can_be_written_again(void **state)
{
    char *path = make_folder();
    struct store_file *file;
    struct store_groups groups;
    assert_int_equal(store_file_open(path, FILE_BYTES, false, &file), 0);
    assert_int_equal(store_groups_init(&groups), 0);
    for (unsigned attempt = 0; attempt < 3; attempt++) {
        assert_int_equal(store_file_begin(file), 0);
        for (uint64_t number = 1; number <= 20; number++)
            assert_int_equal(put(&groups, file, number, "aaaaaaaaaaa"), 0);
        assert_int_equal(end(&groups, file, "aaaaaaaaaaa"), 0);
        for (uint64_t number = 1; number <= 15; number++)
            assert_int_equal(put(&groups, file, number, "bbbbbbbbbbb"), 0);
        if (attempt < 2)
            store_file_abort(file);
    }
    assert_int_equal(commit(&groups, file), 0);
    struct seen seen = see(file);
    assert_int_equal(seen.groups, 1);
    assert_string_equal(seen.group.state.epoch, "bbbbbbbbbbb");
    assert_int_equal(seen.group.state.forgotten, 5);
    assert_true(seen.first == 6 && seen.last == 15);
    assert_int_equal(store_file_begin(file), 0);
    assert_int_equal(end(&groups, file, "aaaaaaaaaaa"), 0);
    assert_int_equal(end(&groups, file, "bbbbbbbbbbb"), 0);
    assert_int_equal(commit(&groups, file), 0);
    assert_int_equal(see(file).groups, 0);
    assert_null(store_groups_oldest(&groups));
    store_groups_done(&groups);
    store_file_close(file);
    drop_folder(path);
}

/* Writes until it is killed, and says after each commit how far it is. */
static void write_on(const char *path, uint64_t from, int pipe_end)
{
    struct store_file *file;
    struct store_groups groups;
    struct seen seen;
    if (store_file_open(path, FILE_BYTES, true, &file) < 0 || store_groups_init(&groups) < 0)
        _exit(1);
    seen = see(file);
    if (seen.groups && !store_groups_add(&groups, BYTES("g"), &seen.group, false))
        _exit(1);
    for (uint64_t number = from; true;) {
        if (store_file_begin(file) < 0)
            _exit(1);
        for (unsigned i = 0; i < 7; i++)
            if (put(&groups, file, number++, "aaaaaaaaaaa") < 0)
                _exit(1);
        uint64_t last = number - 1;
        if (commit(&groups, file) < 0 || write(pipe_end, &last, sizeof(last)) != (ssize_t)sizeof(last))
            _exit(1);
    }
}

static void a_process_that_is_killed_leaves_whole_transactions(void **state)
{
    char *path = make_folder();
    uint64_t last = 0;
    unsigned seed = 1;
    for (unsigned round = 0; round < 20; round++) {
        int ends[2];
        uint64_t said = last;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            write_on(path, last + 1, ends[1]);
        close(ends[1]);
        for (unsigned commits = (unsigned)rand_r(&seed) % 5 + 1; commits > 0; commits--)
            assert_int_equal(read(ends[0], &said, sizeof(said)), sizeof(said));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &said, sizeof(said)) == (ssize_t)sizeof(said))
            continue;
        close(ends[0]);

        struct store_file *file;
        assert_int_equal(store_file_open(path, FILE_BYTES, true, &file), 0);
        struct seen seen = see(file);
        store_file_close(file);
        assert_true(seen.last >= said);
        assert_int_equal(seen.last % 7, 0);
        assert_int_equal(seen.group.state.offset, seen.last);
        assert_int_equal(seen.count, MIN(seen.last, UINT64_C(10)));
        last = seen.last;
    }
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_read_as_they_were_written), TEST(whatever_is_changed_in_a_record_is_noticed), TEST(messages_go_in_ranges),
        TEST(what_failed_can_be_written_again), TEST(a_process_that_is_killed_leaves_whole_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
