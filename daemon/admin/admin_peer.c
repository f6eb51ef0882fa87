/*
 * Admin peer: see admin_peer.h. The groups are those that the peer's process had when it connected; a group file may say more or
 * less than the kernel does.
 */
#include "daemon/admin/admin_peer.h"

#include "daemon/config/config.h"
#include "daemon/config/peer_rule.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    struct ucred ids;
    gid_t groups[PEER_GROUPS_MAX];
    size_t group_count;
};

const char *admin_access_option(enum admin_access access)
{
    static const char *const options[ADMIN_ACCESS_COUNT] = {
        [ADMIN_VIEWER] = "admin.viewers", [ADMIN_OPERATOR] = "admin.operators", [ADMIN_ADMIN] = "admin.admins",
    };
    return options[access];
}

static int peer_ask(int descriptor, struct peer *ret)
{
    socklen_t ids_length = sizeof(ret->ids), groups_length = sizeof(ret->groups);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &ret->ids, &ids_length) < 0)
        return -errno;
    /* In more groups than there is room for: then only the first one counts. */
    bool has_groups = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, ret->groups, &groups_length) == 0;
    ret->group_count = has_groups ? groups_length / sizeof(gid_t) : 0;
    return 0;
}

static bool peer_is_in_group(const struct peer *peer, gid_t gid)
{
    bool is_in = peer->ids.gid == gid;
    for (size_t i = 0; i < peer->group_count; i++)
        is_in = is_in || peer->groups[i] == gid;
    return is_in;
}

static bool peer_is_in_named_group(const struct peer *peer, const char *name)
{
    const struct group *group = name[0] ? getgrnam(name) : NULL;
    return group && peer_is_in_group(peer, group->gr_gid);
}

static bool peer_fits(const struct peer *peer, const char *text)
{
    struct peer_rule rule;
    if (peer_rule_parse(text, &rule) < 0)
        return false;
    switch (rule.kind) {
    case PEER_UID:
        return peer->ids.uid == rule.id;
    case PEER_GID:
        return peer_is_in_group(peer, rule.id);
    case PEER_GROUP:
        return peer_is_in_named_group(peer, rule.name);
    default: {
        const struct passwd *user = getpwnam(rule.name);
        return user && user->pw_uid == peer->ids.uid;
    }
    }
}

static bool peer_is_listed(const struct peer *peer, const struct text_list *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (peer_fits(peer, rules->items[i]))
            return true;
    return false;
}

/* The highest level whose list names the peer; only whom none names may still be one by admin.group. */
int admin_peer_judge(const struct config *config, int descriptor, struct admin_peer *ret)
{
    struct peer peer;
    const struct text_list *lists[ADMIN_ACCESS_COUNT] = {
        [ADMIN_VIEWER] = &config->admin.viewers, [ADMIN_OPERATOR] = &config->admin.operators, [ADMIN_ADMIN] = &config->admin.admins,
    };
    int r = peer_ask(descriptor, &peer);
    if (r < 0)
        return r;
    *ret = (struct admin_peer){.uid = peer.ids.uid, .gid = peer.ids.gid, .pid = peer.ids.pid, .access = ADMIN_ADMIN};
    if (peer.ids.uid == 0 || peer.ids.uid == geteuid()) {
        ret->by = peer.ids.uid == 0 ? "root" : "the daemon's own user";
        return 0;
    }
    for (int access = ADMIN_ADMIN; access >= ADMIN_VIEWER; access--) {
        if (!peer_is_listed(&peer, lists[access]))
            continue;
        ret->access = (enum admin_access)access;
        ret->by = admin_access_option(ret->access);
        return 0;
    }
    ret->by = "admin.group";
    return peer_is_in_named_group(&peer, config->admin.group) ? 0 : -EACCES;
}
