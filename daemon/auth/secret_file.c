/*
 * Secret file: see secret_file.h.
 */
#include "daemon/auth/secret_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void secret_file_wipe(struct buf *text)
{
    if (text->data)
        explicit_bzero(text->data, text->capacity);
    buf_done(text);
}

int secret_file_path(struct bytes name, bool is_credential, struct buf *path, struct buf *problem)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (is_credential && !directory) {
        buf_add_text(problem, "systemd passed no credentials (LoadCredential= in the unit; $CREDENTIALS_DIRECTORY is not set)");
        return -EINVAL;
    }
    if (is_credential)
        buf_add_format(path, "%s/", directory);
    buf_add_bytes(path, name);
    return buf_status(path);
}

static int fail(struct buf *problem, const char *what)
{
    buf_add_format(problem, "%s: %s", what, strerror(errno));
    return -EINVAL;
}

static int read_all(int descriptor, struct buf *text, struct buf *problem)
{
    while (text->length <= SECRET_FILE_BYTES_MAX) {
        /* All at once: a buf that grows would leave copies of a secret behind. */
        unsigned char *room = buf_room(text, SECRET_FILE_BYTES_MAX + 1 - text->length);
        if (!room)
            return -ENOMEM;
        ssize_t length = read(descriptor, room, SECRET_FILE_BYTES_MAX + 1 - text->length);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return fail(problem, "it cannot be read");
        if (length == 0)
            return 0;
        text->length += (size_t)length;
    }
    buf_add_format(problem, "it has more than %d KiB", SECRET_FILE_BYTES_MAX / 1024);
    return -EINVAL;
}

int secret_file_read(const char *path, struct buf *text, unsigned *ret_mode, struct buf *problem)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r = descriptor < 0 || fstat(descriptor, &status) < 0 ? fail(problem, "it cannot be opened") : 0;
    if (r == 0 && !S_ISREG(status.st_mode)) {
        buf_add_text(problem, "it is not a file");
        r = -EINVAL;
    }
    if (r == 0)
        r = read_all(descriptor, text, problem);
    if (r == 0)
        *ret_mode = status.st_mode & 0777;
    if (descriptor >= 0)
        close(descriptor);
    return r;
}

/* A secret that others can read is none; a key that others can write is theirs. systemd may lend a credential by an access
 * list, whose mask shows as the group's rights: there the others' alone count. */
int secret_file_check_mode(unsigned mode, bool has_secret, bool is_credential, struct buf *problem)
{
    if (has_secret && mode & ((is_credential ? 0 : 070) | 07)) {
        buf_add_format(problem, "it holds a secret, and its mode %04o lets others than its owner read it; chmod 0600, and make it "
                       "the daemon's own", mode);
        return -EINVAL;
    }
    if (mode & 02) {
        buf_add_format(problem, "its mode %04o lets anybody change it; chmod o-w", mode);
        return -EINVAL;
    }
    return 0;
}
