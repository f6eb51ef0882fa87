/*
 * WebSocket framing (RFC 6455 section 5), both directions, without I/O: bytes in, events out.
 *
 * The reader takes whatever bytes have come, unmasks them in place, and hands out pieces of
 * messages and whole control frames. It checks everything that the RFC lets a receiver check: masks,
 * reserved bits, opcodes, minimal lengths, fragmentation, UTF-8 (over the whole message), close codes.
 * It holds no buffer: a header or control frame cut in two comes back as DECODE_MORE with the bytes unconsumed.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0, WS_TEXT = 0x1, WS_BINARY = 0x2, WS_CLOSE = 0x8, WS_PING = 0x9, WS_PONG = 0xA,
    WS_PACKED = 0x40,               /* in writing, beside WS_TEXT or WS_BINARY: RSV1, the message is compressed (RFC 7692 section 6) */
};

enum { WS_HEADER_MAX = 14, WS_SERVER_HEADER_MAX = 10, WS_CONTROL_MAX = 125 };

struct ws_reader {
    uint64_t frame_left;            /* payload bytes of the current data frame still to come */
    uint64_t message_bytes;         /* of the current message, all fragments, announced so far */
    uint64_t message_max;           /* larger: FAULT_TOO_LARGE, on the header alone. Of a compressed one, see ws_packed_max() */
    uint32_t fragment_count, fragment_max;     /* more: FAULT_TOO_MANY_FRAGMENTS */
    uint32_t utf8_state;
    unsigned char mask[4];
    uint8_t mask_offset;
    uint8_t opcode;                 /* of the current message; WS_CONTINUATION: none */
    bool is_final;                  /* is the current frame its message's last */
    bool expects_mask;              /* true at the server */
    bool takes_packed;              /* to be set where permessage-deflate was agreed on */
    bool is_packed;                 /* the current message is compressed: its UTF-8 is for who unpacks it to check */
};

/* What does not shrink may grow a little. */
static inline uint64_t ws_packed_max(uint64_t message_max) { return message_max + message_max / 8 + 64; }

void ws_reader_init(struct ws_reader *reader, bool expects_mask, uint64_t message_max, uint32_t fragment_max);
/* It stands between two messages: a fresh one would go on just as well. */
static inline bool ws_reader_is_idle(const struct ws_reader *reader)
{
    return reader->opcode == WS_CONTINUATION && reader->frame_left == 0;
}

enum ws_event {
    WS_EVENT_DATA,                  /* a piece of a message's payload, maybe empty */
    WS_EVENT_CONTROL,               /* a whole Close, Ping or Pong */
};

struct ws_piece {
    enum ws_event event;
    enum ws_opcode opcode;          /* of the message or control frame */
    unsigned char *data;            /* unmasked, inside the input */
    size_t length;
    bool is_last;                   /* DATA: it ends the message */
    bool is_packed;                 /* DATA: of a compressed message */
};

/*
 * Reads the next piece from `input[0..length)`. DONE: *ret is filled and *ret_consumed bytes are used up.
 * MORE: feed the same bytes again with more behind them (*ret_consumed is 0; at most WS_HEADER_MAX +
 * WS_CONTROL_MAX bytes are ever left so). BAD: `fault` says why and which close code to send.
 */
enum decode ws_read(struct ws_reader *reader, unsigned char *input, size_t length,
                    size_t *ret_consumed, struct ws_piece *ret, struct fault *fault);

/* The code and reason of a Close payload. An empty one gives 1005. Its own checks are part of ws_read. */
uint16_t ws_close_code(struct bytes payload, struct bytes *ret_reason);

/* Writes a server's frame header (unmasked, FIN set) that ends right before `payload`; returns its length (2, 4 or 10). */
size_t ws_header_before(unsigned char *payload, enum ws_opcode opcode, uint64_t length);

/* Appends a whole unmasked control frame (payload at most WS_CONTROL_MAX) or data frame. */
void ws_add_frame(struct buf *out, enum ws_opcode opcode, struct bytes payload);
/* The client's form: masked with `mask` (RFC 6455 section 5.3: from a strong source of randomness). */
void ws_add_masked_frame(struct buf *out, enum ws_opcode opcode, struct bytes payload, const unsigned char mask[static 4]);
void ws_add_close(struct buf *out, uint16_t code, const char *reason);      /* reason cut at 123 bytes, on a character */

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2); -EBADMSG when the key is not 16 bytes of base64. */
enum { WS_ACCEPT_TEXT = 28 };
MUST_CHECK int ws_accept(struct bytes key, char ret_text[static WS_ACCEPT_TEXT + 1]);

/* OpenSSL's. */
const char *ws_library_version(void);
