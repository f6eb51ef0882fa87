/*
 * list closed: the connections that ended lately. A visit to each worker, which keeps few enough of them to be looked at in one go.
 */
#include "daemon/admin/admin_rows.h"

#include <stdlib.h>

struct closed_listing {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    unsigned worker;
    struct admin_rows *rows;
};

static void listing_free(struct closed_listing *listing)
{
    admin_rows_free(listing->rows);
    free(listing);
}

static void listing_add(struct closed_listing *listing, const struct hub *hub, const struct closed *closed)
{
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
    uuid_print(&closed->id, id);
    peer_address_print(&closed->address, address);
    const struct cell cells[] = {
        cell_text(bytes_text(id)),
        cell_text(closed_user(closed)),
        cell_text(bytes_text(address)),
        cell_text(bytes_text(closed->transport ? closed->transport->name : "")),
        cell_text(bytes_text(codecs[closed->codec]->name)),
        cell_text(bytes_text(fault_rows[closed->reason].name)),
        cell_text(closed_detail(closed)),
        cell_number(closed->lived_ms),
        cell_number(closed->sent),
        cell_number(closed->received),
        cell_number(hub->now_ms - closed->closed_ms),
    };
    admin_rows_add(listing->rows, cells);
}

static bool listing_run(struct visit *visit, struct hub *hub)
{
    struct closed_listing *listing = CONTAINER_OF(visit, struct closed_listing, visit);
    closed_forget(hub);
    LIST_EACH(node, &hub->closed.records)
        listing_add(listing, hub, CONTAINER_OF(node, struct closed, node));
    return false;
}

static void listing_arrive(struct visit *visit)
{
    struct closed_listing *listing = CONTAINER_OF(visit, struct closed_listing, visit);
    listing->worker++;
    if (listing->worker < listing->host->worker_count && admin_is_waited_for(&listing->back)) {
        if (admin_send_visit(listing->host, listing->worker, visit) == 0)
            return;
        admin_refuse(&listing->back, FAULT_INTERNAL, "out of memory");
    } else {
        admin_rows_reply(STEAL(listing->rows), &listing->back, (struct bytes){0});
    }
    listing_free(listing);
}

void admin_list_closed(struct admin_call *call)
{
    struct closed_listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return;
    }
    listing->visit = (struct visit){.run = listing_run, .arrive = listing_arrive};
    listing->back = call->back;
    listing->host = call->host;
    listing->rows = admin_rows_new(call, "closed");
    if (listing->rows && admin_send_visit(call->host, 0, &listing->visit) == 0)
        return;
    if (listing->rows)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    listing_free(listing);
}
