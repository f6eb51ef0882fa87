/*
 * HTTP answers: the same status, body and end, whole and byte by byte.
 */
#include "lib/client/http_response.h"

#include <stdlib.h>

struct outcome {
    enum decode result;
    unsigned status;
    bool is_over, ends_at_close;
    size_t used;
    struct buf body;
};

static void take(struct outcome *outcome, const struct http_reader *reader, enum http_event event, struct bytes body)
{
    if (event == HTTP_EVENT_HEAD) {
        if (outcome->status)
            abort();
        outcome->status = reader->status;
        http_reader_field(reader, "content-type");
    }
    if (event == HTTP_EVENT_BODY && (body.length == 0 || !outcome->status))
        abort();
    buf_add_bytes(&outcome->body, body);
    outcome->is_over = event == HTTP_EVENT_END;
}

static struct outcome read_all(const unsigned char *data, size_t size, size_t step)
{
    struct outcome outcome = {.result = DECODE_MORE};
    struct http_reader reader;
    struct rtc_error error = {0};
    http_reader_init(&reader);
    do {
        struct bytes piece = bytes_of(data + outcome.used, MIN(step, size - outcome.used)), body;
        enum http_event event = HTTP_EVENT_HEAD;
        size_t used;
        outcome.result = http_read(&reader, piece, &used, &event, &body, &error);
        if (used > piece.length || body.length > piece.length || (outcome.result == DECODE_MORE && used != piece.length))
            abort();
        if (outcome.result == DECODE_BAD && (error.code != RTC_BAD_ANSWER || !error.message[0]))
            abort();
        outcome.used += used;
        if (outcome.result == DECODE_DONE)
            take(&outcome, &reader, event, body);
    } while (outcome.result != DECODE_BAD && !outcome.is_over && (outcome.used < size || outcome.result == DECODE_DONE));
    outcome.ends_at_close = http_reader_ends_at_close(&reader);
    http_reader_done(&reader);
    return outcome;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct outcome whole = read_all(data, size, size ? size : 1), pieces = read_all(data, size, 1);
    bool is_bad = whole.result == DECODE_BAD;
    if (is_bad != (pieces.result == DECODE_BAD))
        abort();
    if (!is_bad && (whole.status != pieces.status || whole.is_over != pieces.is_over || whole.used != pieces.used
                    || whole.ends_at_close != pieces.ends_at_close
                    || !bytes_equal(buf_bytes(&whole.body), buf_bytes(&pieces.body))))
        abort();
    buf_done(&whole.body);
    buf_done(&pieces.body);
    return 0;
}
