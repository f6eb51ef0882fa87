/*
 * Tokens made and shown: token create, which signs one for development, and what shows the daemon one (explain token, revoke token).
 */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/random.h"
#include "cli/render.h"

#include "lib/envelope.h"
#include "lib/key_source.h"
#include "lib/text.h"

#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { CLAIMS_MAX = 128, KEY_FILE_MAX = 256 * 1024 };

/* What a token is made with. Texts are empty where nothing is to be said. */
struct mint {
    struct key *key;
    struct buf issuer, audience, user_claim;
};

static void mint_done(struct mint *mint)
{
    key_free(mint->key);
    buf_done(&mint->issuer);
    buf_done(&mint->audience);
    buf_done(&mint->user_claim);
}

/* The first that can sign. */
static int keep_signer(struct key *key, void *argument)
{
    struct mint *mint = argument;
    if (!mint->key && key_can_sign(key))
        mint->key = key;
    else
        key_free(key);
    return 0;
}

/* A secret needs no name for its algorithm here: who has the file read for signing means it so. */
static int key_from_file(const char *path, struct key_wish wish, struct mint *mint, struct buf *problem)
{
    struct buf text = {0};
    int status = input_read_file(path, &text);
    bool is_text = text.length && (text.data[0] == '{' || memmem(text.data, text.length, "-----BEGIN ", 11));
    if (!wish.has_algorithm && !is_text)
        wish = (struct key_wish){.has_algorithm = true, .algorithm = KEY_HS256, .id = wish.id};
    if (status == 0 && key_read_text(buf_bytes(&text), &wish, keep_signer, mint, problem) < 0)
        status = EX_DATAERR;
    else if (status == 0 && !mint->key) {
        buf_add_text(problem, "it can only verify: a secret or a private key is needed");
        status = EX_DATAERR;
    }
    if (text.data)
        explicit_bzero(text.data, text.capacity);
    buf_done(&text);
    return status;
}

static int key_given(const struct invocation *invocation, const char *path, struct mint *mint)
{
    const char *algorithm = arguments_value(invocation, "algorithm"), *kid = arguments_value(invocation, "kid");
    struct key_wish wish = {.has_algorithm = algorithm, .id = kid ? bytes_text(kid) : (struct bytes){0}};
    struct buf problem = {0};
    if (algorithm && !key_algorithm_find(bytes_text(algorithm), &wish.algorithm)) {
        fprintf(stderr, "rtcctl: --algorithm is one of HS256, RS256, PS256, ES256, EdDSA\n");
        return EX_USAGE;
    }
    int status = key_from_file(path, wish, mint, &problem);
    if (problem.length)
        fprintf(stderr, "rtcctl: %s: %s\n", path, buf_text(&problem));
    buf_done(&problem);
    return status;
}

/* The value of one of the daemon's options; 0 or an exit status. */
static int ask_option(struct session *session, const char *option, struct buf *ret)
{
    struct buf data = {0};
    struct reply reply;
    struct json_scan rows, row;
    struct bytes list, cell;
    buf_add_format(&data, "{\"option\":\"%s\"}", option);
    int status = session_call(session, "show config", buf_bytes(&data), &reply);
    if (status == 0) {
        json_scan_init(&rows, json_member(reply.data, "rows"));
        if (json_enter(&rows, '[') == 0 && json_next_element(&rows, JSON_DEPTH_MAX, &list) == 1) {
            json_scan_init(&row, list);
            if (json_enter(&row, '[') == 0 && json_next_element(&row, JSON_DEPTH_MAX, &cell) == 1
                && json_next_element(&row, JSON_DEPTH_MAX, &cell) == 1 && json_string(cell, &reply.scratch, &list) == 0)
                buf_add_bytes(ret, list);
        }
    }
    session_drop_line(session);
    reply_done(&reply);
    buf_done(&data);
    return status;
}

/* Lists are shown with ", " between their items; the next one ends up in `item`. */
static bool next_item(struct bytes *rest, struct buf *item)
{
    const unsigned char *end = memmem(rest->data, rest->length, ", ", 2);
    size_t length = end ? (size_t)(end - rest->data) : rest->length;
    buf_clear(item);
    buf_add(item, rest->data, length);
    size_t used = MIN(length + 2, rest->length);
    *rest = bytes_of(rest->data + used, rest->length - used);
    return length > 0;
}

static void key_of_daemon(const struct buf *keys, struct mint *mint)
{
    struct bytes rest = buf_bytes(keys);
    struct buf item = {0}, path = {0}, problem = {0};
    while (!mint->key && rest.length && next_item(&rest, &item)) {
        struct key_source source;
        const char *wrong;
        if (key_source_parse(buf_text(&item), &source, &wrong) < 0 || source.is_credential)
            continue;
        buf_clear(&path);
        buf_add_bytes(&path, source.name);
        if (access(buf_text(&path), R_OK) == 0 && key_from_file(buf_text(&path), source.wish, mint, &problem) == 0)
            buf_add_bytes(&mint->issuer, source.issuer);
    }
    buf_done(&item);
    buf_done(&path);
    buf_done(&problem);
}

/* As the daemon that runs would want it. */
static int mint_for_daemon(const struct invocation *invocation, struct mint *mint)
{
    struct session session;
    struct buf keys = {0}, issuers = {0}, audiences = {0};
    int status = session_open(&session, invocation->socket);
    if (status == 0 && (status = ask_option(&session, "auth.keys", &keys)) == 0
        && (status = ask_option(&session, "auth.issuers", &issuers)) == 0
        && (status = ask_option(&session, "auth.audiences", &audiences)) == 0)
        status = ask_option(&session, "auth.user-claim", &mint->user_claim);
    if (status == 0)
        key_of_daemon(&keys, mint);
    if (status == 0 && !mint->key) {
        fprintf(stderr, "rtcctl: none of the daemon's auth.keys is a file with a secret or a private key that you may read; name one "
                        "with --key\n");
        status = EX_NOINPUT;
    }
    struct bytes rest = buf_bytes(&audiences);
    if (rest.length)
        (void)next_item(&rest, &mint->audience);
    rest = buf_bytes(&issuers);
    if (rest.length && mint->issuer.length == 0)
        (void)next_item(&rest, &mint->issuer);
    session_close(&session);
    buf_done(&keys);
    buf_done(&issuers);
    buf_done(&audiences);
    return status;
}

/* Our own claims, where --claims does not say otherwise. */
static bool is_ours(struct bytes claims, const char *name)
{
    return json_member(claims, name).length == 0;
}

static void add_claim(struct json_writer *json, struct bytes claims, const char *name, struct bytes text)
{
    if (text.length == 0 || !is_ours(claims, name))
        return;
    json_key(json, name);
    json_add_string(json, text);
}

static void add_claims(struct buf *out, const struct mint *mint, const char *user, uint64_t lifetime_s, struct bytes claims)
{
    struct json_writer json = json_writer(out);
    struct random_pool pool = {0};
    struct uuid id;
    char id_text[UUID_TEXT + 1];
    struct buf user_claim = {0}, compact = {0};
    uint64_t now_s = (uint64_t)time(NULL);
    random_take(&pool, &id, sizeof(id));
    uuid_print(&id, id_text);
    buf_add_bytes(&user_claim, mint->user_claim.length ? buf_bytes(&mint->user_claim) : BYTES("sub"));
    json_begin_object(&json);
    add_claim(&json, claims, buf_text(&user_claim), bytes_text(user));
    add_claim(&json, claims, "iss", buf_bytes(&mint->issuer));
    add_claim(&json, claims, "aud", buf_bytes(&mint->audience));
    add_claim(&json, claims, "jti", bytes_text(id_text));
    if (is_ours(claims, "iat")) {
        json_key(&json, "iat");
        json_add_uint(&json, now_s);
    }
    if (lifetime_s && is_ours(claims, "exp")) {
        json_key(&json, "exp");
        json_add_uint(&json, now_s + lifetime_s);
    }
    json_end_object(&json);
    json_add_compact(&compact, claims);
    if (compact.length > 2) {
        out->length--;
        buf_add_text(out, out->length > 1 ? "," : "");
        buf_add(out, compact.data + 1, compact.length - 1);
    }
    buf_done(&user_claim);
    buf_done(&compact);
}

static int sign(const struct mint *mint, struct bytes claims, struct buf *token)
{
    struct buf header = {0}, signature = {0};
    struct json_writer json = json_writer(&header);
    json_begin_object(&json);
    json_key(&json, "alg");
    json_add_text(&json, key_algorithm_name(key_algorithm(mint->key)));
    json_key(&json, "typ");
    json_add_text(&json, "JWT");
    if (key_id(mint->key).length) {
        json_key(&json, "kid");
        json_add_string(&json, key_id(mint->key));
    }
    json_end_object(&json);
    text_add_base64url(token, buf_bytes(&header));
    buf_add_byte(token, '.');
    text_add_base64url(token, claims);
    int r = key_sign(mint->key, buf_bytes(token), &signature);
    buf_add_byte(token, '.');
    text_add_base64url(token, buf_bytes(&signature));
    buf_done(&header);
    buf_done(&signature);
    return r < 0 ? r : buf_status(token);
}

static int read_lifetime(const struct invocation *invocation, uint64_t *ret_s)
{
    const char *text = arguments_value(invocation, "expires");
    uint64_t ms = 3600 * 1000;
    if (text && strcmp(text, "never") == 0)
        ms = 0;
    else if (text && (text_parse_span(bytes_text(text), &ms) < 0 || ms < 1000)) {
        fprintf(stderr, "rtcctl: --expires needs a time such as 90s, 15min, 1h or 30d, of a second at least, or never\n");
        return EX_USAGE;
    }
    *ret_s = ms / 1000;
    return 0;
}

static int read_claims(const struct invocation *invocation, struct buf *text, struct bytes *ret)
{
    const char *given = arguments_value(invocation, "claims");
    struct json_scan scan;
    *ret = BYTES("{}");
    if (!given)
        return 0;
    int status = input_read(given, text);
    if (status)
        return status;
    json_scan_init(&scan, buf_bytes(text));
    if (json_take_all(&scan, 16, ret) < 0 || json_type(*ret) != JSON_OBJECT || json_check_members(*ret, CLAIMS_MAX) < 0) {
        fprintf(stderr, "rtcctl: --claims needs a JSON object with each member once, such as '{\"role\":\"guest\"}'\n");
        return EX_DATAERR;
    }
    return 0;
}

int command_token_create(const struct invocation *invocation)
{
    const char *user = arguments_value(invocation, "user"), *path = arguments_value(invocation, "key");
    struct mint mint = {0};
    struct buf text = {0}, payload = {0}, token = {0};
    struct bytes claims;
    uint64_t lifetime_s = 0;
    int status = name_is_valid(bytes_text(user), NAME_MAX_BYTES) ? 0 : EX_USAGE;
    if (status)
        fprintf(stderr, "rtcctl: a user's name has 1 to %d bytes of UTF-8, and no control characters\n", NAME_MAX_BYTES);
    if (status == 0 && (status = read_lifetime(invocation, &lifetime_s)) == 0)
        status = read_claims(invocation, &text, &claims);
    if (status == 0)
        status = path ? key_given(invocation, path, &mint) : mint_for_daemon(invocation, &mint);
    if (status == 0) {
        add_claims(&payload, &mint, user, lifetime_s, claims);
        if (sign(&mint, buf_bytes(&payload), &token) < 0) {
            fprintf(stderr, "rtcctl: the token cannot be signed\n");
            status = EX_SOFTWARE;
        }
    }
    if (status == 0 && (puts(buf_text(&token)) < 0 || fflush(stdout) != 0))
        status = EX_IOERR;
    mint_done(&mint);
    buf_done(&text);
    buf_done(&payload);
    buf_done(&token);
    return status;
}

int command_read_token(const char *text, struct buf *ret)
{
    int status = input_read(text, ret);
    while (status == 0 && ret->length && strchr(" \r\n", ret->data[ret->length - 1]))
        ret->length--;
    return status;
}

int command_with_token(const struct invocation *invocation, struct session *session)
{
    static const char *const given_otherwise[] = {"token", NULL};
    struct buf token = {0}, data = {0};
    struct json_writer json = json_writer(&data);
    struct reply reply;
    int status = command_read_token(arguments_value(invocation, "token"), &token);
    if (status == 0) {
        json_begin_object(&json);
        command_add_arguments(invocation, given_otherwise, &json);
        json_key(&json, "token");
        json_add_string(&json, buf_bytes(&token));
        json_end_object(&json);
        status = session_call(session, invocation->command->words, buf_bytes(&data), &reply);
        if (status == 0)
            status = render_object(invocation, reply.data);
        bool is_valid = true;
        if (status == 0 && json_bool(json_member(reply.data, "valid"), &is_valid) == 0 && !is_valid)
            status = EX_DATAERR;
        reply_done(&reply);
    }
    buf_done(&token);
    buf_done(&data);
    return status;
}
