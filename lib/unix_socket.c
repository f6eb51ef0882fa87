/*
 * Unix socket: see unix_socket.h.
 */
#include "lib/unix_socket.h"

#include <sys/stat.h>
#include <unistd.h>

int unix_socket_clear(const struct sockaddr_un *name, socklen_t length)
{
    struct stat status;
    if (lstat(name->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid())
        return -EADDRINUSE;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return -errno;
    bool is_dead = connect(probe, (const struct sockaddr *)name, length) < 0 && errno == ECONNREFUSED;
    close(probe);
    if (!is_dead)
        return -EADDRINUSE;
    return unlink(name->sun_path) < 0 ? -errno : 0;
}
