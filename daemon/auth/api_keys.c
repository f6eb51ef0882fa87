/*
 * API keys: see api_keys.h. A line is NAME sha256:HASH and options, all with blanks between; # begins a comment. What is not
 * understood is wrong: an option that is passed over might have been the one that limits.
 */
#include "daemon/auth/api_keys.h"

#include "daemon/auth/secret_file.h"
#include "lib/text.h"

#include <stdlib.h>
#include <time.h>

#define HASH_PREFIX "sha256:"

static bool is_hex_hash(struct bytes text, unsigned char *ret)
{
    if (text.length != 2 * API_KEY_HASH_BYTES)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        const char *digits = "0123456789abcdef", *at = text.data[i] ? strchr(digits, text.data[i]) : NULL;
        if (!at)
            return false;
        ret[i / 2] = (unsigned char)(i % 2 ? ret[i / 2] | (at - digits) : (at - digits) << 4);
    }
    return true;
}

static bool next_word(struct bytes *rest, struct bytes *ret)
{
    size_t start = 0;
    while (start < rest->length && (rest->data[start] == ' ' || rest->data[start] == '\t'))
        start++;
    size_t end = start;
    while (end < rest->length && rest->data[end] != ' ' && rest->data[end] != '\t')
        end++;
    *ret = bytes_of(rest->data + start, end - start);
    *rest = bytes_of(rest->data + end, rest->length - end);
    return ret->length > 0;
}

/* 2027-01-31, its first moment, or 2027-01-31T12:00:00Z. */
static bool read_date(struct bytes text, uint64_t *ret_s)
{
    char date[24], again[24];
    struct tm utc = {0};
    if (text.length >= sizeof(date))
        return false;
    memcpy(date, text.data, text.length);
    date[text.length] = '\0';
    const char *form = text.length == 10 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", *end = strptime(date, form, &utc);
    time_t time = end && *end == '\0' ? timegm(&utc) : -1;
    /* The 31st of a shorter month would be a day of the next one. */
    if (time < 0 || !gmtime_r(&time, &utc) || strftime(again, sizeof(again), form, &utc) == 0 || strcmp(again, date) != 0)
        return false;
    *ret_s = (uint64_t)time;
    return true;
}

static const char *take_user(struct api_key *key, struct bytes value)
{
    if (key->user.length)
        return "user= stands twice";
    if (!name_is_valid(value, NAME_MAX_BYTES))
        return "a user's name has 1 to 255 bytes of UTF-8, and no control characters";
    buf_add_bytes(&key->user, value);
    return NULL;
}

static const char *take_level(struct api_key *key, struct bytes value)
{
    static const char *const names[] = {[API_KEY_VIEWER] = "viewer", [API_KEY_OPERATOR] = "operator", [API_KEY_ADMIN] = "admin"};
    if (key->level != API_KEY_NOTHING)
        return "level= stands twice";
    for (size_t level = API_KEY_VIEWER; level < COUNT_OF(names); level++)
        if (bytes_is(value, names[level]))
            key->level = (enum api_key_level)level;
    return key->level == API_KEY_NOTHING ? "a level is viewer, operator or admin" : NULL;
}

static const char *take_expires(struct api_key *key, struct bytes value)
{
    if (key->expires_s != UINT64_MAX)
        return "expires= stands twice";
    return read_date(value, &key->expires_s) ? NULL : "a date is written 2027-01-31, or 2027-01-31T12:00:00Z";
}

/* NULL, or what is wrong. */
static const char *take_option(struct api_key *key, struct bytes word)
{
    const char *problem;
    const unsigned char *sign = memchr(word.data, '=', word.length);
    if (!sign)
        return "an option such as user=NAME is expected";
    struct bytes name = bytes_of(word.data, (size_t)(sign - word.data)), value = bytes_of(sign + 1, word.length - name.length - 1);
    if (bytes_is(name, "user"))
        return take_user(key, value);
    if (bytes_is(name, "level"))
        return take_level(key, value);
    if (bytes_is(name, "expires"))
        return take_expires(key, value);
    if (bytes_is(name, "to"))
        return rights_add_target(&key->rights, value, &problem) < 0 ? problem : NULL;
    for (enum group_action action = 0; action < GROUP_ACTION_COUNT; action++)
        if (bytes_is(name, group_action_name(action)))
            return rights_add(&key->rights, action, value, &problem) < 0 ? problem : NULL;
    return "there is no such option; there are user=, level=, expires=, join=, publish=, presence=, history= and to=";
}

static const char *take_name(struct api_key *key, struct bytes name)
{
    bool is_name = name.length <= API_KEY_NAME_MAX;
    for (size_t i = 0; i < name.length; i++)
        is_name = is_name && name.data[i] && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", name.data[i]);
    if (!is_name)
        return "a name has up to 64 letters, digits, dots, hyphens and underlines";
    buf_add_text(&key->id, "api-key:");
    buf_add_bytes(&key->id, name);
    return NULL;
}

/* The key itself must not stand where its hash belongs. */
static const char *take_hash(struct api_key *key, struct bytes word)
{
    size_t prefix = strlen(HASH_PREFIX);
    if (api_key_is_meant(word))
        return "the key itself stands here; make another (rtcctl key create), and write down its hash";
    if (word.length < prefix || memcmp(word.data, HASH_PREFIX, prefix) != 0
        || !is_hex_hash(bytes_of(word.data + prefix, word.length - prefix), key->hash))
        return "behind the name, sha256: and 64 hexadecimal digits in lower case are expected (rtcctl key create)";
    return NULL;
}

static const char *read_line(struct api_key *key, struct bytes line)
{
    struct bytes rest = line, word = {0};
    unsigned char whole[API_KEY_HASH_BYTES];
    (void)next_word(&rest, &word);
    const char *problem = take_name(key, word);
    struct bytes name = word;
    (void)next_word(&rest, &word);
    problem = problem ? problem : take_hash(key, word);
    while (!problem && next_word(&rest, &word))
        problem = take_option(key, word);
    if (!problem && key->user.length == 0)
        buf_add_bytes(&key->user, name);
    api_key_hash(line, whole);
    memcpy(&key->mark, whole, sizeof(key->mark));
    return problem;
}

static bool is_blank(struct bytes line)
{
    struct bytes word;
    return !next_word(&line, &word) || word.data[0] == '#';
}

static const char *find_double(const struct api_keys *keys, const struct api_key *key)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (bytes_equal(buf_bytes(&keys->items[i].id), buf_bytes(&key->id)))
            return "another line has this name already";
        if (api_key_hashes_are_equal(keys->items[i].hash, key->hash))
            return "another line has this hash already";
    }
    return NULL;
}

static void api_key_done(struct api_key *key)
{
    buf_done(&key->id);
    buf_done(&key->user);
    buf_done(&key->rights);
}

/* NULL, or what is wrong. */
static const char *api_keys_add(struct api_keys *keys, struct bytes line, int *ret_r)
{
    struct api_key key = {.expires_s = UINT64_MAX};
    const char *problem = keys->count == API_KEYS_MAX ? "there are more keys than may be (1024)" : read_line(&key, line);
    if (!problem)
        problem = find_double(keys, &key);
    if (buf_status(&key.id) < 0 || buf_status(&key.user) < 0 || buf_status(&key.rights) < 0)
        *ret_r = -ENOMEM;
    if (problem || *ret_r < 0)
        api_key_done(&key);
    else
        keys->items[keys->count++] = key;
    return problem;
}

int api_keys_read(struct bytes text, const char *path, struct api_keys **ret, struct buf *problems)
{
    SCOPED(api_keys) keys = calloc(1, sizeof(*keys));
    int result = 0;
    if (!keys)
        return -ENOMEM;
    atomic_init(&keys->reference_count, 1);
    keys->hasher = api_key_hasher_new();
    if (!keys->hasher)
        return -ENOMEM;
    for (size_t number = 1; text.length; number++) {
        const unsigned char *end = memchr(text.data, '\n', text.length);
        size_t length = end ? (size_t)(end - text.data) : text.length;
        struct bytes line = bytes_of(text.data, length);
        int r = 0;
        const char *problem = is_blank(line) ? NULL : api_keys_add(keys, line, &r);
        if (r < 0)
            return r;
        if (problem) {
            buf_add_format(problems, "%s:%zu: auth.api-keys: %s\n", path, number, problem);
            result = -EINVAL;
        }
        size_t used = MIN(length + 1, text.length);
        text = bytes_of(text.data + used, text.length - used);
    }
    if (result == 0)
        *ret = STEAL(keys);
    return result;
}

int api_keys_load(const char *source, struct api_keys **ret, struct buf *problems)
{
    static const char credential[] = "credential:";
    bool is_credential = source && strncmp(source, credential, strlen(credential)) == 0;
    struct buf path = {0}, text = {0}, problem = {0};
    unsigned mode = 0;
    *ret = NULL;
    if (!source || !source[0])
        return 0;
    int r = secret_file_path(bytes_text(source + (is_credential ? strlen(credential) : 0)), is_credential, &path, &problem);
    if (r == 0)
        r = secret_file_read(buf_text(&path), &text, &mode, &problem);
    if (r == 0)
        r = secret_file_check_mode(mode, true, is_credential, &problem);
    if (r == -EINVAL)
        buf_add_format(problems, "auth.api-keys: %s: %s\n", path.length ? buf_text(&path) : source, buf_text(&problem));
    if (r == 0)
        r = api_keys_read(buf_bytes(&text), buf_text(&path), ret, problems);
    buf_done(&path);
    buf_done(&problem);
    secret_file_wipe(&text);
    return r;
}

struct api_keys *api_keys_ref(struct api_keys *keys)
{
    if (keys)
        atomic_fetch_add_explicit(&keys->reference_count, 1, memory_order_relaxed);
    return keys;
}

void api_keys_free(struct api_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->reference_count, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < keys->count; i++)
        api_key_done(&keys->items[i]);
    api_key_hasher_free(keys->hasher);
    free(keys);
}

/* By its hash; NULL: it is none of them. */
static const struct api_key *api_keys_find(const struct api_keys *keys, const unsigned char *hash)
{
    const struct api_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++)
        if (api_key_hashes_are_equal(keys->items[i].hash, hash))
            found = &keys->items[i];
    return found;
}

/* Only of a key that is none of those here is it of interest whether it is one at all. */
enum fault_id api_keys_verify(const struct api_keys *keys, struct bytes text, uint64_t now_s, const struct api_key **ret, struct fault *fault)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    fault->id = FAULT_NONE;
    *ret = NULL;
    if (keys && text.length == API_KEY_TEXT) {
        if (api_key_hasher_hash(keys->hasher, text, hash) < 0) {
            fault_set(fault, FAULT_INTERNAL, "out of memory");
            return fault->id;
        }
        *ret = api_keys_find(keys, hash);
    }
    if (!*ret && api_key_check(text) < 0)
        fault_set(fault, FAULT_INVALID_TOKEN, "the API key is mistyped or cut off: its checksum is wrong");
    else if (!*ret)
        fault_set(fault, FAULT_INVALID_TOKEN, "no API key that is known here (auth.api-keys)");
    else if (now_s >= (*ret)->expires_s)
        fault_set(fault, FAULT_EXPIRED, "the API key has expired (auth.api-keys)");
    return fault->id;
}

bool api_keys_have(const struct api_keys *keys, uint64_t mark)
{
    for (size_t i = 0; keys && i < keys->count; i++)
        if (keys->items[i].mark == mark)
            return true;
    return false;
}
