/*
 * Signature: see signature.h.
 */
#include "daemon/hook/signature.h"

int signature_add(struct buf *out, const struct key *key, uint64_t now_s, struct bytes body)
{
    struct buf text = {0}, signature = {0};
    buf_add_decimal(&text, now_s);
    buf_add_byte(&text, '.');
    buf_add_bytes(&text, body);
    int r = buf_status(&text);
    if (r == 0)
        r = key_sign(key, buf_bytes(&text), &signature);
    if (r == 0) {
        buf_add_format(out, "t=%llu,v1=", (unsigned long long)now_s);
        for (size_t i = 0; i < signature.length; i++)
            buf_add_format(out, "%02x", signature.data[i]);
        r = buf_status(out);
    }
    buf_done(&text);
    buf_done(&signature);
    return r;
}
