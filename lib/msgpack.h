/*
 * MessagePack (the specification at msgpack.org, 2013 revision): a bounded reader in front of
 * msgpack-c, whose packer writes. The door to msgpack-c: no other file includes <msgpack.h>.
 *
 * The reader validates and slices in one pass, without recursion or allocation: it refuses a count
 * as soon as it promises more values than bytes are left, checks UTF-8 of every str, limits nesting.
 */
#pragma once

#include "lib/buf.h"

enum { MSGPACK_DEPTH_MAX = 64 };

struct msgpack_scan {
    const unsigned char *start, *at, *end;
    const char *problem;            /* like json_scan's */
};

void msgpack_scan_init(struct msgpack_scan *scan, struct bytes bytes);

/* Validates one value and moves past it. -EBADMSG: `problem` says why and `at` where. */
MUST_CHECK int msgpack_take(struct msgpack_scan *scan, unsigned depth_max, struct bytes *ret_value);
MUST_CHECK int msgpack_take_all(struct msgpack_scan *scan, unsigned depth_max, struct bytes *ret_value);

/* Enters a map or an array: *ret_count pairs or items follow, to be taken one by one. -EBADMSG if it is not one,
 * or if the count cannot fit in what is left. */
MUST_CHECK int msgpack_enter_map(struct msgpack_scan *scan, uint32_t *ret_count);
MUST_CHECK int msgpack_enter_array(struct msgpack_scan *scan, uint32_t *ret_count);

/*
 * One token: a scalar with its content, or the head of a map or an array, whose content follows (transcode.c).
 * Checks what msgpack_take checks, but for the nesting. -EBADMSG.
 */
enum msgpack_type {
    MSGPACK_NIL, MSGPACK_BOOL, MSGPACK_UINT, MSGPACK_INT, MSGPACK_DOUBLE,
    MSGPACK_STR, MSGPACK_BIN, MSGPACK_EXT, MSGPACK_ARRAY, MSGPACK_MAP,
};
struct msgpack_token {
    enum msgpack_type type;
    int8_t ext_type;
    union {
        bool boolean;
        uint64_t number;            /* MSGPACK_UINT */
        int64_t negative;           /* MSGPACK_INT: below zero, always */
        double real;                /* of float 32 as well */
        struct bytes content;       /* MSGPACK_STR, MSGPACK_BIN, MSGPACK_EXT */
        uint32_t count;             /* MSGPACK_ARRAY: items; MSGPACK_MAP: pairs */
    };
};
MUST_CHECK int msgpack_next_token(struct msgpack_scan *scan, struct msgpack_token *ret_token);

/* For values that msgpack_take has returned. -EBADMSG: of another type; -ERANGE. */
MUST_CHECK int msgpack_string(struct bytes value, struct bytes *ret_text);     /* str only */
MUST_CHECK int msgpack_uint(struct bytes value, uint64_t *ret_value);
MUST_CHECK int msgpack_bool(struct bytes value, bool *ret_value);
bool msgpack_is_nil(struct bytes value);
bool msgpack_is_array(struct bytes value);

void msgpack_add_map(struct buf *out, uint32_t pair_count);
void msgpack_add_array(struct buf *out, uint32_t item_count);
void msgpack_add_string(struct buf *out, struct bytes text);
void msgpack_add_text(struct buf *out, const char *text);
void msgpack_add_bin(struct buf *out, struct bytes bytes);
void msgpack_add_uint(struct buf *out, uint64_t value);
void msgpack_add_int(struct buf *out, int64_t value);
void msgpack_add_double(struct buf *out, double value);
void msgpack_add_bool(struct buf *out, bool value);
void msgpack_add_nil(struct buf *out);
void msgpack_add_ext(struct buf *out, int8_t type, struct bytes bytes);

/*
 * A map or an array whose count shows only at its end: `head = msgpack_begin(out)`, the content,
 * then msgpack_end_*() with the count. The head takes as few bytes as the count needs.
 */
size_t msgpack_begin(struct buf *out);
void msgpack_end_map(struct buf *out, size_t head, uint32_t pair_count);
void msgpack_end_array(struct buf *out, size_t head, uint32_t item_count);

/* msgpack-c's. */
const char *msgpack_library_version(void);
