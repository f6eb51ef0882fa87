/*
 * key create: makes an API key, and shows it once. The daemon's file gets its hash alone.
 */
#include "cli/commands.h"
#include "cli/random.h"
#include "cli/render.h"

#include "lib/api_key.h"
#include "lib/json.h"

#include <sysexits.h>

enum { NAME_MAX_TEXT = 64 };

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length && length <= NAME_MAX_TEXT
        && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == length;
}

static void add_line(struct buf *line, const char *name, struct bytes key)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    api_key_hash(key, hash);
    buf_add_format(line, "%s sha256:", name);
    for (size_t i = 0; i < sizeof(hash); i++)
        buf_add_format(line, "%02x", hash[i]);
}

int command_key_create(const struct invocation *invocation)
{
    const char *name = arguments_value(invocation, "name");
    unsigned char random[API_KEY_RANDOM_BYTES];
    struct random_pool pool = {0};
    struct buf key = {0}, line = {0}, object = {0};
    struct json_writer json = json_writer(&object);
    if (!is_name(name)) {
        fprintf(stderr, "rtcctl: a key's name has up to %d letters, digits, dots, hyphens and underlines\n", NAME_MAX_TEXT);
        return EX_USAGE;
    }
    random_take(&pool, random, sizeof(random));
    api_key_print(random, &key);
    add_line(&line, name, buf_bytes(&key));
    json_begin_object(&json);
    json_key(&json, "key");
    json_add_string(&json, buf_bytes(&key));
    json_key(&json, "line");
    json_add_string(&json, buf_bytes(&line));
    json_end_object(&json);
    bool is_made = buf_status(&key) == 0 && buf_status(&line) == 0 && buf_status(&object) == 0;
    int status = is_made ? render_object(invocation, buf_bytes(&object)) : EX_OSERR;
    explicit_bzero(random, sizeof(random));
    buf_done(&key);
    buf_done(&line);
    buf_done(&object);
    return status;
}
