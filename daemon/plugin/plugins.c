/*
 * Plug-ins: see plugins.h.
 */
#include "daemon/plugin/plugins.h"

#include "daemon/config/config.h"
#include "daemon/config/option.h"
#include "daemon/core/exchange.h"
#include "daemon/plugin/plugin.h"
#include "lib/log.h"

#include <stdlib.h>

/* "/etc/rtcd/rtcd.yaml:12: plugins: /usr/lib/a.so: " */
static void add_place(const struct config *config, const char *item, struct buf *out)
{
    buf_add_format(out, "%s: plugins: %.*s: ", option_origin(config, option_find("plugins")), (int)strcspn(item, " "), item);
}

int plugins_check(const struct config *config, struct buf *problems)
{
    int result = 0;
    for (size_t i = 0; i < config->plugins.count; i++) {
        struct buf problem = {0};
        int r = plugin_check(config->plugins.items[i], &problem);
        if (r == -EINVAL) {
            add_place(config, config->plugins.items[i], problems);
            buf_add_bytes(problems, buf_bytes(&problem));
            buf_add_byte(problems, '\n');
        }
        buf_done(&problem);
        result = r < 0 ? r : result;
    }
    return result;
}

static struct plugin_call start_call(struct plugins *plugins, const struct plugin *plugin)
{
    return (struct plugin_call){
        .call = {.size = sizeof(struct rtcd_call), .services = &plugin_services, .plugin = plugin->state,
                 .worker_count = plugins->worker_count},
        .plugin = plugin, .plugins = plugins, .hook = PLUGIN_START,
    };
}

static struct plugin_call worker_call(struct plugins *plugins, const struct plugin *plugin, unsigned worker)
{
    struct plugin_call call = start_call(plugins, plugin);
    call.call.worker = plugin->worker_states[worker];
    call.call.worker_index = worker;
    return call;
}

static int plugin_start(struct plugins *plugins, struct plugin *plugin, struct buf *problem)
{
    struct plugin_call call = start_call(plugins, plugin);
    plugin->worker_states = calloc(plugins->worker_count, sizeof(*plugin->worker_states));
    if (!plugin->worker_states)
        return -ENOMEM;
    int r = plugin->table.init(&call.call, plugin->arguments);
    plugin->state = call.call.plugin;
    plugin->is_ready = r >= 0;
    for (unsigned worker = 0; worker < plugins->worker_count && r >= 0; worker++) {
        call = worker_call(plugins, plugin, worker);
        r = plugin->table.worker_init ? plugin->table.worker_init(&call.call) : 0;
        plugin->worker_states[worker] = call.call.worker;
        plugin->workers_ready += r >= 0;
    }
    if (r >= 0)
        return 0;
    buf_add_format(problem, "it does not start: %s", strerror(-r));
    return -EINVAL;
}

static void plugin_stop(struct plugins *plugins, struct plugin *plugin)
{
    for (unsigned worker = 0; worker < plugin->workers_ready && plugin->table.worker_done; worker++) {
        struct plugin_call call = worker_call(plugins, plugin, worker);
        plugin->table.worker_done(&call.call);
    }
    if (plugin->is_ready && plugin->table.done) {
        struct plugin_call call = start_call(plugins, plugin);
        plugin->table.done(&call.call);
    }
    plugin_unload(plugin);
}

/* As people are told of it. */
static char *plugin_name(const struct plugin *plugin)
{
    struct buf name = {0};
    buf_add_format(&name, "%s %s %s", plugin->table.name, plugin->table.version, plugin->path);
    char *text = buf_status(&name) == 0 ? strndup((const char *)name.data, name.length) : NULL;
    buf_done(&name);
    return text;
}

static int plugins_add(struct plugins *plugins, const struct config *config, const char *item)
{
    struct buf problem = {0};
    struct plugin *plugin = &plugins->items[plugins->count++];
    int r = plugin_load(plugin, item, &problem);
    if (r == 0)
        r = plugin_start(plugins, plugin, &problem);
    if (r == 0) {
        plugins->names[plugins->count - 1] = plugin_name(plugin);
        r = plugins->names[plugins->count - 1] ? 0 : -ENOMEM;
    }
    if (r == 0) {
        log_info(LOG_AREA_DAEMON, NULL, "plug-in loaded: %s", plugins->names[plugins->count - 1]);
    } else if (r == -EINVAL) {
        struct buf line = {0};
        add_place(config, item, &line);
        buf_add_bytes(&line, buf_bytes(&problem));
        log_error(LOG_AREA_CONFIG, NULL, "%s", buf_text(&line));
        buf_done(&line);
    }
    buf_done(&problem);
    return r;
}

int plugins_new(const struct config *config, struct exchange *exchange, unsigned worker_count, struct plugins **ret)
{
    *ret = NULL;
    if (config->plugins.count == 0)
        return 0;
    struct plugins *plugins = calloc(1, sizeof(*plugins));
    if (!plugins)
        return -ENOMEM;
    plugins->exchange = exchange;
    plugins->worker_count = worker_count;
    plugins->items = calloc(config->plugins.count, sizeof(*plugins->items));
    plugins->names = calloc(config->plugins.count, sizeof(*plugins->names));
    int r = plugins->items && plugins->names ? 0 : -ENOMEM;
    for (size_t i = 0; i < config->plugins.count && r == 0; i++)
        r = plugins_add(plugins, config, config->plugins.items[i]);
    if (r < 0) {
        plugins_free(plugins);
        return r;
    }
    plugin_hooks_fill(plugins, &plugins->middleware);
    plugins->middleware.names = (const char *const *)plugins->names;
    plugins->middleware.count = plugins->count;
    exchange->middleware = &plugins->middleware;
    *ret = plugins;
    return 0;
}

void plugins_free(struct plugins *plugins)
{
    if (!plugins)
        return;
    plugins->exchange->middleware = NULL;
    /* The last first: it may stand on those before it. */
    for (size_t i = plugins->count; i > 0; i--)
        plugin_stop(plugins, &plugins->items[i - 1]);
    for (size_t i = 0; i < plugins->count; i++)
        free(plugins->names[i]);
    free(plugins->names);
    free(plugins->items);
    free(plugins);
}
