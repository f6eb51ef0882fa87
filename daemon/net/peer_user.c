/*
 * Peer user: see peer_user.h.
 */
#include "daemon/net/peer_user.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/link.h"
#include "daemon/net/worker.h"

#include <pwd.h>
#include <sys/socket.h>

enum { USER_ROOM = 4096 };

int peer_user_add(const struct link *link, struct buf *out)
{
    struct ucred peer;
    socklen_t length = sizeof(peer), domain_length = sizeof(int);
    int domain = AF_UNSPEC, descriptor = link->source.descriptor;
    /* A proxy's word about its client says nothing of the proxy's own client. */
    if (!link->worker->hub->config->connection.peer_users || link->work->address.family != AF_UNIX
        || getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) < 0 || domain != AF_UNIX
        || getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -ENOENT;
    char room[USER_ROOM];
    struct passwd entry, *user = NULL;
    /* A colon stands in no user's name, so nobody can be called so. */
    if (getpwuid_r(peer.uid, &entry, room, sizeof(room), &user) == 0 && user)
        buf_add_text(out, user->pw_name);
    else
        buf_add_format(out, "uid:%u", peer.uid);
    return buf_status(out);
}
