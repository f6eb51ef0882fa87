/*
 * Secret file: one file, or credential of systemd's, that others may neither read nor change. What is wrong goes into `problem`, as a
 * sentence's end. Knows nothing of what is in it.
 */
#pragma once

#include "lib/buf.h"

enum { SECRET_FILE_BYTES_MAX = 256 * 1024 };

/* Where it is; -EINVAL: a credential, but systemd gave none. */
MUST_CHECK int secret_file_path(struct bytes name, bool is_credential, struct buf *path, struct buf *problem);
/* All of it; wipe it afterwards. -EINVAL, -ENOMEM. */
MUST_CHECK int secret_file_read(const char *path, struct buf *text, unsigned *ret_mode, struct buf *problem);
/* May it have this mode? -EINVAL. */
MUST_CHECK int secret_file_check_mode(unsigned mode, bool has_secret, bool is_credential, struct buf *problem);
void secret_file_wipe(struct buf *text);
