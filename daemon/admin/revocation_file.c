/*
 * Revocation file: see revocation_file.h.
 */
#include "daemon/admin/revocation_file.h"

#include "daemon/config/config.h"
#include "daemon/config/state_path.h"
#include "daemon/core/revocations.h"
#include "lib/file.h"
#include "lib/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Empty: there is no place for it. */
static int file_path(const struct config *config, struct buf *ret)
{
    int r = state_path_add(config->auth.revocations_file, "revocations", ret);
    return r == -ENOENT ? 0 : r;
}

/* Who can change it lets people in again. */
static int file_check(int descriptor, const char *path)
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_mode & 077) {
        log_error(LOG_AREA_CONFIG, NULL, "%s: it is not a file that the daemon's user alone may read and change (its mode is %04o); chmod 0600",
                  path, (unsigned)status.st_mode & 07777);
        return -EINVAL;
    }
    return 0;
}

int revocation_file_load(const struct config *config, struct revocations *revocations, uint64_t now_s)
{
    size_t line = 0;
    struct buf name = {0}, text = {0};
    int descriptor = -1, r = file_path(config, &name);
    const char *path = buf_text(&name), *problem = NULL;
    bool is_there = r == 0 && name.length;
    if (is_there) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        is_there = descriptor >= 0 || errno != ENOENT;
        r = descriptor < 0 && is_there ? -errno : 0;
    }
    if (r == 0 && is_there)
        r = file_check(descriptor, path);
    if (r == 0 && is_there)
        r = file_read_all(descriptor, &text);
    if (r == 0)
        r = revocations_read(revocations, buf_bytes(&text), config->auth.revocations, now_s, &line, &problem);
    if (r == -EBADMSG)
        log_error(LOG_AREA_CONFIG, NULL, "%s:%zu: %s; take the line or the file away, and revoke again", path, line, problem);
    else if (r == -ENOSPC)
        log_error(LOG_AREA_CONFIG, NULL, "%s:%zu: there are more than auth.revocations allows", path, line);
    else if (r < 0 && r != -EINVAL)
        log_error(LOG_AREA_CONFIG, NULL, "%s: it cannot be read: %s", path, strerror(-r));
    if (descriptor >= 0)
        close(descriptor);
    buf_done(&name);
    buf_done(&text);
    return r < 0 ? -EINVAL : 0;
}

static int file_write(const char *path, struct bytes text)
{
    int r = 0, descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return -errno;
    while (text.length && r == 0) {
        ssize_t length = write(descriptor, text.data, text.length);
        if (length >= 0)
            text = bytes_of(text.data + length, text.length - (size_t)length);
        else if (errno != EINTR)
            r = -errno;
    }
    if (r == 0 && fsync(descriptor) < 0)
        r = -errno;
    if (close(descriptor) < 0 && r == 0)
        r = -errno;
    return r;
}

/* The new name lasts once the folder is written, too. */
static int file_replace(const char *next, const char *path)
{
    return rename(next, path) < 0 ? -errno : file_sync_folder(path);
}

int revocation_file_save(const struct config *config, struct revocations *revocations, uint64_t now_s)
{
    struct buf name = {0}, next = {0}, text = {0};
    int r = file_path(config, &name);
    const char *path = buf_text(&name);
    bool has_place = r < 0 || name.length;
    revocations_print(revocations, now_s, &text);
    buf_add_format(&next, "%s.new", path);
    if (r == 0)
        r = buf_status(&text) < 0 || buf_status(&next) < 0 ? -ENOMEM : has_place ? 0 : -ENOENT;
    if (r == 0)
        r = file_write(buf_text(&next), buf_bytes(&text));
    if (r == 0)
        r = file_replace(buf_text(&next), path);
    if (r < 0 && has_place)
        log_error(LOG_AREA_ADMIN, NULL, "%s cannot be written: %s; the revocations are in force, but a restart forgets the latest", path,
                  strerror(-r));
    buf_done(&name);
    buf_done(&next);
    buf_done(&text);
    return r;
}
