/*
 * Gate wait: see gate_wait.h.
 */
#include "daemon/net/gate_wait.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

struct waiting {
    struct gate_call *call;             /* on its way */
    struct upload *kept;
    bool is_stranger;                   /* the link was one, and is again afterwards */
};

/* The link has let go of its call: the verdict is nobody's. */
static void waiting_free(void *state)
{
    struct waiting *waiting = state;
    if (waiting->call)
        waiting->call->asker = NULL;
    upload_free(waiting->kept);
    free(waiting);
}

static struct waiting *waiting_of(struct link *link)
{
    struct waiting *waiting = STEAL(link->work->state);
    link->source.is_stranger = waiting->is_stranger;
    return waiting;
}

static void gate_wait_refuse(struct link *link, enum fault_id id, bool closes, const char *detail)
{
    struct fault fault;
    waiting_free(waiting_of(link));
    fault_set(&fault, id, "%s", detail);
    http_refuse(link, &fault, closes, NULL);
}

static void gate_wait_on_lost(struct link *link, enum fault_id why)
{
    waiting_free(waiting_of(link));
    link_free(link);
}

static void gate_wait_on_deadline(struct link *link)
{
    metrics_add(&link->worker->hub->metrics, METRIC_GATE_TIMEOUTS, 1);
    gate_wait_refuse(link, FAULT_TIMEOUT, false, "whoever judges connections here has not answered in time; try again (gate.timeout)");
}

/* A client that only sends on waits for its answer like any other. */
static size_t gate_wait_on_data(struct link *link, unsigned char *data, size_t length)
{
    return 0;
}

static const struct link_handler gate_wait_handler = {
    .on_data = gate_wait_on_data, .on_lost = gate_wait_on_lost, .on_deadline = gate_wait_on_deadline,
};

static void gate_wait_on_answer(struct gate_call *call)
{
    struct link *link = call->asker;
    if (link) {
        struct waiting *waiting = waiting_of(link);
        waiting->call = NULL;
        http_serve_kept(link, STEAL(waiting->kept), &call->verdict);
        waiting_free(waiting);
    }
    gate_call_free(call);
}

static struct waiting *waiting_new(const struct link *link, const struct request *request)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return NULL;
    waiting->is_stranger = link->source.is_stranger;
    waiting->kept = http_keep(request);
    if (!waiting->kept)
        free(STEAL(waiting));
    return waiting;
}

enum fault_id gate_wait(struct link *link, const struct request *request, struct gate_call *call, struct fault *fault)
{
    struct hub *hub = link->worker->hub;
    struct waiting *waiting = waiting_new(link, request);
    call->worker = link->worker->index;
    call->on_answer = gate_wait_on_answer;
    call->asker = link;
    int r = waiting ? gate_ask(hub->exchange, hub->config, call) : -ENOMEM;
    if (r < 0) {
        gate_call_free(call);
        if (waiting)
            waiting_free(waiting);
        metrics_add(&hub->metrics, METRIC_GATE_FULL, r == -EAGAIN);
        fault_set(fault, r == -EAGAIN ? FAULT_BACK_PRESSURE : FAULT_INTERNAL,
                  r == -EAGAIN ? "too many clients wait to be let in; try again in a moment" : "out of memory");
        return fault->id;
    }
    metrics_add(&hub->metrics, METRIC_CONNECTS_JUDGED, 1);
    waiting->call = call;
    /* Holding it may lose it. */
    link->work->state = waiting;
    link->work->free_state = waiting_free;
    http_hold(link, &gate_wait_handler);
    link_set_deadline(link, hub->config->gate.timeout_ms);
    return FAULT_NONE;
}

bool gate_wait_stop(struct link *link)
{
    if (link->handler != &gate_wait_handler)
        return false;
    gate_wait_refuse(link, FAULT_SHUTDOWN, true, "");
    return true;
}
