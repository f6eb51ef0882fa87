/*
 * Store file: the file of histories, as a few maps under transactions (LMDB, whose door this is). Knows records only as bytes.
 *
 *   groups     name → record
 *   messages   group id, offset → record
 *   notes      of the file itself: which format it has, whether who wrote it came to a good end
 *
 * One thread at a time. Errors: -ENOSPC: the disk is full; -EDQUOT: the file is as large as it may get; -EBADMSG: it is damaged; and what
 * the system says.
 */
#pragma once

#include "lib/buf.h"

struct store_file;

/* Makes the folder and the file where they are missing. Another process has them: -EBUSY; they are none of ours, or damaged:
 * -EBADMSG. `is_synced`: commits wait for the disk. */
MUST_CHECK int store_file_open(const char *path, uint64_t bytes, bool is_synced, struct store_file **ret);
void store_file_close(struct store_file *file);                         /* NULL is fine */

/* All that changes the file stands between begin and commit, or abort. */
MUST_CHECK int store_file_begin(struct store_file *file);
MUST_CHECK int store_file_commit(struct store_file *file);
void store_file_abort(struct store_file *file);
MUST_CHECK int store_file_sync(struct store_file *file);                /* all that was committed */

MUST_CHECK int store_file_put_group(struct store_file *file, struct bytes name, struct bytes record);
MUST_CHECK int store_file_drop_group(struct store_file *file, struct bytes name);           /* its messages stay; 0 where there is none */
MUST_CHECK int store_file_put_message(struct store_file *file, uint64_t id, uint64_t offset, struct bytes record);
/* Those from one offset to another, at most `limit`. How many went, which is fewer when none is left; or an error. */
MUST_CHECK int store_file_drop_messages(struct store_file *file, uint64_t id, uint64_t from, uint64_t to, unsigned limit);
MUST_CHECK int store_file_put_note(struct store_file *file, const char *name, const char *text);
/* "" where there is none. Within a transaction too. */
MUST_CHECK int store_file_note(struct store_file *file, const char *name, char *ret, size_t size);

/* Within a transaction, in order. Each stops where the function returns something else than 0, and returns that. */
MUST_CHECK int store_file_each_group(struct store_file *file, int (*on_group)(struct bytes name, struct bytes record, void *argument), void *argument);
MUST_CHECK int store_file_each_message(struct store_file *file, uint64_t id, int (*on_message)(uint64_t offset, struct bytes record, void *argument),
                                       void *argument);
/* The ids that messages have, each once. */
MUST_CHECK int store_file_each_id(struct store_file *file, int (*on_id)(uint64_t id, void *argument), void *argument);
const char *store_library_version(void);                                /* "0.9.24": what it is built with */
/* How many bytes are in use; within a transaction. */
uint64_t store_file_used(struct store_file *file);
