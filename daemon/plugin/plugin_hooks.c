/*
 * Plug-in hooks: the middleware, as calls of each plug-in in turn. A hook holds up its worker, so one that takes long is logged.
 */
#include "daemon/plugin/plugin.h"

#include "daemon/core/exchange.h"
#include "lib/log.h"

enum { SLOW_MS = 100 };

static struct plugin_call hook_call(struct plugins *plugins, const struct plugin *plugin, enum plugin_hook hook, struct hub *hub)
{
    return (struct plugin_call){
        .call = {.size = sizeof(struct rtcd_call), .services = &plugin_services, .plugin = plugin->state,
                 .worker = plugin->worker_states[hub->worker], .worker_index = hub->worker, .worker_count = plugins->worker_count},
        .plugin = plugin, .plugins = plugins, .hook = hook, .hub = hub,
    };
}

static uint64_t hook_now_ms(const struct hub *hub)
{
    const struct ports *ports = &hub->exchange->ports;
    return ports->now_ms(ports->argument);
}

static void hook_judge_time(struct hub *hub, const struct plugin_call *call, uint64_t begun_ms)
{
    static const char *const names[] = {
        [PLUGIN_NEGOTIATE] = "negotiate", [PLUGIN_CONNECT] = "connect", [PLUGIN_EVENT] = "event", [PLUGIN_DISCONNECT] = "disconnect",
    };
    uint64_t ms = hook_now_ms(hub) - begun_ms;
    if (ms < SLOW_MS)
        return;
    metrics_add(&hub->metrics, METRIC_PLUGINS_SLOW, 1);
    log_warning(LOG_AREA_DAEMON, NULL, "plug-in %s: %s took %llu ms, for which all clients of worker %u waited", call->plugin->table.name,
                names[call->hook], (unsigned long long)ms, hub->worker);
}

static struct rtcd_text text_of(const char *text)
{
    return (struct rtcd_text){text, strlen(text)};
}

/* Each in turn, until one refuses. */
static void hooks_ask(struct plugins *plugins, enum plugin_hook hook, struct hub *hub, const struct gate_facts *facts,
                      struct verdict *verdict)
{
    struct rtcd_header headers[GATE_HEADERS_MAX];
    struct peer_address from = facts->address;
    char address[PEER_TEXT_MAX];
    from.port = 0;
    peer_address_print(&from, address);
    for (unsigned i = 0; i < facts->header_count; i++)
        headers[i] = (struct rtcd_header){plugin_text(facts->headers[i].name), plugin_text(facts->headers[i].value)};
    struct rtcd_request request = {
        .size = sizeof(request), .address = text_of(address), .user = plugin_text(facts->user), .is_proved = facts->is_proved,
        .is_negotiation = facts->is_negotiation, .is_tls = facts->is_tls, .transport = plugin_text(facts->transport),
        .protocol = plugin_text(facts->protocol), .origin = plugin_text(facts->origin), .path = plugin_text(facts->path),
        .query = plugin_text(facts->query), .headers = headers, .header_count = facts->header_count,
    };
    for (size_t i = 0; i < plugins->count && verdict->refusal.id == FAULT_NONE; i++) {
        const struct plugin *plugin = &plugins->items[i];
        void (*ask)(struct rtcd_call *call, const struct rtcd_request *) = hook == PLUGIN_CONNECT ? plugin->table.connect : plugin->table.negotiate;
        struct plugin_call call = hook_call(plugins, plugin, hook, hub);
        if (!ask)
            continue;
        uint64_t begun_ms = hook_now_ms(hub);
        call.verdict = verdict;
        if (verdict->user.length && !facts->is_proved) {
            request.user = plugin_text(buf_bytes(&verdict->user));
            request.is_proved = true;
        }
        ask(&call.call, &request);
        hook_judge_time(hub, &call, begun_ms);
    }
}

static void hook_negotiate(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict)
{
    hooks_ask(argument, PLUGIN_NEGOTIATE, hub, facts, verdict);
}

static void hook_connect(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict)
{
    hooks_ask(argument, PLUGIN_CONNECT, hub, facts, verdict);
}

/* What a connection's texts lie in. */
struct connection_texts {
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
};

static struct rtcd_connection hook_connection(const struct hub *hub, const struct connection *connection, struct connection_texts *texts)
{
    const struct labels *labels = labels_find(hub, connection);
    struct peer_address from = connection->address;
    from.port = 0;
    uuid_print(&connection->id, texts->id);
    peer_address_print(&from, texts->address);
    return (struct rtcd_connection){
        .size = sizeof(struct rtcd_connection), .id = text_of(texts->id), .user = plugin_text(connection_user(connection)),
        .address = text_of(texts->address), .transport = text_of(connection->transport ? connection->transport->name : ""),
        .protocol = text_of(codecs[connection->codec]->name), .labels = plugin_text(labels ? labels->labels : (struct bytes){0}),
        .info = plugin_text(labels ? labels->info : (struct bytes){0}), .was_opened = connection->was_opened,
    };
}

static bool hook_event(void *argument, struct hub *hub, struct middleware_event *event)
{
    struct plugins *plugins = argument;
    struct connection_texts texts;
    struct rtcd_connection connection = hook_connection(hub, event->connection, &texts);
    struct rtcd_event shown = {.size = sizeof(shown), .name = plugin_text(event->name), .json = plugin_text(event->data),
                               .wants_reply = event->wants_reply};
    bool is_handled = false;
    for (size_t i = 0; i < plugins->count && !is_handled; i++) {
        const struct plugin *plugin = &plugins->items[i];
        struct plugin_call call = hook_call(plugins, plugin, PLUGIN_EVENT, hub);
        if (!plugin->table.event)
            continue;
        uint64_t begun_ms = hook_now_ms(hub);
        call.event = event;
        is_handled = plugin->table.event(&call.call, &connection, &shown) == RTCD_HANDLED || event->is_error || event->answer.length;
        hook_judge_time(hub, &call, begun_ms);
    }
    return is_handled;
}

static void hook_disconnect(void *argument, struct hub *hub, const struct connection *gone, const struct fault *why)
{
    struct plugins *plugins = argument;
    struct connection_texts texts;
    struct rtcd_connection connection = hook_connection(hub, gone, &texts);
    for (size_t i = 0; i < plugins->count; i++) {
        const struct plugin *plugin = &plugins->items[i];
        struct plugin_call call = hook_call(plugins, plugin, PLUGIN_DISCONNECT, hub);
        if (!plugin->table.disconnect)
            continue;
        uint64_t begun_ms = hook_now_ms(hub);
        plugin->table.disconnect(&call.call, &connection, text_of(fault_rows[why->id].name));
        hook_judge_time(hub, &call, begun_ms);
    }
}

void plugin_hooks_fill(struct plugins *plugins, struct middleware *middleware)
{
    middleware->argument = plugins;
    for (size_t i = 0; i < plugins->count; i++) {
        const struct rtcd_plugin *table = &plugins->items[i].table;
        if (table->negotiate)
            middleware->negotiate = hook_negotiate;
        if (table->connect)
            middleware->connect = hook_connect;
        if (table->event)
            middleware->event = hook_event;
        if (table->disconnect)
            middleware->disconnect = hook_disconnect;
    }
}
