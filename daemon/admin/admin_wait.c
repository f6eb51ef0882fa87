/*
 * wait: see admin_wait.h. A question is looked at under the lock of its stripe once its answer would be heard of: so no change
 * between the two is missed.
 */
#include "daemon/admin/admin_wait.h"

#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"
#include "daemon/config/config.h"

#include <stdlib.h>

struct waiter {
    struct list node;
    struct admin_return back;
    struct event *timer;                /* NULL: it waits for as long as it takes */
    enum space space;
    bool is_online;                     /* of a user: what is waited for */
    uint64_t count;                     /* of a group: so many members at least; 0: none */
    uint8_t name_bytes;
    char name[NAME_MAX_BYTES];
};

static struct bytes waiter_name(const struct waiter *waiter)
{
    return bytes_of(waiter->name, waiter->name_bytes);
}

static void waiter_free(struct waiter *waiter)
{
    struct admin *admin = waiter->back.admin;
    list_remove(&waiter->node);
    admin->waiter_count--;
    if (waiter->timer)
        event_free(waiter->timer);
    free(waiter);
    notices_refresh(admin->host.notices);
}

/* A group is watched from then on until something changes. */
static bool waiter_holds(const struct waiter *waiter)
{
    struct place *place;
    struct stripe *stripe = directory_lock(waiter->back.admin->host.exchange->directory, waiter->space, waiter_name(waiter), &place);
    bool holds;
    if (waiter->space == SPACE_USER) {
        holds = (place && place->opened_count) == waiter->is_online;
    } else {
        if (place)
            atomic_store(&place->is_watched, true);
        unsigned members = place ? atomic_load(&place->member_count) : 0;
        holds = waiter->count ? members >= waiter->count : members == 0;
    }
    directory_unlock(stripe);
    return holds;
}

/* True: it had its answer, and is gone. */
static bool waiter_look(struct waiter *waiter)
{
    if (!waiter_holds(waiter))
        return false;
    struct admin_return back = waiter->back;
    waiter_free(waiter);
    admin_reply(&back, (struct bytes){0});
    return true;
}

static void on_timeout(evutil_socket_t descriptor, short what, void *argument)
{
    struct waiter *waiter = argument;
    struct admin_return back = waiter->back;
    struct bytes name = waiter_name(waiter);
    char text[NAME_MAX_BYTES + 1] = {0};
    memcpy(text, name.data, name.length);
    bool is_user = waiter->space == SPACE_USER, is_online = waiter->is_online;
    uint64_t count = waiter->count;
    waiter_free(waiter);
    if (is_user)
        admin_refuse(&back, FAULT_TIMEOUT, "the user %s is still %s", text, is_online ? "offline" : "online");
    else if (count)
        admin_refuse(&back, FAULT_TIMEOUT, "the group %s has fewer than %llu members still", text, (unsigned long long)count);
    else
        admin_refuse(&back, FAULT_TIMEOUT, "the group %s has members still", text);
}

static bool on_wants(const struct notice_sink *sink, enum notice_kind kind)
{
    const struct admin *admin = CONTAINER_OF(sink, struct admin, waits);
    LIST_EACH(node, &admin->waiters) {
        const struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        if (kind == NOTICE_GAP || (waiter->space == SPACE_USER ? kind == NOTICE_ONLINE || kind == NOTICE_OFFLINE : kind == NOTICE_OCCUPIED))
            return true;
    }
    return false;
}

/* Those that it concerns; an empty name is any. */
static void waiters_look(struct admin *admin, enum space space, struct bytes name)
{
    LIST_EACH(node, &admin->waiters) {
        struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        if (waiter->space == space && (!name.length || bytes_equal(name, waiter_name(waiter))))
            waiter_look(waiter);
    }
}

static void on_notice(struct notice_sink *sink, const struct notice *notice)
{
    struct admin *admin = CONTAINER_OF(sink, struct admin, waits);
    if (notice->user.length || notice->kind == NOTICE_GAP)
        waiters_look(admin, SPACE_USER, notice->user);
    if (notice->group.length || notice->kind == NOTICE_GAP)
        waiters_look(admin, SPACE_GROUP, notice->group);
}

void admin_take_counted(struct admin *admin, const struct place *group)
{
    waiters_look(admin, SPACE_GROUP, place_name(group));
}

void admin_waits_begin(struct admin *admin)
{
    list_init(&admin->waiters);
    admin->waits = (struct notice_sink){.wants = on_wants, .take = on_notice};
    notices_add(admin->host.notices, &admin->waits);
}

void admin_waits_drop(struct admin *admin, uint64_t client)
{
    LIST_EACH(node, &admin->waiters) {
        struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        if (waiter->back.client == client)
            waiter_free(waiter);
    }
}

void admin_waits_end(struct admin *admin)
{
    LIST_EACH(node, &admin->waiters)
        waiter_free(CONTAINER_OF(node, struct waiter, node));
    notices_remove(admin->host.notices, &admin->waits);
}

/* --timeout. A call over HTTP has its own end; the answer comes a little before that. -EINVAL: the call was refused. */
static int wait_span(struct admin_call *call, uint64_t *ret_ms)
{
    struct bytes text;
    const struct admin_client *client = admin_find_client(call->back.admin, call->back.client);
    int r = admin_text(call, "timeout", &text);
    *ret_ms = UINT64_MAX;
    if (r == 1 && text_parse_span(text, ret_ms) < 0) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "--timeout needs a time such as 30s or 5min");
        return -EINVAL;
    }
    if (client && client->call)
        *ret_ms = MIN(*ret_ms, call->host->config(call->host->argument)->api.timeout_ms / 10 * 9);
    return MIN(r, 0);
}

static int wait_set_timer(struct waiter *waiter, uint64_t ms)
{
    struct timeval span = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    if (ms == UINT64_MAX)
        return 0;
    waiter->timer = evtimer_new(waiter->back.admin->host.base, on_timeout, waiter);
    return waiter->timer && event_add(waiter->timer, &span) == 0 ? 0 : -ENOMEM;
}

static void wait_begin(struct admin_call *call, const struct waiter *asked, struct bytes name)
{
    struct admin *admin = call->back.admin;
    uint64_t span_ms;
    if (wait_span(call, &span_ms) < 0)
        return;
    if (!name_is_valid(name, NAME_MAX_BYTES)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a name is 1 to 255 bytes of UTF-8 without control characters");
        return;
    }
    if (admin->waiter_count >= call->host->config(call->host->argument)->admin.max_waits) {
        metrics_add(call->host->metrics, METRIC_WAITS_REFUSED, 1);
        admin_refuse(&call->back, FAULT_BACK_PRESSURE, "too many wait already (admin.waits)");
        return;
    }
    struct waiter *waiter = malloc(sizeof(*waiter));
    if (!waiter) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return;
    }
    *waiter = *asked;
    waiter->back = call->back;
    waiter->name_bytes = (uint8_t)name.length;
    memcpy(waiter->name, name.data, name.length);
    list_append(&admin->waiters, &waiter->node);
    admin->waiter_count++;
    notices_refresh(call->host->notices);
    if (waiter_look(waiter) || wait_set_timer(waiter, span_ms) == 0)
        return;
    waiter_free(waiter);
    admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
}

void admin_wait_user(struct admin_call *call)
{
    struct bytes user, state;
    if (admin_text(call, "user", &user) <= 0 || admin_text(call, "state", &state) <= 0)
        return;
    if (!bytes_is(state, "online") && !bytes_is(state, "offline"))
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a user is waited for to be online or offline");
    else
        wait_begin(call, &(struct waiter){.space = SPACE_USER, .is_online = bytes_is(state, "online")}, user);
}

void admin_wait_group(struct admin_call *call)
{
    struct bytes group;
    struct waiter asked = {.space = SPACE_GROUP};
    if (admin_text(call, "group", &group) > 0 && admin_number(call, "count", &asked.count) > 0)
        wait_begin(call, &asked, group);
}

/* Requests are taken once all parts have started. */
void admin_wait_ready(struct admin_call *call)
{
    uint64_t span_ms;
    if (wait_span(call, &span_ms) == 0)
        admin_reply(&call->back, BYTES("{\"ready\":true}"));
}
