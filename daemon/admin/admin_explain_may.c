/*
 * Why a client may or may not: explain join, publish, presence, history. The same judgement as for what clients ask: for an access
 * token that is given, else for the connections that a user has, found on a tour of the workers, else for who shows no token.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/auth/auth.h"
#include "daemon/config/groups.h"
#include "daemon/core/policy.h"

#include <stdlib.h>

enum { ROWS_MAX = 100 };                /* of a user's connections */

struct inquiry {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    enum group_action action;
    struct buf group, user;
    unsigned worker, row_count;
    struct buf rows;                    /* in JSON, with commas between */
    struct json_writer json;
};

static void inquiry_free(struct inquiry *inquiry)
{
    buf_done(&inquiry->group);
    buf_done(&inquiry->user);
    buf_done(&inquiry->rows);
    free(inquiry);
}

static void inquiry_finish(struct inquiry *inquiry)
{
    struct buf data = {0};
    buf_add_text(&data, "{\"rows\":[");
    buf_add_bytes(&data, buf_bytes(&inquiry->rows));
    buf_add_text(&data, "]}");
    if (buf_status(&inquiry->rows) < 0 || buf_status(&data) < 0)
        admin_refuse(&inquiry->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(&inquiry->back, buf_bytes(&data));
    buf_done(&data);
    inquiry_free(inquiry);
}

/* What decided, and where it is written. */
static void inquiry_add_source(struct json_writer *json, const struct config *config, const struct judgement *judgement)
{
    struct buf text = {0};
    const char *origin = judgement->option ? option_origin(config, option_find(judgement->option)) : judgement->rule->origin;
    if (judgement->is_by_token) {
        buf_add_format(&text, "claim %s: ", config->auth.rights_claim);
        buf_add_bytes(&text, judgement->pattern);
        origin = "access token";
    } else if (judgement->option) {
        buf_add_text(&text, judgement->option);
    } else {
        buf_add_format(&text, "groups.%zu: %s", (size_t)(judgement->rule - config->groups) + 1, judgement->rule->match);
    }
    json_add_string(json, buf_bytes(&text));
    json_add_text(json, origin);
    buf_done(&text);
}

static void inquiry_add(struct inquiry *inquiry, const struct config *config, const char *subject, const struct judgement *judgement)
{
    static const char *const words[] = {
        [WHO_NOBODY] = "nobody", [WHO_TOKEN] = "token", [WHO_MEMBERS] = "members", [WHO_ANYONE] = "anyone",
    };
    struct json_writer *json = &inquiry->json;
    struct fault fault = {0};
    policy_explain(judgement, &fault);
    json_begin_array(json);
    json_add_text(json, subject);
    json_add_bool(json, judgement->is_allowed);
    json_add_text(json, words[judgement->who]);
    inquiry_add_source(json, config, judgement);
    json_add_text(json, fault_message(&fault));
    json_end_array(json);
    inquiry->row_count++;
}

/* One whose token, if any, gives these rights, and who is in no group. */
static void inquiry_judge(struct inquiry *inquiry, const struct config *config, const char *subject, struct rights rights)
{
    struct judgement judgement;
    struct bytes group = buf_bytes(&inquiry->group);
    policy_judge(config, config_group_rule(config, group), inquiry->action, group, false, rights, &judgement);
    inquiry_add(inquiry, config, subject, &judgement);
}

/* The user's connections on this worker. */
static bool inquiry_run(struct visit *visit, struct hub *hub)
{
    struct inquiry *inquiry = CONTAINER_OF(visit, struct inquiry, visit);
    struct place *place;
    struct stripe *stripe = directory_lock(hub->exchange->directory, SPACE_USER, buf_bytes(&inquiry->user), &place);
    struct roster *roster = place ? place->rosters[hub->worker] : NULL;
    directory_unlock(stripe);
    for (uint32_t i = 0; roster && i < roster->count && inquiry->row_count < ROWS_MAX; i++) {
        const struct connection *connection = hub->slots[roster_members(roster)[i].slot];
        struct judgement judgement;
        char id[UUID_TEXT + 1];
        uuid_print(&connection->id, id);
        policy_judge_connection(connection, inquiry->action, buf_bytes(&inquiry->group), &judgement);
        inquiry_add(inquiry, hub->config, id, &judgement);
    }
    return false;
}

static void inquiry_arrive(struct visit *visit)
{
    struct inquiry *inquiry = CONTAINER_OF(visit, struct inquiry, visit);
    if (++inquiry->worker < inquiry->host->worker_count && admin_send_visit(inquiry->host, inquiry->worker, visit) == 0)
        return;
    if (inquiry->row_count == 0)
        inquiry_judge(inquiry, inquiry->host->config(inquiry->host->argument), "no token", (struct rights){0});
    inquiry_finish(inquiry);
}

/* 0; -EINVAL: the token is none that is taken, and the call is refused. */
static int inquiry_judge_token(struct inquiry *inquiry, struct bytes token)
{
    const struct config *config = inquiry->host->config(inquiry->host->argument);
    const struct ports *ports = &inquiry->host->exchange->ports;
    struct auth_verdict verdict;
    struct fault fault = {0};
    struct bytes user = buf_bytes(&inquiry->user);
    enum fault_id refusal = auth_verify(config, token, ports->wall_ms(ports->argument) / 1000, &verdict, &fault);
    if (refusal == FAULT_NONE && user.length && !bytes_equal(user, verdict.claims.user)) {
        fault_set(&fault, FAULT_FORBIDDEN, "the access token is another user's");
        refusal = fault.id;
    }
    if (refusal == FAULT_NONE)
        inquiry_judge(inquiry, config, "token", verdict.rights);
    else
        admin_refuse(&inquiry->back, refusal, "%s", fault_message(&fault));
    auth_verdict_done(&verdict);
    return refusal == FAULT_NONE ? 0 : -EINVAL;
}

static struct inquiry *inquiry_new(struct admin_call *call, enum group_action action, struct bytes group, struct bytes user)
{
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
    if (!inquiry) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return NULL;
    }
    inquiry->visit = (struct visit){inquiry_run, inquiry_arrive};
    inquiry->back = call->back;
    inquiry->host = call->host;
    inquiry->action = action;
    inquiry->json = json_writer(&inquiry->rows);
    buf_add_bytes(&inquiry->group, group);
    buf_add_bytes(&inquiry->user, user);
    return inquiry;
}

static void explain_may(struct admin_call *call, enum group_action action)
{
    struct bytes group, user = {0}, token = {0};
    if (admin_text(call, "group", &group) <= 0 || admin_text(call, "user", &user) < 0)
        return;
    int has_token = admin_text(call, "token", &token);
    if (has_token < 0)
        return;
    if (!name_is_valid(group, NAME_MAX_BYTES)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a group's name is 1 to %d bytes of UTF-8 without control characters", NAME_MAX_BYTES);
        return;
    }
    struct inquiry *inquiry = inquiry_new(call, action, group, user);
    if (!inquiry)
        return;
    if (has_token) {
        if (inquiry_judge_token(inquiry, token) == 0)
            inquiry_finish(inquiry);
        else
            inquiry_free(inquiry);
    } else if (user.length == 0 || admin_send_visit(call->host, 0, &inquiry->visit) < 0) {
        inquiry_judge(inquiry, call->host->config(call->host->argument), "no token", (struct rights){0});
        inquiry_finish(inquiry);
    }
}

void admin_explain_join(struct admin_call *call)
{
    explain_may(call, GROUP_JOIN);
}

void admin_explain_publish(struct admin_call *call)
{
    explain_may(call, GROUP_PUBLISH);
}

void admin_explain_presence(struct admin_call *call)
{
    explain_may(call, GROUP_PRESENCE);
}

void admin_explain_history(struct admin_call *call)
{
    explain_may(call, GROUP_HISTORY);
}
