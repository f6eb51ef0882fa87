/*
 * Store file: see store_file.h.
 */
#include "daemon/store/store_file.h"

#include "lib/log.h"

#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAPS = 3, KEY_BYTES = 16 };
static const char format_text[] = "rtcd histories 1";

#define TEXT_OF_(number) #number
#define TEXT_OF(number) TEXT_OF_(number)

const char *store_library_version(void)
{
    return TEXT_OF(MDB_VERSION_MAJOR) "." TEXT_OF(MDB_VERSION_MINOR) "." TEXT_OF(MDB_VERSION_PATCH);
}

struct store_file {
    MDB_env *env;
    MDB_txn *txn;                       /* NULL: none is under way */
    MDB_dbi groups, messages, notes;
    int folder;                         /* locked while it is open */
};

static int error_of(int code)
{
    if (code >= 0)
        return -code;
    if (code == MDB_MAP_FULL || code == MDB_TXN_FULL)
        return -EDQUOT;
    if (code == MDB_INVALID || code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_VERSION_MISMATCH || code == MDB_INCOMPATIBLE
        || code == MDB_BAD_DBI)
        return -EBADMSG;
    return code == MDB_NOTFOUND ? -ENOENT : -EIO;
}

static MDB_val value_of(struct bytes bytes)
{
    return (MDB_val){bytes.length, (void *)(uintptr_t)bytes.data};
}

static struct bytes bytes_from(MDB_val value)
{
    return bytes_of(value.mv_data, value.mv_size);
}

static void key_write(unsigned char key[KEY_BYTES], uint64_t id, uint64_t offset)
{
    for (unsigned i = 0; i < 8; i++) {
        key[i] = (unsigned char)(id >> (56 - 8 * i));
        key[8 + i] = (unsigned char)(offset >> (56 - 8 * i));
    }
}

/* False: no key of this map looks so. */
static bool key_read(MDB_val key, uint64_t *ret_id, uint64_t *ret_offset)
{
    const unsigned char *at = key.mv_data;
    *ret_id = *ret_offset = 0;
    for (unsigned i = 0; i < 8 && key.mv_size == KEY_BYTES; i++) {
        *ret_id = *ret_id << 8 | at[i];
        *ret_offset = *ret_offset << 8 | at[8 + i];
    }
    return key.mv_size == KEY_BYTES;
}

int store_file_begin(struct store_file *file)
{
    assert(!file->txn);
    return error_of(mdb_txn_begin(file->env, NULL, 0, &file->txn));
}

int store_file_commit(struct store_file *file)
{
    return error_of(mdb_txn_commit(STEAL(file->txn)));
}

void store_file_abort(struct store_file *file)
{
    if (file->txn)
        mdb_txn_abort(STEAL(file->txn));
}

int store_file_sync(struct store_file *file)
{
    return error_of(mdb_env_sync(file->env, 1));
}

/* A file of another program's may be a right one, too. */
static int file_check_format(struct store_file *file)
{
    char text[sizeof(format_text) + 1];
    MDB_stat stat;
    int r = store_file_note(file, "format", text, sizeof(text));
    if (r == 0 && text[0] == '\0' && mdb_stat(file->txn, file->groups, &stat) == 0 && stat.ms_entries == 0)
        return store_file_put_note(file, "format", format_text);
    return r < 0 ? r : strcmp(text, format_text) == 0 ? 0 : -EBADMSG;
}

static int file_open_maps(struct store_file *file)
{
    int r = store_file_begin(file);
    if (r == 0)
        r = error_of(mdb_dbi_open(file->txn, "groups", MDB_CREATE, &file->groups));
    if (r == 0)
        r = error_of(mdb_dbi_open(file->txn, "messages", MDB_CREATE, &file->messages));
    if (r == 0)
        r = error_of(mdb_dbi_open(file->txn, "notes", MDB_CREATE, &file->notes));
    if (r == 0)
        r = file_check_format(file);
    if (r == 0)
        return store_file_commit(file);
    store_file_abort(file);
    return r;
}

/* What is read beyond the end of a file that was cut would end the process; what is read in its place shows itself as damaged. */
static int file_check_length(struct store_file *file)
{
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    struct stat status = {0};
    int descriptor = -1, r = error_of(mdb_env_info(file->env, &info));
    if (r == 0)
        r = error_of(mdb_env_stat(file->env, &stat));
    if (r == 0)
        r = error_of(mdb_env_get_fd(file->env, &descriptor));
    if (r == 0 && fstat(descriptor, &status) < 0)
        r = -errno;
    if (r < 0)
        return r;
    off_t needed = (off_t)(info.me_last_pgno + 1) * (off_t)stat.ms_psize;
    return status.st_size < needed && ftruncate(descriptor, needed) < 0 ? -errno : 0;
}

static int file_open_env(struct store_file *file, const char *path, uint64_t bytes, bool is_synced)
{
    int r = error_of(mdb_env_create(&file->env));
    if (r == 0)
        r = error_of(mdb_env_set_maxdbs(file->env, MAPS));
    if (r == 0)
        r = error_of(mdb_env_set_mapsize(file->env, (size_t)bytes));
    /* The folder's lock is the only one; so what a process that was killed leaves behind holds nobody up. */
    if (r == 0)
        r = error_of(mdb_env_open(file->env, path, MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD | (is_synced ? 0 : MDB_NOSYNC), 0600));
    return r == 0 ? file_check_length(file) : r;
}

static int folder_lock(const char *path, int *ret)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
        int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
        close(descriptor);
        return r;
    }
    *ret = descriptor;
    return 0;
}

int store_file_open(const char *path, uint64_t bytes, bool is_synced, struct store_file **ret)
{
    struct store_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->folder = -1;
    int r = folder_lock(path, &file->folder);
    if (r == 0)
        r = file_open_env(file, path, bytes, is_synced);
    if (r == 0)
        r = file_open_maps(file);
    if (r == 0)
        *ret = STEAL(file);
    store_file_close(file);
    return r;
}

void store_file_close(struct store_file *file)
{
    if (!file)
        return;
    store_file_abort(file);
    if (file->env)
        mdb_env_close(file->env);
    if (file->folder >= 0)
        close(file->folder);
    free(file);
}

int store_file_put_group(struct store_file *file, struct bytes name, struct bytes record)
{
    MDB_val key = value_of(name), value = value_of(record);
    return error_of(mdb_put(file->txn, file->groups, &key, &value, 0));
}

int store_file_drop_group(struct store_file *file, struct bytes name)
{
    MDB_val key = value_of(name);
    int r = error_of(mdb_del(file->txn, file->groups, &key, NULL));
    return r == -ENOENT ? 0 : r;
}

int store_file_put_message(struct store_file *file, uint64_t id, uint64_t offset, struct bytes record)
{
    unsigned char text[KEY_BYTES];
    key_write(text, id, offset);
    MDB_val key = {sizeof(text), text}, value = value_of(record);
    return error_of(mdb_put(file->txn, file->messages, &key, &value, 0));
}

int store_file_drop_messages(struct store_file *file, uint64_t id, uint64_t from, uint64_t to, unsigned limit)
{
    unsigned char text[KEY_BYTES];
    MDB_cursor *cursor;
    uint64_t at_id, offset;
    unsigned count = 0;
    key_write(text, id, from);
    MDB_val key = {sizeof(text), text}, value;
    int r = error_of(mdb_cursor_open(file->txn, file->messages, &cursor));
    if (r < 0)
        return r;
    r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (r == 0 && count < limit && key_read(key, &at_id, &offset) && at_id == id && offset <= to) {
        r = error_of(mdb_cursor_del(cursor, 0));
        count += r == 0;
        if (r == 0)
            r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT));
        /* Behind the last of a page the cursor stands on none. */
        if (r == -EINVAL || r == -ENOENT) {
            key_write(text, id, from);
            key = (MDB_val){sizeof(text), text};
            r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
        }
    }
    mdb_cursor_close(cursor);
    return r == 0 || r == -ENOENT ? (int)count : r;
}

int store_file_put_note(struct store_file *file, const char *name, const char *text)
{
    MDB_val key = value_of(bytes_text(name)), value = value_of(bytes_text(text));
    return error_of(mdb_put(file->txn, file->notes, &key, &value, 0));
}

int store_file_note(struct store_file *file, const char *name, char *ret, size_t size)
{
    MDB_val key = value_of(bytes_text(name)), value;
    int r = error_of(mdb_get(file->txn, file->notes, &key, &value));
    ret[0] = '\0';
    if (r == 0)
        snprintf(ret, size, "%.*s", (int)MIN(value.mv_size, size - 1), (const char *)value.mv_data);
    return r == -ENOENT ? 0 : r;
}

int store_file_each_group(struct store_file *file, int (*on_group)(struct bytes name, struct bytes record, void *argument), void *argument)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int r = error_of(mdb_cursor_open(file->txn, file->groups, &cursor));
    if (r < 0)
        return r;
    while (r == 0 && (r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0)
        r = on_group(bytes_from(key), bytes_from(value), argument);
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

int store_file_each_message(struct store_file *file, uint64_t id, int (*on_message)(uint64_t offset, struct bytes record, void *argument),
                            void *argument)
{
    unsigned char text[KEY_BYTES];
    MDB_cursor *cursor;
    uint64_t at_id, offset;
    key_write(text, id, 0);
    MDB_val key = {sizeof(text), text}, value;
    int r = error_of(mdb_cursor_open(file->txn, file->messages, &cursor));
    if (r < 0)
        return r;
    r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (r == 0 && key_read(key, &at_id, &offset) && at_id == id) {
        r = on_message(offset, bytes_from(value), argument);
        if (r == 0)
            r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

int store_file_each_id(struct store_file *file, int (*on_id)(uint64_t id, void *argument), void *argument)
{
    unsigned char text[KEY_BYTES];
    MDB_cursor *cursor;
    uint64_t id = 0, offset;
    key_write(text, 0, 0);
    MDB_val key = {sizeof(text), text}, value;
    int r = error_of(mdb_cursor_open(file->txn, file->messages, &cursor));
    if (r < 0)
        return r;
    while (r == 0 && (r = error_of(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE))) == 0) {
        r = key_read(key, &id, &offset) ? on_id(id, argument) : -EBADMSG;
        key_write(text, id + 1, 0);
        key = (MDB_val){sizeof(text), text};
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

uint64_t store_file_used(struct store_file *file)
{
    const MDB_dbi maps[MAPS] = {file->groups, file->messages, file->notes};
    uint64_t pages = 0, size = 0;
    for (size_t i = 0; i < MAPS; i++) {
        MDB_stat stat;
        if (mdb_stat(file->txn, maps[i], &stat) != 0)
            continue;
        pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        size = stat.ms_psize;
    }
    return pages * size;
}
