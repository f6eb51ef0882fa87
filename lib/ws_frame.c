/*
 * WebSocket framing: see ws_frame.h. Writing is at the end.
 */
#include "lib/ws_frame.h"

#include "lib/text.h"

#include <endian.h>
#include <openssl/evp.h>

enum {
    FIN = 0x80, RESERVED = 0x70, RSV1 = WS_PACKED, OPCODE = 0x0f,
    MASKED = 0x80, LENGTH = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127,
    CONTROL = 0x08,
    CLOSE_NO_CODE = 1005,
};

void ws_reader_init(struct ws_reader *reader, bool expects_mask, uint64_t message_max, uint32_t fragment_max)
{
    *reader = (struct ws_reader){.expects_mask = expects_mask, .message_max = message_max, .fragment_max = fragment_max};
}

struct ws_header {
    unsigned char opcode;
    bool is_final;
    bool is_packed;
    uint64_t length;
    unsigned char mask[4];
    size_t size;
};

static enum decode ws_read_length(const unsigned char *input, size_t length, struct ws_header *ret, struct fault *fault)
{
    unsigned char short_length = input[1] & LENGTH;
    ret->size = 2;
    ret->length = short_length;
    if (short_length == LENGTH_16) {
        if (length < 4)
            return DECODE_MORE;
        ret->length = (uint64_t)input[2] << 8 | input[3];
        ret->size = 4;
        if (ret->length < LENGTH_16)
            return fault_set(fault, FAULT_BAD_FRAME, "a frame's length is not in its shortest form");
    } else if (short_length == LENGTH_64) {
        if (length < 10)
            return DECODE_MORE;
        uint64_t value;
        memcpy(&value, input + 2, sizeof(value));
        ret->length = be64toh(value);
        ret->size = 10;
        if (ret->length >> 63)
            return fault_set(fault, FAULT_BAD_FRAME, "a frame's length has its highest bit set");
        if (ret->length <= 0xffff)
            return fault_set(fault, FAULT_BAD_FRAME, "a frame's length is not in its shortest form");
    }
    return DECODE_DONE;
}

/* RFC 7692 section 6: only the first frame of a data message may say that it is compressed. */
static enum decode ws_check_reserved(const struct ws_reader *reader, unsigned char first, struct fault *fault)
{
    bool begins_message = (first & OPCODE) == WS_TEXT || (first & OPCODE) == WS_BINARY;
    if (!(first & RESERVED) || (reader->takes_packed && begins_message && (first & RESERVED) == RSV1))
        return DECODE_DONE;
    if (reader->takes_packed && (first & RESERVED) == RSV1)
        return fault_set(fault, FAULT_BAD_FRAME, "only the first frame of a message may be marked as compressed");
    return fault_set(fault, FAULT_BAD_FRAME, "a reserved bit is set, but no extension was agreed on");
}

/* What the first two bytes and the length say, whatever the state of the message. */
static enum decode ws_read_header(const struct ws_reader *reader, const unsigned char *input, size_t length,
                                  struct ws_header *ret, struct fault *fault)
{
    if (length < 1)
        return DECODE_MORE;
    ret->opcode = input[0] & OPCODE;
    ret->is_final = input[0] & FIN;
    ret->is_packed = input[0] & RSV1;
    if (ws_check_reserved(reader, input[0], fault) != DECODE_DONE)
        return DECODE_BAD;
    if ((ret->opcode > WS_BINARY && ret->opcode < WS_CLOSE) || ret->opcode > WS_PONG)
        return fault_set(fault, FAULT_BAD_FRAME, "opcode %u is unknown", ret->opcode);
    if ((ret->opcode & CONTROL) && !ret->is_final)
        return fault_set(fault, FAULT_BAD_FRAME, "a control frame is fragmented");
    if (length < 2)
        return DECODE_MORE;
    bool is_masked = input[1] & MASKED;
    if (is_masked != reader->expects_mask)
        return fault_set(fault, FAULT_BAD_FRAME, is_masked ? "a server's frame is masked" : "a client's frame is not masked");
    if ((ret->opcode & CONTROL) && (input[1] & LENGTH) > WS_CONTROL_MAX)
        return fault_set(fault, FAULT_BAD_FRAME, "a control frame has more than %d bytes", WS_CONTROL_MAX);
    enum decode result = ws_read_length(input, length, ret, fault);
    if (result != DECODE_DONE || !is_masked)
        return result;
    if (length < ret->size + 4)
        return DECODE_MORE;
    memcpy(ret->mask, input + ret->size, 4);
    ret->size += 4;
    return DECODE_DONE;
}

static void ws_unmask(unsigned char *data, size_t length, const unsigned char mask[4], unsigned offset)
{
    unsigned char turned[8];
    for (unsigned i = 0; i < 8; i++)
        turned[i] = mask[(offset + i) & 3];
    uint64_t word, pattern;
    memcpy(&pattern, turned, sizeof(pattern));
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        memcpy(&word, data + i, sizeof(word));
        word ^= pattern;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < length; i++)
        data[i] ^= turned[i & 7];
}

static bool ws_close_code_is_allowed(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

uint16_t ws_close_code(struct bytes payload, struct bytes *ret_reason)
{
    *ret_reason = (struct bytes){0};
    if (payload.length < 2)
        return CLOSE_NO_CODE;
    *ret_reason = bytes_of(payload.data + 2, payload.length - 2);
    return (uint16_t)(payload.data[0] << 8 | payload.data[1]);
}

static enum decode ws_check_close(struct bytes payload, struct fault *fault)
{
    struct bytes reason;
    if (payload.length == 1)
        return fault_set(fault, FAULT_BAD_FRAME, "a close frame has half a code");
    uint16_t code = ws_close_code(payload, &reason);
    if (payload.length && !ws_close_code_is_allowed(code))
        return fault_set(fault, FAULT_BAD_FRAME, "close code %u may not be sent", code);
    if (!utf8_is_valid(reason))
        return fault_set(fault, FAULT_BAD_UTF8, "a close reason is not valid UTF-8");
    return DECODE_DONE;
}

static enum decode ws_read_control(const struct ws_header *header, unsigned char *input, size_t length,
                                   bool is_masked, size_t *ret_consumed, struct ws_piece *ret, struct fault *fault)
{
    if (length - header->size < header->length)
        return DECODE_MORE;
    *ret = (struct ws_piece){.event = WS_EVENT_CONTROL, .opcode = header->opcode, .data = input + header->size,
                             .length = (size_t)header->length, .is_last = true};
    if (is_masked)
        ws_unmask(ret->data, ret->length, header->mask, 0);
    *ret_consumed = header->size + ret->length;
    return header->opcode == WS_CLOSE ? ws_check_close(bytes_of(ret->data, ret->length), fault) : DECODE_DONE;
}

/* A data frame begins: does it continue the message, and may it be so large? */
static enum decode ws_begin_frame(struct ws_reader *reader, const struct ws_header *header, struct fault *fault)
{
    bool is_open = reader->opcode != WS_CONTINUATION;
    if (header->opcode == WS_CONTINUATION && !is_open)
        return fault_set(fault, FAULT_BAD_FRAME, "a continuation frame has no message to continue");
    if (header->opcode != WS_CONTINUATION && is_open)
        return fault_set(fault, FAULT_BAD_FRAME, "a message begins before the last one has ended");
    if (!is_open) {
        reader->opcode = header->opcode;
        reader->is_packed = header->is_packed;
        reader->message_bytes = 0;
        reader->fragment_count = 0;
        reader->utf8_state = UTF8_ACCEPT;
    }
    /* By subtraction, so that no sum can wrap. */
    uint64_t message_max = reader->is_packed ? ws_packed_max(reader->message_max) : reader->message_max;
    if (header->length > message_max - reader->message_bytes)
        return fault_set(fault, FAULT_TOO_LARGE, "a message may have %llu bytes", (unsigned long long)reader->message_max);
    if (++reader->fragment_count > reader->fragment_max)
        return fault_set(fault, FAULT_TOO_MANY_FRAGMENTS, "a message may have %u fragments", reader->fragment_max);
    reader->message_bytes += header->length;
    reader->frame_left = header->length;
    reader->is_final = header->is_final;
    reader->mask_offset = 0;
    memcpy(reader->mask, header->mask, sizeof(reader->mask));
    return DECODE_DONE;
}

static enum decode ws_take_payload(struct ws_reader *reader, unsigned char *data, size_t length, struct ws_piece *ret,
                                   struct fault *fault)
{
    size_t taken = (size_t)MIN(reader->frame_left, (uint64_t)length);
    if (reader->expects_mask)
        ws_unmask(data, taken, reader->mask, reader->mask_offset);
    reader->mask_offset = (uint8_t)((reader->mask_offset + taken) & 3);
    reader->frame_left -= taken;
    bool is_last = reader->frame_left == 0 && reader->is_final;
    *ret = (struct ws_piece){.event = WS_EVENT_DATA, .opcode = reader->opcode, .data = data, .length = taken,
                             .is_last = is_last, .is_packed = reader->is_packed};
    if (reader->opcode == WS_TEXT && !reader->is_packed) {
        reader->utf8_state = utf8_feed(reader->utf8_state, bytes_of(data, taken));
        if (reader->utf8_state == UTF8_REJECT || (is_last && reader->utf8_state != UTF8_ACCEPT))
            return fault_set(fault, FAULT_BAD_UTF8, "a text message is not valid UTF-8");
    }
    if (is_last)
        reader->opcode = WS_CONTINUATION;
    return DECODE_DONE;
}

enum decode ws_read(struct ws_reader *reader, unsigned char *input, size_t length,
                    size_t *ret_consumed, struct ws_piece *ret, struct fault *fault)
{
    *ret_consumed = 0;
    size_t head = 0;
    if (reader->frame_left == 0) {
        struct ws_header header = {0};
        enum decode result = ws_read_header(reader, input, length, &header, fault);
        if (result != DECODE_DONE)
            return result;
        if (header.opcode & CONTROL)
            return ws_read_control(&header, input, length, reader->expects_mask, ret_consumed, ret, fault);
        result = ws_begin_frame(reader, &header, fault);
        if (result != DECODE_DONE)
            return result;
        head = header.size;
    }
    enum decode result = ws_take_payload(reader, input + head, length - head, ret, fault);
    *ret_consumed = head + ret->length;
    return result;
}

size_t ws_header_before(unsigned char *payload, enum ws_opcode opcode, uint64_t length)
{
    unsigned char first = (unsigned char)(FIN | opcode);
    if (length < LENGTH_16) {
        payload[-2] = first;
        payload[-1] = (unsigned char)length;
        return 2;
    }
    if (length <= 0xffff) {
        payload[-4] = first;
        payload[-3] = LENGTH_16;
        payload[-2] = (unsigned char)(length >> 8);
        payload[-1] = (unsigned char)length;
        return 4;
    }
    uint64_t value = htobe64(length);
    payload[-10] = first;
    payload[-9] = LENGTH_64;
    memcpy(payload - 8, &value, sizeof(value));
    return 10;
}

void ws_add_frame(struct buf *out, enum ws_opcode opcode, struct bytes payload)
{
    unsigned char room[WS_SERVER_HEADER_MAX];
    size_t size = ws_header_before(room + sizeof(room), opcode, payload.length);
    buf_add(out, room + sizeof(room) - size, size);
    buf_add_bytes(out, payload);
}

void ws_add_masked_frame(struct buf *out, enum ws_opcode opcode, struct bytes payload, const unsigned char mask[static 4])
{
    unsigned char room[WS_SERVER_HEADER_MAX];
    size_t size = ws_header_before(room + sizeof(room), opcode, payload.length);
    room[sizeof(room) - size + 1] |= MASKED;
    buf_add(out, room + sizeof(room) - size, size);
    buf_add(out, mask, 4);
    size_t before = out->length;
    buf_add_bytes(out, payload);
    if (buf_status(out) == 0)
        ws_unmask(out->data + before, payload.length, mask, 0);
}

void ws_add_close(struct buf *out, uint16_t code, const char *reason)
{
    unsigned char payload[WS_CONTROL_MAX];
    size_t length = strlen(reason);
    if (length > sizeof(payload) - 2)
        for (length = sizeof(payload) - 2; length && (reason[length] & 0xc0) == 0x80; length--)
            ;
    payload[0] = (unsigned char)(code >> 8);
    payload[1] = (unsigned char)code;
    memcpy(payload + 2, reason, length);
    ws_add_frame(out, WS_CLOSE, bytes_of(payload, length + 2));
}

int ws_accept(struct bytes key, char ret_text[static WS_ACCEPT_TEXT + 1])
{
    struct buf text = {0};
    int r = key.length == 24 ? text_base64_decode(&text, key) : -EBADMSG;
    if (r == 0 && text.length != 16)
        r = -EBADMSG;
    if (r == 0) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        buf_clear(&text);
        buf_add_bytes(&text, key);
        buf_add_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        if (EVP_Digest(text.data, text.length, digest, &size, EVP_sha1(), NULL) != 1)
            r = -ENOMEM;
        buf_clear(&text);
        text_add_base64(&text, bytes_of(digest, size));
        if (r == 0)
            memcpy(ret_text, buf_text(&text), WS_ACCEPT_TEXT + 1);
    }
    buf_done(&text);
    return r;
}

const char *ws_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
