/*
 * Rights: see rights.h. Packed, an entry is what it allows, the pattern's length, the pattern.
 */
#include "daemon/config/rights.h"

#include "lib/json.h"
#include "lib/pattern.h"

enum { CLAIM_DEPTH_MAX = 16 };          /* as jwt.c has looked through it */

/* Behind the actions stand the targets. */
enum { CODE_TARGETS = GROUP_ACTION_COUNT };

static const char *const action_names[GROUP_ACTION_COUNT] = {
    [GROUP_JOIN] = "join", [GROUP_PUBLISH] = "publish", [GROUP_PRESENCE] = "presence", [GROUP_HISTORY] = "history",
};

const char *group_action_name(enum group_action action)
{
    return action_names[action];
}

struct entry {
    unsigned code;
    struct bytes pattern;
};

static bool rights_next(struct bytes *rest, struct entry *ret)
{
    if (rest->length < 2)
        return false;
    size_t length = rest->data[1];
    assert(rest->length >= 2 + length);
    *ret = (struct entry){.code = rest->data[0], .pattern = bytes_of(rest->data + 2, length)};
    *rest = bytes_of(rest->data + 2 + length, rest->length - 2 - length);
    return true;
}

static int rights_put(struct buf *packed, unsigned code, struct bytes pattern, const char **ret_problem)
{
    struct bytes rest = buf_bytes(packed);
    struct entry entry;
    unsigned count = 0;
    while (rights_next(&rest, &entry))
        count++;
    if (count == RIGHTS_PATTERNS_MAX || packed->length + 2 + pattern.length > RIGHTS_BYTES_MAX) {
        *ret_problem = "at most 64 patterns of 4096 bytes in all are expected";
        return -EINVAL;
    }
    buf_add_byte(packed, (unsigned char)code);
    buf_add_byte(packed, (unsigned char)pattern.length);
    buf_add_bytes(packed, pattern);
    return 0;
}

int rights_add(struct buf *packed, enum group_action action, struct bytes pattern, const char **ret_problem)
{
    *ret_problem = pattern_problem(pattern);
    return *ret_problem ? -EINVAL : rights_put(packed, action, pattern, ret_problem);
}

int rights_add_target(struct buf *packed, struct bytes name, const char **ret_problem)
{
    static const struct { const char *name; enum target_kind kind; } targets[] = {
        {"user", TARGET_USER}, {"connection", TARGET_CONNECTION}, {"all", TARGET_ALL},
    };
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        if (bytes_is(name, targets[i].name))
            return rights_put(packed, CODE_TARGETS + targets[i].kind, (struct bytes){0}, ret_problem);
    *ret_problem = "user, connection or all is expected";
    return -EINVAL;
}

/* A list of strings; for GROUP_ACTION_COUNT the targets. */
static enum decode rights_read_list(struct bytes list, const char *claim_name, unsigned code, struct buf *packed, struct fault *fault)
{
    const char *name = code < GROUP_ACTION_COUNT ? action_names[code] : "to", *problem = "a list of strings is expected";
    struct json_scan scan;
    struct bytes item, text;
    struct buf scratch = {0};
    json_scan_init(&scan, list);
    int r = json_type(list) == JSON_ARRAY ? json_enter(&scan, '[') : -EBADMSG;
    while (r == 0 && (r = json_next_element(&scan, CLAIM_DEPTH_MAX, &item)) == 1) {
        buf_clear(&scratch);
        r = json_type(item) == JSON_STRING ? json_string(item, &scratch, &text) : -EBADMSG;
        if (r == 0)
            r = code < GROUP_ACTION_COUNT ? rights_add(packed, code, text, &problem) : rights_add_target(packed, text, &problem);
    }
    buf_done(&scratch);
    return r == 0 ? DECODE_DONE : fault_set(fault, FAULT_INVALID_TOKEN, "the token's claim %.30s is wrong at %s: %s", claim_name, name,
                                            r == -ENOMEM ? "out of memory" : problem);
}

enum decode rights_read(struct bytes claim, const char *claim_name, struct buf *packed, struct fault *fault)
{
    if (json_type(claim) != JSON_OBJECT)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's claim %.30s is no object (auth.rights-claim)", claim_name);
    if (json_check_members(claim, JSON_MEMBERS_MAX) < 0)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's claim %.30s has a member twice, or too many", claim_name);
    for (unsigned code = 0; code <= GROUP_ACTION_COUNT; code++) {
        struct bytes list = json_member(claim, code < GROUP_ACTION_COUNT ? action_names[code] : "to");
        if (list.length && rights_read_list(list, claim_name, code, packed, fault) != DECODE_DONE)
            return DECODE_BAD;
    }
    return DECODE_DONE;
}

bool rights_allow(struct rights rights, enum group_action action, struct bytes group, struct bytes *ret_pattern)
{
    struct entry entry;
    while (rights_next(&rights.packed, &entry)) {
        if (entry.code != action || !pattern_matches(entry.pattern, group))
            continue;
        if (ret_pattern)
            *ret_pattern = entry.pattern;
        return true;
    }
    return false;
}

bool rights_allow_target(struct rights rights, enum target_kind kind)
{
    struct entry entry;
    while (rights_next(&rights.packed, &entry))
        if (entry.code == CODE_TARGETS + (unsigned)kind)
            return true;
    return false;
}
