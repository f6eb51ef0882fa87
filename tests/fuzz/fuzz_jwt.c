/*
 * Tokens and keys: the first byte says what the rest is: a whole token, a header or claims (encoded here, so that the fuzzer need
 * not find base64), or the text of a key.
 */
#include "daemon/auth/jwt.h"
#include "lib/key.h"
#include "lib/text.h"

#include <stdlib.h>

static void judge(const struct jwt *jwt)
{
    static char *names[] = {(char *)"a", (char *)"rtc"};
    struct jwt_rules rules = {.issuers = names, .issuer_count = 2, .audiences = names, .audience_count = 2, .leeway_s = 5};
    struct buf storage = {0};
    struct jwt_claims claims;
    struct fault fault = {0};
    if (jwt_read_claims(jwt, "sub", &storage, &claims, &fault) == DECODE_DONE) {
        if (claims.has_expiry && claims.expires_s > JWT_SECONDS_MAX)
            abort();
        enum fault_id refusal = jwt_check(&claims, &rules, 1000, &fault);
        if (refusal == FAULT_NONE && (!claims.user.data || (claims.has_expiry && claims.expires_s + 5 <= 1000)))
            abort();
        rules.issuer_count = rules.audience_count = 0;
        (void)jwt_check(&claims, &rules, 1000, &fault);
    } else if (fault.id == FAULT_NONE) {
        abort();
    }
    buf_done(&storage);
}

static void take_token(struct bytes token)
{
    struct buf storage = {0}, back = {0};
    struct jwt jwt;
    struct fault fault = {0};
    if (jwt_read(token, &storage, &jwt, &fault) == DECODE_DONE) {
        /* Only one spelling of a signature is taken. */
        text_add_base64url(&back, jwt.signature);
        struct bytes rest = bytes_of(token.data + jwt.signed_part.length + 1, token.length - jwt.signed_part.length - 1);
        if (!bytes_equal(buf_bytes(&back), rest) || !jwt.algorithm.data)
            abort();
        judge(&jwt);
    } else if (fault.id == FAULT_NONE) {
        abort();
    }
    buf_done(&storage);
    buf_done(&back);
}

static int drop(struct key *key, void *argument)
{
    struct buf signature = {0};
    (void)key_verifies(key, BYTES("text"), BYTES("0123456789012345678901234567890123456789012345678901234567890123"));
    if (key_can_sign(key) && key_sign(key, BYTES("text"), &signature) == 0 && !key_verifies(key, BYTES("text"), buf_bytes(&signature)))
        abort();
    buf_done(&signature);
    key_free(key);
    return 0;
}

static void take_key(struct bytes text)
{
    struct key_wish wish = {0};
    struct buf problem = {0};
    if (key_read_text(text, &wish, drop, NULL, &problem) == -EBADMSG && problem.length == 0)
        abort();
    buf_done(&problem);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct buf token = {0};
    struct bytes rest = size ? bytes_of(data + 1, size - 1) : bytes_of(data, 0);
    switch (size ? data[0] : 't') {
    case 'h':
        text_add_base64url(&token, rest);
        buf_add_text(&token, ".e30.AAAA");
        take_token(buf_bytes(&token));
        break;
    case 'c':
        text_add_base64url(&token, rest);
        judge(&(struct jwt){.claims_text = buf_bytes(&token)});
        break;
    case 'k':
        take_key(rest);
        break;
    default:
        take_token(rest);
        break;
    }
    buf_done(&token);
    return 0;
}
