/*
 * permessage-deflate: see deflate.h. Whether an encoding goes out compressed is decided once (encoding_pack), so that a message that is half
 * sent looks the same when it is framed again.
 */
#include "daemon/transport/deflate.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "lib/packer.h"
#include "lib/ws_extension.h"

#include <sys/uio.h>

static const struct encoding *deflate_encode(struct link *link, const struct encoding *encoding)
{
    const struct config *config = link->worker->hub->config;
    /* Nobody but whoever packs it changes an encoding, and that only once. */
    const struct encoding *packed = encoding_pack((struct encoding *)encoding, worker_packer(link->worker),
                                                  (unsigned)config->compression.level, config->compression.min_bytes);
    if (packed != encoding)
        metrics_add(&link->worker->hub->metrics, METRIC_MESSAGES_PACKED, 1);
    return packed;
}

int deflate_frame(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                  struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH])
{
    struct link *link = connection->link;
    if (ws_deflate_fits(link->window_bits, encoding->length)) {
        const struct encoding *packed = encoding_packed(encoding);
        encoding = packed ? packed : deflate_encode(link, encoding);
    }
    struct bytes frame = encoding_frame(encoding);
    pieces[0] = (struct iovec){(void *)frame.data, frame.length};
    return 1;
}

int deflate_pack(struct link *link, struct bytes text, struct buf *out)
{
    const struct config *config = link->worker->hub->config;
    struct packer *packer = worker_packer(link->worker);
    if (!packer)
        return -ENOMEM;
    if (text.length == 0 || text.length < config->compression.min_bytes || !ws_deflate_fits(link->window_bits, text.length))
        return -E2BIG;
    return packer_add_message(packer, (unsigned)config->compression.level, text, text.length - 1, out);
}

enum decode deflate_unpack(struct link *link, struct bytes packed, bool is_text, struct buf *out, struct fault *fault)
{
    struct packer *packer = worker_packer(link->worker);
    uint64_t length_max = link->worker->hub->config->connection.message_bytes;
    if (!packer)
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    metrics_add(&link->worker->hub->metrics, METRIC_MESSAGES_UNPACKED, 1);
    enum decode result = packer_read_message(packer, packed, length_max, out, fault);
    if (result == DECODE_BAD && fault->id == FAULT_TOO_LARGE)
        return fault_set(fault, FAULT_TOO_LARGE, "a message may have %llu bytes", (unsigned long long)length_max);
    if (result == DECODE_DONE && is_text && !utf8_is_valid(buf_bytes(out)))
        return fault_set(fault, FAULT_BAD_UTF8, "a text message is not valid UTF-8");
    return result;
}
