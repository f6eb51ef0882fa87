/*
 * Envelope: one message of the rtc protocol (rtc-protocol(7), "Envelope"), and the codecs that
 * write it down. Slices only: an envelope owns nothing and lives as long as what it points into.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"
#include "lib/text.h"

enum { EVENT_NAME_MAX = 128 };      /* bytes of UTF-8, no control characters */
enum { KEY_MAX_BYTES = 128 };       /* the same rule */
enum { NAME_MAX_BYTES = 255 };      /* groups and users: 1 to 255 bytes of UTF-8, no control characters */

enum target_kind {
    TARGET_SERVER,                  /* no `to`: the server's handlers */
    TARGET_GROUP,
    TARGET_USER,
    TARGET_CONNECTION,
    TARGET_ALL,
};

struct target {
    enum target_kind kind;
    bool except_self;
    struct bytes name;              /* group, user or connection id; empty for SERVER and ALL */
};

enum codec_id { CODEC_JSON, CODEC_MSGPACK, CODEC_COUNT };

struct envelope {
    struct bytes event_name;        /* decoded UTF-8 */
    struct bytes data;              /* one raw value in the codec it came in; empty: null */
    enum codec_id data_codec;
    uint64_t id;                    /* 0: none */
    struct target to;               /* client to server only */
    struct bytes key;               /* of the value that it sets, in groups that remember the latest of each; empty: none */

    /* Server to client only; empty or 0 where they do not apply. */
    struct bytes group;
    uint64_t offset;
    struct bytes from_connection;
    struct bytes from_user;
    bool is_error;                  /* `data` is written as `error` (rtc.reply) */
};

/* Does it belong to the protocol ("rtc.…"), so that applications may not use it? */
static inline bool event_name_is_reserved(struct bytes name)
{
    return name.length >= 4 && memcmp(name.data, "rtc.", 4) == 0;
}

/* How a value, and so an envelope, is written. One row per codec in codecs[]. */
struct codec {
    enum codec_id id;
    const char *name;               /* "json", "msgpack": in negotiation, options, columns */
    const char *content_type;
    bool is_binary;                 /* WebSocket opcode (RFC 6455 section 5.6) */

    /*
     * Reads one envelope from a client. The envelope's slices point into `text` or `scratch` (cleared first).
     * Unknown members are ignored; a member given twice, a wrong type, a bad name or number is a fault
     * (BAD_ENVELOPE, with what, where and what to do in its detail). DECODE_MORE is never returned.
     * Data that spans lines is compacted into `scratch`, so that data never holds a CR or LF between tokens.
     */
    enum decode (*decode)(struct bytes text, struct buf *scratch, struct envelope *ret, struct fault *fault);

    /* Appends the envelope; data of the other codec is transcoded. -EBADMSG: it has no form in this one; -ENOMEM. */
    int (*encode)(struct buf *out, const struct envelope *envelope);

    /*
     * A body of one envelope or of an array of them: calls `on_one` with each one's raw text, until it returns
     * something else than 0, which is then returned. -EBADMSG with a fault when the body is malformed:
     * then nothing was called (the whole body is checked first). *ret_count, if not NULL: how many.
     */
    int (*each)(struct bytes body, size_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                void *argument, struct fault *fault);
};

extern const struct codec *const codecs[CODEC_COUNT];

const struct codec *codec_by_name(struct bytes name);               /* NULL: there is none */
const struct codec *codec_by_content_type(struct bytes value);      /* parameters ignored; NULL */
