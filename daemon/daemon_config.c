/*
 * Daemon config: reads it, puts it in force, and tells everybody who keeps it.
 */
#include "daemon/daemon_state.h"

#include "daemon/admin/notify.h"
#include "daemon/auth/auth.h"
#include "daemon/auth/jwks.h"
#include "daemon/config/config_file.h"
#include "daemon/config/option.h"
#include "daemon/hook/webhook_keys.h"

#include <string.h>
#include <sys/prctl.h>

static void daemon_apply_log_levels(const struct daemon *daemon, const struct config *config)
{
    bool is_dumpable = daemon->arguments->is_dumpable;
    for (enum log_area area = 0; area < LOG_AREA_COUNT; area++) {
        log_set_level(area, config->log_levels[area]);
        is_dumpable |= config->log_levels[area] == LOG_LEVEL_DEBUG;
    }
    /* Memory holds secrets: no core files, no debugger of another process, unless someone is looking for a fault. */
    if (is_dumpable && prctl(PR_GET_DUMPABLE) == 0)
        log_warning(LOG_AREA_DAEMON, NULL, "core files and debuggers may see this process, its secrets too (a log level is debug, or --dumpable)");
    prctl(PR_SET_DUMPABLE, is_dumpable ? 1 : 0);
}

static void daemon_log_lines(enum log_level level, const struct buf *lines)
{
    struct bytes rest = buf_bytes(lines);
    while (rest.length) {
        const unsigned char *end = memchr(rest.data, '\n', rest.length);
        size_t length = end ? (size_t)(end - rest.data) : rest.length;
        log_at(level, LOG_AREA_CONFIG, NULL, "%.*s", (int)length, (const char *)rest.data);
        size_t used = MIN(length + 1, rest.length);
        rest = bytes_of(rest.data + used, rest.length - used);
    }
}

int daemon_load_config(struct daemon *daemon)
{
    struct buf problems = {0};
    const struct daemon_arguments *arguments = daemon->arguments;
    int r = config_load(arguments->config_path, arguments->overrides, arguments->override_count, &daemon->config, &problems);
    if (r == 0)
        r = auth_load(daemon->config, NULL, &problems);
    if (r == 0)
        r = webhook_keys_load(daemon->config, &problems);
    daemon_log_lines(LOG_LEVEL_ERROR, &problems);
    buf_done(&problems);
    if (r == 0)
        daemon_apply_log_levels(daemon, daemon->config);
    return r;
}

void daemon_drop_config(struct daemon *daemon)
{
    config_unref(daemon->config);
}

struct config *daemon_config(void *argument)
{
    return ((struct daemon *)argument)->config;
}

/* From now on this config is everybody's. */
void daemon_publish_config(struct daemon *daemon, struct config *config)
{
    config->generation = daemon->config->generation + 1;
    config_unref(daemon->config);
    daemon->config = config;
    daemon_apply_log_levels(daemon, config);
    if (daemon->admin)
        admin_take_config(daemon->admin);
    int r = webhooks_take_config(&daemon->webhooks, config);
    if (r < 0)
        log_error(LOG_AREA_CONFIG, NULL, "some webhooks are not served: %s; reload the config again", strerror(-r));
    for (unsigned worker = 0; worker < daemon->worker_count; worker++) {
        struct letter letter = {.kind = LETTER_CONFIG, .config = config_ref(config)};
        if (daemon_post(daemon, worker, &letter) < 0)
            config_unref(config);
    }
}

int daemon_reload(void *argument, struct buf *report)
{
    struct daemon *daemon = argument;
    const struct daemon_arguments *arguments = daemon->arguments;
    SCOPED(config) config = NULL;
    if (daemon->is_stopping) {
        buf_add_text(report, "the daemon is ending, and reads no config any more\n");
        return -ESHUTDOWN;
    }
    notify_reloading();
    int r = config_load(arguments->config_path, arguments->overrides, arguments->override_count, &config, report);
    if (r == 0)
        r = auth_load(config, daemon->config, report);
    if (r == 0)
        r = webhook_keys_load(config, report);
    if (r == 0) {
        options_report_changes(daemon->config, config, report);
        r = options_keep_until_restart(daemon->config, config);
    }
    if (r == 0 && daemon->certificates)
        r = certificates_load(daemon->certificates, config, report);
    if (r == 0) {
        daemon_publish_config(daemon, STEAL(config));
        r = jwks_update(daemon->jwks);
    } else {
        buf_add_text(report, "the config in force stays as it was\n");
    }
    daemon_log_lines(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, report);
    notify_ready();
    return r;
}
