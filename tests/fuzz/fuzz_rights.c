/*
 * Rights and patterns: the first line is a name, the rest a claim. Whatever is read can be judged, within its bounds.
 */
#include "daemon/config/rights.h"
#include "lib/json.h"
#include "lib/pattern.h"

#include <stdlib.h>

static void judge(struct rights rights, struct bytes name)
{
    for (enum group_action action = 0; action < GROUP_ACTION_COUNT; action++) {
        struct bytes pattern = {0};
        bool is_allowed = rights_allow(rights, action, name, &pattern);
        if (is_allowed && (pattern_problem(pattern) || !pattern_matches(pattern, name)))
            abort();
    }
    for (enum target_kind kind = TARGET_SERVER; kind <= TARGET_ALL; kind++)
        if (rights_allow_target(rights, kind) && (kind == TARGET_SERVER || kind == TARGET_GROUP))
            abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *end = size ? memchr(data, '\n', size) : NULL;
    struct bytes name = bytes_of(data, end ? (size_t)(end - data) : size), claim = bytes_of(data + name.length, size - name.length);
    struct json_scan scan;
    struct buf packed = {0};
    struct fault fault = {0};
    (void)pattern_matches(name, claim);
    (void)pattern_matches(claim, name);
    json_scan_init(&scan, claim);
    if (json_take_all(&scan, 16, &claim) == 0) {
        bool is_read = rights_read(claim, "rtc", &packed, &fault) == DECODE_DONE;
        if (is_read != (fault.id == FAULT_NONE) || packed.length > RIGHTS_BYTES_MAX)
            abort();
        if (is_read)
            judge((struct rights){buf_bytes(&packed)}, name);
    }
    buf_done(&packed);
    return 0;
}
