/*
 * The daemon itself, and who asks: status, show config, reload, ping, version, whoami.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/core/keeper.h"
#include "daemon/admin/admin_client.h"
#include "daemon/admin/parts.h"

#include "daemon/config/config_file.h"
#include "daemon/config/rule_list.h"
#include "lib/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t metric_sum(const struct admin_call *call, enum metric metric)
{
    const struct keeper *keeper = call->host->exchange->directory->keeper;
    uint64_t sum = metrics_get(call->host->metrics, metric) + (keeper ? metrics_get(&keeper->metrics, metric) : 0);
    for (unsigned worker = 0; worker < call->host->worker_count; worker++)
        sum += metrics_get(&call->host->hub(call->host->argument, worker)->metrics, metric);
    return sum;
}

static void status_add_states(struct json_writer *json, const struct admin_call *call)
{
    json_key(json, "connections");
    json_begin_object(json);
    for (enum connection_state state = 0; state < CONNECTION_CLOSED; state++) {
        uint64_t sum = 0;
        for (unsigned worker = 0; worker < call->host->worker_count; worker++)
            sum += atomic_load_explicit(&call->host->hub(call->host->argument, worker)->state_counts[state],
                                        memory_order_relaxed);
        json_key(json, connection_state_name(state));
        json_add_uint(json, sum);
    }
    json_end_object(json);
}

static void status_add_plugins(struct json_writer *json, const struct middleware *middleware)
{
    json_key(json, "plugins");
    json_begin_array(json);
    for (size_t i = 0; middleware && i < middleware->count; i++)
        json_add_text(json, middleware->names[i]);
    json_end_array(json);
}

void admin_status(struct admin_call *call)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "version");
    json_add_text(&json, RTCD_VERSION);
    json_key(&json, "pid");
    json_add_uint(&json, (uint64_t)getpid());
    json_key(&json, "uptimeMs");
    json_add_uint(&json, now_ms > call->host->started_ms ? now_ms - call->host->started_ms : 0);
    json_key(&json, "workers");
    json_add_uint(&json, call->host->worker_count);
    status_add_states(&json, call);
    json_key(&json, "groups");
    json_add_uint(&json, directory_count(call->host->exchange->directory, SPACE_GROUP));
    json_key(&json, "users");
    json_add_uint(&json, directory_count(call->host->exchange->directory, SPACE_USER));
    status_add_plugins(&json, call->host->exchange->middleware);
    json_key(&json, "counters");
    json_begin_object(&json);
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        json_key(&json, metric_rows[metric].name);
        json_add_uint(&json, metric_sum(call, metric));
    }
    json_key(&json, "log_lines_dropped");
    json_add_uint(&json, log_dropped_count());
    json_end_object(&json);
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

static void config_add_row(struct json_writer *json, const char *path, const void *base, const struct config_option *option,
                           const char *origin)
{
    struct buf value = {0};
    option_print(base, option, &value);
    json_begin_array(json);
    json_add_text(json, path);
    json_add_string(json, buf_bytes(&value));
    json_add_text(json, option->fallback ? option->fallback : "");
    json_add_text(json, origin);
    json_add_text(json, option_reload_name(option->reload));
    json_end_array(json);
    buf_done(&value);
}

/* Is it the path that was asked for, or below it? */
static bool config_is_wanted(const char *path, struct bytes wanted)
{
    return wanted.length == 0 || (strlen(path) >= wanted.length && memcmp(path, wanted.data, wanted.length) == 0
                                  && (path[wanted.length] == '\0' || path[wanted.length] == '.'));
}

/* The rules of a list, each under its number: groups.1.match. */
static size_t config_add_rules(struct json_writer *json, const struct rule_list *list, const struct config *config, struct bytes wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < rule_list_count(list, config); i++) {
        const void *rule = rule_list_rule(list, config, i);
        for (size_t k = 0; k < list->table->count; k++) {
            const struct config_option *option = &list->table->rows[k];
            char path[80];
            snprintf(path, sizeof(path), "%s.%zu%s", list->name, i + 1, strchr(option->path, '.'));
            if (!config_is_wanted(path, wanted))
                continue;
            config_add_row(json, path, rule, option, rule_origin(rule));
            count++;
        }
    }
    return count;
}

static bool config_is_list(struct bytes path)
{
    bool is_list = false;
    for (size_t i = 0; i < RULE_LIST_COUNT && !is_list; i++)
        is_list = bytes_is(path, rule_lists[i]->name);
    return is_list;
}

void admin_show_config(struct admin_call *call)
{
    struct bytes wanted = {0};
    const struct config *config = call->host->config(call->host->argument);
    if (admin_text(call, "option", &wanted) < 0)
        return;
    size_t count = 0;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "rows");
    json_begin_array(&json);
    for (size_t i = 0; i < option_count; i++) {
        if (!config_is_wanted(options[i].path, wanted))
            continue;
        config_add_row(&json, options[i].path, config, &options[i], option_origin(config, &options[i]));
        count++;
    }
    for (size_t i = 0; i < RULE_LIST_COUNT; i++)
        count += config_add_rules(&json, rule_lists[i], config, wanted);
    json_end_array(&json);
    json_end_object(&json);
    if (count == 0)
        admin_refuse(&call->back, FAULT_NOT_FOUND, config_is_list(wanted) ? "the config has none" : "there is no such option");
    else
        admin_reply_made(&call->back, &data);
    buf_done(&data);
}

/* A visit that goes from worker to worker, behind all that each was told before. */
struct tour {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    unsigned worker;
    uint64_t sent_us, slowest_us;
    struct buf answer;                  /* empty: how long it took */
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool tour_run(struct visit *visit, struct hub *hub)
{
    return false;
}

static void tour_finish(struct tour *tour)
{
    if (tour->answer.length == 0)
        buf_add_format(&tour->answer, "{\"workers\":%u,\"slowestUs\":%llu}", tour->worker, (unsigned long long)tour->slowest_us);
    admin_reply_made(&tour->back, &tour->answer);
    free(tour);
}

static void tour_arrive(struct visit *visit)
{
    struct tour *tour = CONTAINER_OF(visit, struct tour, visit);
    uint64_t now = now_us();
    tour->slowest_us = MAX(tour->slowest_us, now - tour->sent_us);
    tour->sent_us = now;
    if (++tour->worker >= tour->host->worker_count || admin_send_visit(tour->host, tour->worker, visit) < 0)
        tour_finish(tour);
}

/* Replies with the answer, which is taken over, once it has been everywhere. -errno: it cannot go, and the answer is the caller's. */
static int tour_start(const struct admin_call *call, struct buf *answer)
{
    struct tour *tour = calloc(1, sizeof(*tour));
    if (!tour)
        return -ENOMEM;
    *tour = (struct tour){.visit = {tour_run, tour_arrive}, .back = call->back, .host = call->host, .sent_us = now_us(), .answer = *answer};
    int r = admin_send_visit(call->host, 0, &tour->visit);
    if (r < 0)
        free(tour);
    else
        *answer = (struct buf){0};
    return r;
}

void admin_ping(struct admin_call *call)
{
    struct buf none = {0};
    if (tour_start(call, &none) < 0)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
}

/* It has just taken its own rights away, and goes with its answer. */
static bool is_leaving(const struct admin_call *call)
{
    const struct admin_client *client = admin_find_client(call->back.admin, call->back.client);
    return client && client->is_barred;
}

/* Answered once every worker goes by the new config, if they can be asked. */
void admin_reload(struct admin_call *call)
{
    struct buf report = {0}, data = {0};
    struct json_writer json = json_writer(&data);
    if (call->host->reload(call->host->argument, &report) < 0) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s", buf_text(&report));
    } else {
        json_begin_object(&json);
        json_key(&json, "report");
        json_add_string(&json, buf_bytes(&report));
        json_end_object(&json);
        if (is_leaving(call) || tour_start(call, &data) < 0)
            admin_reply_made(&call->back, &data);
    }
    buf_done(&report);
}

void admin_version(struct admin_call *call)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    struct part_version part;
    for (size_t i = 0; (part = part_version(i)).name; i++) {
        json_key(&json, part.name);
        json_add_text(&json, part.version);
    }
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

void admin_whoami(struct admin_call *call)
{
    const struct admin_peer *peer = admin_peer_of(call);
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    if (!peer)
        return;
    json_begin_object(&json);
    json_key(&json, "level");
    json_add_text(&json, admin_access_name(peer->access));
    json_key(&json, "by");
    json_add_text(&json, peer->by);
    if (!peer->is_key) {
        json_key(&json, "uid");
        json_add_uint(&json, peer->uid);
        json_key(&json, "gid");
        json_add_uint(&json, peer->gid);
    }
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}
