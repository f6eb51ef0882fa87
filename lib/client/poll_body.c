/*
 * Poll body: see poll_body.h. The members may come in any order, so the envelopes are handed out in a second look.
 */
#include "lib/client/poll_body.h"

#include "lib/json.h"
#include "lib/msgpack.h"

struct poll_body {
    struct bytes messages;              /* the array as it stands */
    uint64_t first;
    bool has_first;
};

static int read_json(struct bytes body, struct poll_body *ret)
{
    struct json_scan scan;
    struct bytes whole;
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0 || json_type(whole) != JSON_OBJECT)
        return -EBADMSG;
    ret->messages = json_member(whole, "messages");
    ret->has_first = json_uint(json_member(whole, "first"), &ret->first) == 0;
    return ret->messages.length && json_type(ret->messages) == JSON_ARRAY ? 0 : -EBADMSG;
}

static int read_msgpack(struct bytes body, struct poll_body *ret)
{
    struct msgpack_scan scan;
    struct bytes key, value, name;
    uint32_t count;
    msgpack_scan_init(&scan, body);
    int r = msgpack_enter_map(&scan, &count);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        r = msgpack_take(&scan, MSGPACK_DEPTH_MAX, &key);
        if (r == 0)
            r = msgpack_take(&scan, MSGPACK_DEPTH_MAX, &value);
        if (r < 0 || msgpack_string(key, &name) < 0)
            return -EBADMSG;
        if (bytes_is(name, "messages"))
            ret->messages = value;
        else if (bytes_is(name, "first"))
            ret->has_first = msgpack_uint(value, &ret->first) == 0;
    }
    return r == 0 && scan.at == scan.end && ret->messages.length && msgpack_is_array(ret->messages) ? 0 : -EBADMSG;
}

static void each_json(struct bytes array, void (*on_one)(void *argument, struct bytes text), void *argument)
{
    struct json_scan scan;
    struct bytes one;
    json_scan_init(&scan, array);
    int r = json_enter(&scan, '[');
    while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &one) == 1)
        on_one(argument, one);
}

static void each_msgpack(struct bytes array, void (*on_one)(void *argument, struct bytes text), void *argument)
{
    struct msgpack_scan scan;
    struct bytes one;
    uint32_t count;
    msgpack_scan_init(&scan, array);
    if (msgpack_enter_array(&scan, &count) < 0)
        return;
    for (uint32_t i = 0; i < count && msgpack_take(&scan, MSGPACK_DEPTH_MAX, &one) == 0; i++)
        on_one(argument, one);
}

int poll_body_read(struct bytes body, bool is_msgpack, void (*on_first)(void *argument, uint64_t first),
                   void (*on_one)(void *argument, struct bytes text), void *argument)
{
    struct poll_body read = {0};
    int r = is_msgpack ? read_msgpack(body, &read) : read_json(body, &read);
    if (r < 0 || !read.has_first || read.first == 0)
        return -EBADMSG;
    on_first(argument, read.first);
    if (is_msgpack)
        each_msgpack(read.messages, on_one, argument);
    else
        each_json(read.messages, on_one, argument);
    return 0;
}

void poll_body_write(struct buf *out, bool is_msgpack, const struct rtc_bytes *envelopes, size_t count)
{
    if (is_msgpack)
        msgpack_add_array(out, (uint32_t)count);
    else
        buf_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i && !is_msgpack)
            buf_add_byte(out, ',');
        buf_add(out, envelopes[i].data, envelopes[i].length);
    }
    if (!is_msgpack)
        buf_add_byte(out, ']');
}
