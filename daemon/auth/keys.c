/*
 * Keys: see keys.h.
 */
#include "daemon/auth/keys.h"

#include "daemon/auth/secret_file.h"

#include <stdlib.h>
#include <string.h>

/* One item of auth.keys being read. */
struct keys_reading {
    struct keys *keys;
    const struct key_source *source;
    const char *text;                   /* the item */
    bool has_secret;                    /* whoever could read the file could sign */
    struct buf problem;                 /* a sentence's end */
};

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++) {
        key_free(keys->items[i].key);
        free(keys->items[i].issuer);
    }
    for (size_t i = 0; i < keys->source_count; i++)
        free(keys->sources[i]);
    free(keys->sources);
    free(keys);
}

/* Takes the key over. -E2BIG, -ENOMEM. */
static int keys_put(struct keys *keys, struct key *owned, const char *source, struct bytes issuer)
{
    SCOPED(key) key = owned;
    if (keys->count == KEYS_MAX)
        return -E2BIG;
    struct trusted_key *item = &keys->items[keys->count];
    *item = (struct trusted_key){.source = source};
    if (issuer.length) {
        item->issuer = strndup((const char *)issuer.data, issuer.length);
        if (!item->issuer)
            return -ENOMEM;
    }
    item->key = STEAL(key);
    keys->count++;
    return 0;
}

static int keys_add(struct key *key, void *argument)
{
    struct keys_reading *reading = argument;
    reading->has_secret = reading->has_secret || key_can_sign(key);
    int r = keys_put(reading->keys, key, reading->text, reading->source->issuer);
    if (r == -E2BIG)
        buf_add_format(&reading->problem, "with it there are more than %d keys", KEYS_MAX);
    return r == -E2BIG ? -EINVAL : r;
}

static int keys_read(struct keys_reading *reading, const char *path)
{
    struct buf text = {0};
    unsigned mode = 0;
    int r = secret_file_read(path, &text, &mode, &reading->problem);
    if (r == 0)
        r = key_read_text(buf_bytes(&text), &reading->source->wish, keys_add, reading, &reading->problem);
    if (r == 0)
        r = secret_file_check_mode(mode, reading->has_secret, reading->source->is_credential, &reading->problem);
    secret_file_wipe(&text);
    return r;
}

static int keys_load_source(struct keys *keys, const char *text, struct buf *problems)
{
    struct key_source source;
    struct keys_reading reading = {.keys = keys, .source = &source, .text = text};
    struct buf path = {0};
    const char *problem;
    int r = key_source_parse(text, &source, &problem);
    if (r < 0)
        buf_add_text(&reading.problem, problem);
    else if (source.is_url)
        keys->has_urls = true;
    else
        r = secret_file_path(source.name, source.is_credential, &path, &reading.problem);
    if (r == 0 && !source.is_url)
        r = keys_read(&reading, buf_text(&path));
    if (r < 0 && r != -ENOMEM) {
        buf_add_format(problems, "auth.keys: %s: ", path.length ? buf_text(&path) : text);
        buf_add_format(problems, "%s\n", buf_text(&reading.problem));
        r = -EINVAL;
    }
    buf_done(&reading.problem);
    buf_done(&path);
    return r;
}

static struct keys *keys_new(size_t source_count)
{
    SCOPED(keys) keys = calloc(1, sizeof(*keys));
    if (keys)
        keys->sources = calloc(source_count + 1, sizeof(*keys->sources));
    return keys && keys->sources ? STEAL(keys) : NULL;
}

/* Its own copy; NULL: out of memory. */
static const char *keys_add_source(struct keys *keys, const char *text)
{
    char *copy = strdup(text);
    if (copy)
        keys->sources[keys->source_count++] = copy;
    return copy;
}

int keys_load(const struct text_list *sources, struct keys **ret, struct buf *problems)
{
    SCOPED(keys) keys = keys_new(sources->count);
    int result = 0;
    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < sources->count; i++) {
        const char *text = keys_add_source(keys, sources->items[i]);
        /* All of them, so that all that is wrong is said at once. */
        int r = text ? keys_load_source(keys, text, problems) : -ENOMEM;
        if (r == -ENOMEM)
            return r;
        result = r < 0 ? r : result;
    }
    if (result == 0)
        *ret = STEAL(keys);
    return result;
}

static struct bytes item_issuer(const struct trusted_key *item)
{
    return item->issuer ? bytes_text(item->issuer) : (struct bytes){0};
}

int keys_replace(const struct keys *old, size_t source, struct key **fresh, size_t fresh_count, struct keys **ret)
{
    SCOPED(keys) keys = keys_new(old->source_count);
    struct key_source parsed;
    const char *problem;
    int r = keys ? 0 : -ENOMEM;
    for (size_t i = 0; i < old->source_count && r == 0; i++)
        r = keys_add_source(keys, old->sources[i]) ? 0 : -ENOMEM;
    /* In the order of their sources, as they were read first. */
    for (size_t i = 0; i < old->source_count && r == 0; i++) {
        for (size_t k = 0; k < old->count && r == 0 && i != source; k++)
            if (old->items[k].source == old->sources[i])
                r = keys_put(keys, key_ref(old->items[k].key), keys->sources[i], item_issuer(&old->items[k]));
        if (i == source && r == 0)
            r = key_source_parse(keys->sources[i], &parsed, &problem);
        for (size_t k = 0; k < fresh_count && r == 0 && i == source; k++)
            r = keys_put(keys, STEAL(fresh[k]), keys->sources[i], parsed.issuer);
    }
    for (size_t k = 0; k < fresh_count; k++)
        key_free(fresh[k]);
    if (r < 0)
        return r;
    keys->has_urls = old->has_urls;
    *ret = STEAL(keys);
    return 0;
}

static bool is_url(const char *source)
{
    return strncmp(source, "http", 4) == 0;
}

int keys_keep_fetched(struct keys *keys, const struct keys *old)
{
    int r = 0;
    for (size_t i = 0; i < keys->source_count; i++)
        for (size_t k = 0; k < old->count && r == 0 && is_url(keys->sources[i]); k++)
            if (strcmp(old->items[k].source, keys->sources[i]) == 0)
                r = keys_put(keys, key_ref(old->items[k].key), keys->sources[i], item_issuer(&old->items[k]));
    return r;
}

bool keys_have(const struct keys *keys, uint64_t mark)
{
    for (size_t i = 0; keys && i < keys->count; i++)
        if (key_mark(keys->items[i].key) == mark)
            return true;
    return false;
}
