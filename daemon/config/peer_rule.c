/*
 * Peer rule: see peer_rule.h.
 */
#include "daemon/config/peer_rule.h"

#include "lib/text.h"

int peer_rule_parse(const char *text, struct peer_rule *ret)
{
    static const char *const words[] = {[PEER_UID] = "uid:", [PEER_GID] = "gid:", [PEER_USER] = "user:", [PEER_GROUP] = "group:"};
    uint64_t id = 0;
    for (size_t kind = 0; kind < COUNT_OF(words); kind++) {
        size_t length = strlen(words[kind]);
        if (strncmp(text, words[kind], length) != 0)
            continue;
        const char *name = text + length;
        bool is_id = kind == PEER_UID || kind == PEER_GID;
        /* The last one means nobody to the system calls that change ids. */
        if (name[0] == '\0' || (is_id && (text_parse_uint(bytes_text(name), &id) < 0 || id >= UINT32_MAX)))
            return -EINVAL;
        *ret = (struct peer_rule){.kind = (enum peer_rule_kind)kind, .id = (uint32_t)id, .name = is_id ? NULL : name};
        return 0;
    }
    return -EINVAL;
}
