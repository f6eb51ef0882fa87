/*
 * MessagePack: see msgpack.h. The reader is one function that knows the format, msgpack_next_token(); whatever
 * validates goes through it. The writer is msgpack-c's.
 */
#include "lib/msgpack.h"

#include "lib/text.h"

#include <endian.h>
#include <msgpack.h>

static int msgpack_fail(struct msgpack_scan *scan, const char *problem)
{
    scan->problem = problem;
    return -EBADMSG;
}

void msgpack_scan_init(struct msgpack_scan *scan, struct bytes bytes)
{
    /* An empty buf has no data; arithmetic on NULL is undefined. */
    const unsigned char *start = bytes.data ? bytes.data : (const unsigned char *)"";
    *scan = (struct msgpack_scan){.start = start, .at = start, .end = start + bytes.length};
}

static size_t msgpack_left(const struct msgpack_scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static int msgpack_number(struct msgpack_scan *scan, unsigned size, uint64_t *ret)
{
    if (msgpack_left(scan) < size)
        return msgpack_fail(scan, "the bytes end within a value");
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | *scan->at++;
    *ret = value;
    return 0;
}

static int msgpack_content(struct msgpack_scan *scan, uint64_t length, struct msgpack_token *ret)
{
    if (length > msgpack_left(scan))
        return msgpack_fail(scan, "a length promises more bytes than there are");
    ret->content = bytes_of(scan->at, (size_t)length);
    if (ret->type == MSGPACK_STR && !utf8_is_valid(ret->content))
        return msgpack_fail(scan, "the str that begins here is not valid UTF-8; send bytes as bin");
    scan->at += length;
    return 0;
}

static int msgpack_ext_content(struct msgpack_scan *scan, uint64_t length, struct msgpack_token *ret)
{
    uint64_t type;
    int r = msgpack_number(scan, 1, &type);
    if (r < 0)
        return r;
    ret->ext_type = (int8_t)(uint8_t)type;
    return msgpack_content(scan, length, ret);
}

/* Each item needs a byte at least: a count beyond that is refused before anything believes it. */
static int msgpack_count(struct msgpack_scan *scan, uint64_t count, struct msgpack_token *ret)
{
    uint64_t values = ret->type == MSGPACK_MAP ? count * 2 : count;
    if (values > msgpack_left(scan))
        return msgpack_fail(scan, "a count promises more values than there are bytes");
    ret->count = (uint32_t)count;
    return 0;
}

static int msgpack_signed(struct msgpack_scan *scan, unsigned size, struct msgpack_token *ret)
{
    uint64_t bits;
    int r = msgpack_number(scan, size, &bits);
    if (r < 0)
        return r;
    int64_t value = (int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size);
    ret->type = value < 0 ? MSGPACK_INT : MSGPACK_UINT;
    if (value < 0)
        ret->negative = value;
    else
        ret->number = (uint64_t)value;
    return 0;
}

static int msgpack_real(struct msgpack_scan *scan, unsigned size, struct msgpack_token *ret)
{
    uint64_t bits;
    int r = msgpack_number(scan, size, &bits);
    if (r < 0)
        return r;
    ret->type = MSGPACK_DOUBLE;
    if (size == 4) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof(value));
        ret->real = value;
    } else {
        memcpy(&ret->real, &bits, sizeof(ret->real));
    }
    return 0;
}

/* 0xc0 to 0xdf: a table of what the first byte announces. */
static int msgpack_long_token(struct msgpack_scan *scan, unsigned char first, struct msgpack_token *ret)
{
    uint64_t length;
    int r;
    switch (first) {
    case 0xc0:
        ret->type = MSGPACK_NIL;
        return 0;
    case 0xc2: case 0xc3:
        ret->type = MSGPACK_BOOL;
        ret->boolean = first & 1;
        return 0;
    case 0xc4: case 0xc5: case 0xc6:
        ret->type = MSGPACK_BIN;
        r = msgpack_number(scan, 1u << (first - 0xc4), &length);
        return r < 0 ? r : msgpack_content(scan, length, ret);
    case 0xc7: case 0xc8: case 0xc9:
        ret->type = MSGPACK_EXT;
        r = msgpack_number(scan, 1u << (first - 0xc7), &length);
        return r < 0 ? r : msgpack_ext_content(scan, length, ret);
    case 0xca: case 0xcb:
        return msgpack_real(scan, first == 0xca ? 4 : 8, ret);
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        ret->type = MSGPACK_UINT;
        return msgpack_number(scan, 1u << (first - 0xcc), &ret->number);
    case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        return msgpack_signed(scan, 1u << (first - 0xd0), ret);
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
        ret->type = MSGPACK_EXT;
        return msgpack_ext_content(scan, 1u << (first - 0xd4), ret);
    case 0xd9: case 0xda: case 0xdb:
        ret->type = MSGPACK_STR;
        r = msgpack_number(scan, 1u << (first - 0xd9), &length);
        return r < 0 ? r : msgpack_content(scan, length, ret);
    case 0xdc: case 0xdd:
        ret->type = MSGPACK_ARRAY;
        r = msgpack_number(scan, first == 0xdc ? 2 : 4, &length);
        return r < 0 ? r : msgpack_count(scan, length, ret);
    case 0xde: case 0xdf:
        ret->type = MSGPACK_MAP;
        r = msgpack_number(scan, first == 0xde ? 2 : 4, &length);
        return r < 0 ? r : msgpack_count(scan, length, ret);
    default:
        return msgpack_fail(scan, "the byte 0xc1 begins no value");
    }
}

int msgpack_next_token(struct msgpack_scan *scan, struct msgpack_token *ret)
{
    *ret = (struct msgpack_token){0};
    if (scan->at == scan->end)
        return msgpack_fail(scan, "the bytes end where a value is expected");
    unsigned char first = *scan->at++;
    if (first < 0x80) {
        ret->type = MSGPACK_UINT;
        ret->number = first;
        return 0;
    }
    if (first >= 0xe0) {
        ret->type = MSGPACK_INT;
        ret->negative = (int64_t)first - 256;
        return 0;
    }
    if (first >= 0xc0)
        return msgpack_long_token(scan, first, ret);
    if (first >= 0xa0) {
        ret->type = MSGPACK_STR;
        return msgpack_content(scan, first & 0x1f, ret);
    }
    ret->type = first >= 0x90 ? MSGPACK_ARRAY : MSGPACK_MAP;
    return msgpack_count(scan, first & 0x0f, ret);
}

int msgpack_take(struct msgpack_scan *scan, unsigned depth_max, struct bytes *ret_value)
{
    uint64_t owed[MSGPACK_DEPTH_MAX + 1];       /* values still to come, by depth */
    unsigned depth = 0;
    uint64_t promised = 1;                      /* their sum */
    const unsigned char *start = scan->at;
    assert(depth_max <= MSGPACK_DEPTH_MAX);
    owed[0] = 1;
    while (true) {
        struct msgpack_token token;
        int r = msgpack_next_token(scan, &token);
        if (r < 0)
            return r;
        owed[depth]--;
        promised--;
        if (token.type == MSGPACK_ARRAY || token.type == MSGPACK_MAP) {
            uint64_t values = token.type == MSGPACK_MAP ? (uint64_t)token.count * 2 : token.count;
            promised += values;
            if (promised > msgpack_left(scan))
                return msgpack_fail(scan, "counts promise more values than there are bytes");
            if (depth == depth_max)
                return msgpack_fail(scan, "arrays and maps are nested too deeply; make the value flatter");
            owed[++depth] = values;
        }
        while (owed[depth] == 0 && depth > 0)
            depth--;
        if (depth == 0 && owed[0] == 0)
            break;
    }
    *ret_value = bytes_of(start, (size_t)(scan->at - start));
    return 0;
}

int msgpack_take_all(struct msgpack_scan *scan, unsigned depth_max, struct bytes *ret_value)
{
    int r = msgpack_take(scan, depth_max, ret_value);
    if (r == 0 && scan->at != scan->end)
        r = msgpack_fail(scan, "more bytes follow the value");
    return r;
}

static int msgpack_enter(struct msgpack_scan *scan, enum msgpack_type type, uint32_t *ret_count)
{
    struct msgpack_token token;
    int r = msgpack_next_token(scan, &token);
    if (r < 0)
        return r;
    if (token.type != type)
        return msgpack_fail(scan, type == MSGPACK_MAP ? "a map is expected" : "an array is expected");
    *ret_count = token.count;
    return 0;
}

int msgpack_enter_map(struct msgpack_scan *scan, uint32_t *ret_count)
{
    return msgpack_enter(scan, MSGPACK_MAP, ret_count);
}

int msgpack_enter_array(struct msgpack_scan *scan, uint32_t *ret_count)
{
    return msgpack_enter(scan, MSGPACK_ARRAY, ret_count);
}

static bool msgpack_token_of(struct bytes value, struct msgpack_token *ret)
{
    struct msgpack_scan scan;
    msgpack_scan_init(&scan, value);
    return msgpack_next_token(&scan, ret) == 0;
}

int msgpack_string(struct bytes value, struct bytes *ret_text)
{
    struct msgpack_token token;
    if (!msgpack_token_of(value, &token) || token.type != MSGPACK_STR)
        return -EBADMSG;
    *ret_text = token.content;
    return 0;
}

int msgpack_uint(struct bytes value, uint64_t *ret_value)
{
    struct msgpack_token token;
    if (!msgpack_token_of(value, &token))
        return -EBADMSG;
    if (token.type == MSGPACK_UINT)
        *ret_value = token.number;
    /* JavaScript writes whole numbers above 32 bits as float64. */
    else if (token.type == MSGPACK_DOUBLE && token.real >= 0 && token.real <= 9007199254740991.0
             && token.real == (double)(uint64_t)token.real)
        *ret_value = (uint64_t)token.real;
    else
        return -EBADMSG;
    return 0;
}

int msgpack_bool(struct bytes value, bool *ret_value)
{
    struct msgpack_token token;
    if (!msgpack_token_of(value, &token) || token.type != MSGPACK_BOOL)
        return -EBADMSG;
    *ret_value = token.boolean;
    return 0;
}

static bool msgpack_is(struct bytes value, enum msgpack_type type)
{
    struct msgpack_token token;
    return msgpack_token_of(value, &token) && token.type == type;
}

bool msgpack_is_nil(struct bytes value)
{
    return msgpack_is(value, MSGPACK_NIL);
}

bool msgpack_is_array(struct bytes value)
{
    return msgpack_is(value, MSGPACK_ARRAY);
}

static int msgpack_write(void *out, const char *data, size_t length)
{
    buf_add(out, data, length);
    return 0;
}

static msgpack_packer packer(struct buf *out)
{
    return (msgpack_packer){.data = out, .callback = msgpack_write};
}

void msgpack_add_map(struct buf *out, uint32_t pair_count)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_map(&pack, pair_count);
}

void msgpack_add_array(struct buf *out, uint32_t item_count)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_array(&pack, item_count);
}

void msgpack_add_string(struct buf *out, struct bytes text)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_str(&pack, text.length);
    buf_add_bytes(out, text);
}

void msgpack_add_text(struct buf *out, const char *text)
{
    msgpack_add_string(out, bytes_text(text));
}

void msgpack_add_bin(struct buf *out, struct bytes bytes)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_bin(&pack, bytes.length);
    buf_add_bytes(out, bytes);
}

void msgpack_add_uint(struct buf *out, uint64_t value)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_uint64(&pack, value);
}

void msgpack_add_int(struct buf *out, int64_t value)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_int64(&pack, value);
}

void msgpack_add_double(struct buf *out, double value)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_double(&pack, value);
}

void msgpack_add_bool(struct buf *out, bool value)
{
    msgpack_packer pack = packer(out);
    (value ? msgpack_pack_true : msgpack_pack_false)(&pack);
}

void msgpack_add_nil(struct buf *out)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_nil(&pack);
}

void msgpack_add_ext(struct buf *out, int8_t type, struct bytes bytes)
{
    msgpack_packer pack = packer(out);
    msgpack_pack_ext(&pack, bytes.length, type);
    buf_add_bytes(out, bytes);
}

/* One byte is kept free, enough for the head of most; a wider one moves up what follows. */
size_t msgpack_begin(struct buf *out)
{
    size_t head = out->length;
    buf_add_byte(out, 0);
    return head;
}

/* The head has been added behind the content, `from` there to the end: puts it in its place. */
static void msgpack_end(struct buf *out, size_t head, size_t from)
{
    if (out->failed)
        return;
    unsigned char copy[5];
    size_t length = out->length - from;
    assert(length <= sizeof(copy));
    memcpy(copy, out->data + from, length);
    if (length > 1)
        memmove(out->data + head + length, out->data + head + 1, from - head - 1);
    memcpy(out->data + head, copy, length);
    out->length--;
}

void msgpack_end_map(struct buf *out, size_t head, uint32_t pair_count)
{
    size_t from = out->length;
    msgpack_add_map(out, pair_count);
    msgpack_end(out, head, from);
}

void msgpack_end_array(struct buf *out, size_t head, uint32_t item_count)
{
    size_t from = out->length;
    msgpack_add_array(out, item_count);
    msgpack_end(out, head, from);
}

const char *msgpack_library_version(void)
{
    return msgpack_version();
}
