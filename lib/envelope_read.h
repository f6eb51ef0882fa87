/*
 * Envelope reading: what an envelope must look like, said once for all codecs. A codec brings the functions that
 * read its values; envelope_read() does the rest.
 */
#pragma once

#include "lib/envelope.h"
#include "lib/json.h"
#include "lib/msgpack.h"

struct member_reader {
    struct json_scan json;
    struct msgpack_scan msgpack;
    uint32_t left;
    struct buf *scratch;                /* for decoded keys; as large as the whole text, so it never moves */
};

struct value_format {
    enum codec_id codec;
    /* Begins a map; -EBADMSG: it is none. */
    int (*open)(struct member_reader *reader, struct bytes map);
    /* 1: a member, its key decoded; 0: the map's end, with nothing behind it; -EBADMSG. */
    int (*next)(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value);
    const char *(*problem)(const struct member_reader *reader, size_t *ret_offset);
    int (*string)(struct bytes value, struct buf *scratch, struct bytes *ret_text);
    int (*uint)(struct bytes value, uint64_t *ret_value);
    int (*boolean)(struct bytes value, bool *ret_value);
    bool (*is_null)(struct bytes value);
};

enum decode envelope_read(const struct value_format *format, struct bytes text, struct buf *scratch,
                          struct envelope *ret, struct fault *fault);
