/*
 * JWT: see jwt.h.
 */
#include "daemon/auth/jwt.h"

#include "lib/json.h"
#include "lib/text.h"

enum { HEADER_DEPTH_MAX = 4, CLAIMS_DEPTH_MAX = 16 };

static enum decode jwt_refuse(struct fault *fault, const char *detail)
{
    return fault_set(fault, FAULT_INVALID_TOKEN, "%s", detail);
}

/* Base64url of a JSON object without any member twice; what is decoded stands in `storage`. */
static enum decode jwt_decode_object(struct bytes text, size_t member_max, unsigned depth_max, const char *what, struct buf *storage,
                                     struct bytes *ret, struct fault *fault)
{
    size_t before = storage->length;
    struct json_scan scan;
    if (text_base64url_decode(storage, text) < 0)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s is not base64url (RFC 7515, without padding)", what);
    json_scan_init(&scan, bytes_of(storage->data + before, storage->length - before));
    if (json_take_all(&scan, depth_max, ret) < 0 || json_type(*ret) != JSON_OBJECT)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s is not a JSON object", what);
    int r = json_check_members(*ret, member_max);
    if (r == -EEXIST)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s has a member twice", what);
    return r < 0 ? fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s has more than %zu members", what, member_max) : DECODE_DONE;
}

/* A text member. DECODE_DONE with data NULL: absent. */
static enum decode jwt_text(struct bytes object, const char *name, struct buf *storage, struct bytes *ret, struct fault *fault)
{
    struct bytes value = json_member(object, name);
    *ret = (struct bytes){0};
    if (value.length == 0)
        return DECODE_DONE;
    if (json_type(value) != JSON_STRING || json_string(value, storage, ret) < 0 || ret->length > JWT_TEXT_MAX) {
        *ret = (struct bytes){0};
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s is not a string of at most %d bytes", name, JWT_TEXT_MAX);
    }
    return DECODE_DONE;
}

static bool jwt_is_text(struct bytes text, const char *lower)
{
    size_t length = strlen(lower);
    if (text.length != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((text.data[i] | (text.data[i] >= 'A' && text.data[i] <= 'Z' ? 0x20 : 0)) != (unsigned char)lower[i])
            return false;
    return true;
}

/* RFC 8725 section 3.11: a token made for something else must not be taken for an access token. */
static bool jwt_is_access_type(struct bytes type)
{
    static const char *const types[] = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (jwt_is_text(type, types[i]))
            return true;
    return type.data == NULL;
}

/* Keys that a header brings along or points at (jwk, jku, x5c, x5u) are left unread: only the config says who is believed. */
static enum decode jwt_read_header(struct bytes text, struct buf *storage, struct jwt *ret, struct fault *fault)
{
    struct bytes header = {0}, type = {0};
    enum decode r = jwt_decode_object(text, JWT_HEADER_MEMBERS_MAX, HEADER_DEPTH_MAX, "header", storage, &header, fault);
    if (r != DECODE_DONE)
        return r;
    if (json_member(header, "crit").length || json_member(header, "b64").length)
        return jwt_refuse(fault, "the token's header demands an extension (crit), and none is known here");
    if (jwt_text(header, "alg", storage, &ret->algorithm, fault) != DECODE_DONE
        || jwt_text(header, "kid", storage, &ret->key_id, fault) != DECODE_DONE
        || jwt_text(header, "typ", storage, &type, fault) != DECODE_DONE)
        return DECODE_BAD;
    if (!ret->algorithm.data)
        return jwt_refuse(fault, "the token's header lacks alg");
    if (!jwt_is_access_type(type))
        return jwt_refuse(fault, "the token's header says (typ) that it is no access token");
    return DECODE_DONE;
}

/* What is decoded of a text, and strings in it with escapes once more, shorter than they were: with so much room nothing moves
 * once there is a slice of it. */
static size_t jwt_room(struct bytes text)
{
    return 2 * text.length + 64;
}

static bool jwt_next_part(struct bytes *rest, struct bytes *ret)
{
    const unsigned char *dot = memchr(rest->data, '.', rest->length);
    if (!dot)
        return false;
    *ret = bytes_of(rest->data, (size_t)(dot - rest->data));
    *rest = bytes_of(dot + 1, rest->length - ret->length - 1);
    return true;
}

enum decode jwt_read(struct bytes token, struct buf *storage, struct jwt *ret, struct fault *fault)
{
    struct bytes rest = token, header;
    *ret = (struct jwt){0};
    if (token.length > JWT_BYTES_MAX)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token has more than %d bytes", JWT_BYTES_MAX);
    if (token.length == 0 || !jwt_next_part(&rest, &header) || !jwt_next_part(&rest, &ret->claims_text)
        || memchr(rest.data, '.', rest.length))
        return jwt_refuse(fault, "the token is no JWT of three parts with dots between them");
    ret->signed_part = bytes_of(token.data, header.length + 1 + ret->claims_text.length);
    if (rest.length == 0)
        return jwt_refuse(fault, "the token is not signed");
    if (!buf_room(storage, jwt_room(token)))
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    if (jwt_read_header(header, storage, ret, fault) != DECODE_DONE)
        return DECODE_BAD;
    size_t before = storage->length;
    if (text_base64url_decode(storage, rest) < 0)
        return jwt_refuse(fault, "the token's signature is not base64url (RFC 7515, without padding)");
    ret->signature = bytes_of(storage->data + before, storage->length - before);
    return DECODE_DONE;
}

/* A NumericDate (RFC 7519 section 2): digits, and maybe a fraction, which is cut off. */
static enum decode jwt_time(struct bytes claims, const char *name, bool *ret_has, uint64_t *ret, struct fault *fault)
{
    struct bytes value = json_member(claims, name);
    *ret_has = value.length > 0;
    if (!*ret_has)
        return DECODE_DONE;
    const unsigned char *point = memchr(value.data, '.', value.length);
    struct bytes whole = bytes_of(value.data, point ? (size_t)(point - value.data) : value.length);
    bool has_exponent = json_type(value) == JSON_NUMBER && (memchr(value.data, 'e', value.length) || memchr(value.data, 'E', value.length));
    if (json_type(value) != JSON_NUMBER || has_exponent || text_parse_uint(whole, ret) < 0 || *ret > JWT_SECONDS_MAX)
        return fault_set(fault, FAULT_INVALID_TOKEN, "the token's %s is not a time in seconds since 1970", name);
    return DECODE_DONE;
}

static bool jwt_is_audience(struct bytes value)
{
    struct json_scan scan;
    struct bytes item;
    if (value.length == 0 || json_type(value) == JSON_STRING)
        return true;
    if (json_type(value) != JSON_ARRAY)
        return false;
    json_scan_init(&scan, value);
    int r = json_enter(&scan, '[');
    while (r == 0 && (r = json_next_element(&scan, CLAIMS_DEPTH_MAX, &item)) == 1)
        r = json_type(item) == JSON_STRING ? 0 : -EBADMSG;
    return r == 0;
}

enum decode jwt_read_claims(const struct jwt *jwt, const char *user_claim, struct buf *storage, struct jwt_claims *ret,
                            struct fault *fault)
{
    *ret = (struct jwt_claims){0};
    if (!buf_room(storage, jwt_room(jwt->claims_text)))
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    if (jwt_decode_object(jwt->claims_text, JWT_CLAIMS_MAX, CLAIMS_DEPTH_MAX, "payload", storage, &ret->all, fault) != DECODE_DONE)
        return DECODE_BAD;
    ret->audience = json_member(ret->all, "aud");
    if (!jwt_is_audience(ret->audience))
        return jwt_refuse(fault, "the token's aud is neither a string nor a list of strings");
    if (jwt_text(ret->all, "iss", storage, &ret->issuer, fault) != DECODE_DONE
        || jwt_text(ret->all, "jti", storage, &ret->id, fault) != DECODE_DONE
        || jwt_text(ret->all, user_claim, storage, &ret->user, fault) != DECODE_DONE
        || jwt_time(ret->all, "exp", &ret->has_expiry, &ret->expires_s, fault) != DECODE_DONE
        || jwt_time(ret->all, "nbf", &ret->has_start, &ret->starts_s, fault) != DECODE_DONE
        || jwt_time(ret->all, "iat", &ret->has_issue, &ret->issued_s, fault) != DECODE_DONE)
        return DECODE_BAD;
    return DECODE_DONE;
}

static bool jwt_is_one_of(struct bytes text, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_is(text, names[i]))
            return true;
    return false;
}

static bool jwt_names(struct bytes value, char *const *names, size_t count)
{
    struct json_scan scan;
    struct bytes item;
    if (json_type(value) != JSON_ARRAY) {
        for (size_t i = 0; i < count; i++)
            if (json_string_is(value, names[i]))
                return true;
        return false;
    }
    json_scan_init(&scan, value);
    int r = json_enter(&scan, '[');
    while (r == 0 && json_next_element(&scan, CLAIMS_DEPTH_MAX, &item) == 1)
        if (jwt_names(item, names, count))
            return true;
    return false;
}

static enum fault_id jwt_check_times(const struct jwt_claims *claims, const struct jwt_rules *rules, uint64_t now_s,
                                     struct fault *fault)
{
    unsigned long long leeway_s = rules->leeway_s;
    if (!claims->has_expiry && rules->requires_expiry)
        jwt_refuse(fault, "the token has no exp, and auth.require-exp is on");
    else if (claims->has_expiry && now_s >= claims->expires_s + rules->leeway_s)
        fault_set(fault, FAULT_EXPIRED, "the token expired %llu s ago (exp)", (unsigned long long)(now_s - claims->expires_s));
    else if (claims->has_start && claims->starts_s > now_s + rules->leeway_s)
        fault_set(fault, FAULT_INVALID_TOKEN, "the token is not valid before %llu s from now (nbf; auth.leeway is %llu s)",
                  (unsigned long long)(claims->starts_s - now_s), leeway_s);
    else if (claims->has_issue && claims->issued_s > now_s + rules->leeway_s)
        fault_set(fault, FAULT_INVALID_TOKEN, "the token was issued %llu s in the future (iat; auth.leeway is %llu s): is a clock wrong?",
                  (unsigned long long)(claims->issued_s - now_s), leeway_s);
    return fault->id;
}

enum fault_id jwt_check(const struct jwt_claims *claims, const struct jwt_rules *rules, uint64_t now_s, struct fault *fault)
{
    fault->id = FAULT_NONE;
    if (rules->issuer_count && !claims->issuer.data)
        jwt_refuse(fault, "the token has no iss, and the issuer matters here");
    else if (rules->issuer_count && !jwt_is_one_of(claims->issuer, rules->issuers, rules->issuer_count))
        jwt_refuse(fault, "the token's iss is not the issuer of the key that signed it, or not in auth.issuers");
    else if (rules->audience_count && claims->audience.length == 0)
        jwt_refuse(fault, "the token has no aud, and auth.audiences asks for one");
    else if (claims->audience.length && !jwt_names(claims->audience, rules->audiences, rules->audience_count))
        jwt_refuse(fault, rules->audience_count ? "the token is for another audience (aud; see auth.audiences)"
                   : "the token is for a certain audience (aud), and auth.audiences names none");
    else if (!claims->user.data)
        jwt_refuse(fault, "the token does not say who the user is (sub; see auth.user-claim)");
    else
        return jwt_check_times(claims, rules, now_s, fault);
    return fault->id;
}
