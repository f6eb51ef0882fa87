/*
 * Webhook keys: see webhook_keys.h.
 */
#include "daemon/hook/webhook_keys.h"

#include "daemon/auth/secret_file.h"
#include "lib/key.h"

#include <unistd.h>

#define CREDENTIAL "credential:"

/* A line's end at the end is an editor's. */
static struct bytes trim(struct bytes text)
{
    if (text.length && text.data[text.length - 1] == '\n')
        text.length--;
    if (text.length && text.data[text.length - 1] == '\r')
        text.length--;
    return text;
}

static int load_key(struct webhook_rule *rule, struct buf *problems)
{
    const struct key_wish wish = {.has_algorithm = true, .algorithm = KEY_HS256};
    bool is_credential = strncmp(rule->secret_file, CREDENTIAL, strlen(CREDENTIAL)) == 0;
    const char *name = rule->secret_file + (is_credential ? strlen(CREDENTIAL) : 0);
    struct buf path = {0}, text = {0}, problem = {0};
    unsigned mode = 0;
    int r = secret_file_path(bytes_text(name), is_credential, &path, &problem);
    if (r == 0)
        r = secret_file_read(buf_text(&path), &text, &mode, &problem);
    if (r == 0)
        r = secret_file_check_mode(mode, true, is_credential, &problem);
    if (r == 0)
        r = key_read_secret(trim(buf_bytes(&text)), &wish, &rule->key, &problem);
    if (r < 0 && r != -ENOMEM) {
        buf_add_format(problems, "%s: webhooks.secret-file: %s: %s\n", rule->origin, path.length ? buf_text(&path) : rule->secret_file,
                       buf_text(&problem));
        r = -EINVAL;
    }
    buf_done(&path);
    buf_done(&problem);
    secret_file_wipe(&text);
    return r;
}

int webhook_keys_load(struct config *config, struct buf *problems)
{
    int result = 0;
    for (size_t i = 0; i < config->webhook_count && result != -ENOMEM; i++) {
        struct webhook_rule *rule = &config->webhooks[i];
        int r = rule->secret_file[0] ? load_key(rule, problems) : 0;
        result = r < 0 ? r : result;
        if (rule->ca_file[0] && access(rule->ca_file, R_OK) < 0) {
            buf_add_format(problems, "%s: webhooks.ca-file: %s: it cannot be read: %s\n", rule->origin, rule->ca_file, strerror(errno));
            result = result ? result : -EINVAL;
        }
    }
    return result;
}
