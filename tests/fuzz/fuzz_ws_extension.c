/*
 * Sec-WebSocket-Extensions: what is taken is within its bounds, and stays so with any line of another extension in front of it.
 */
#include "lib/ws_extension.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct ws_deflate agreed = {0}, behind = {0};
    char answer[WS_EXTENSION_ANSWER];
    struct buf line = {0};
    bool is_taken = ws_deflate_choose(bytes_of(data, size), &agreed);
    buf_add_text(&line, "x; y=\"z\" ,");
    buf_add(&line, data, size);
    bool is_taken_behind = ws_deflate_choose(buf_bytes(&line), &behind);
    if (is_taken != is_taken_behind || agreed.window_bits != behind.window_bits || agreed.names_window != behind.names_window)
        abort();
    if (is_taken && (agreed.window_bits < WS_WINDOW_BITS_MIN || agreed.window_bits > WS_WINDOW_BITS_MAX))
        abort();
    if (is_taken)
        ws_deflate_print(&agreed, answer);
    buf_done(&line);
    return 0;
}
