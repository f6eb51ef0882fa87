/*
 * Text: base64 and URL decoding, UTF-8 in pieces and whole, and escapes that leave nothing dangerous.
 */
#include "lib/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct buf out = {0}, back = {0};
    if (text_base64_decode(&out, text) == 0) {
        text_add_base64(&back, buf_bytes(&out));
        if (!bytes_equal(buf_bytes(&back), text))
            abort();
    }
    buf_clear(&out);
    (void)!text_url_decode(&out, text, true);
    buf_clear(&out);
    text_add_escaped(&out, text, 4096);
    for (size_t i = 0; i < out.length; i++)
        if (out.data[i] < 0x20 || out.data[i] == 0x7f)
            abort();
    if (!utf8_is_valid(buf_bytes(&out)))
        abort();
    size_t half = size / 2;
    uint32_t state = utf8_feed(utf8_feed(UTF8_ACCEPT, bytes_of(data, half)), bytes_of(data + half, size - half));
    if ((state == UTF8_ACCEPT) != utf8_is_valid(text))
        abort();
    (void)text_matches(bytes_of(data, half), bytes_of(data + half, size - half));
    buf_done(&out);
    buf_done(&back);
    return 0;
}
