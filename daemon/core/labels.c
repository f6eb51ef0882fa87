/*
 * Labels: see labels.h.
 */
#include "daemon/core/labels.h"

#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

static struct bytes labels_key(const void *entry)
{
    return bytes_of(&((const struct labels *)entry)->handle, sizeof(uint64_t));
}

void labels_init(struct hub *hub)
{
    table_init(&hub->labels, &hub->exchange->directory->seed, labels_key);
}

void labels_done(struct hub *hub)
{
    assert(table_count(&hub->labels) == 0);
    table_done(&hub->labels);
}

int labels_set(struct hub *hub, struct connection *connection, struct bytes labels, struct bytes info)
{
    assert(!connection->has_labels);
    if (labels.length + info.length == 0)
        return 0;
    struct labels *entry = malloc(sizeof(*entry) + labels.length + info.length);
    if (!entry)
        return -ENOMEM;
    entry->handle = connection->handle;
    entry->labels = bytes_of(entry->kept, labels.length);
    entry->info = bytes_of(entry->kept + labels.length, info.length);
    if (labels.length)
        memcpy(entry->kept, labels.data, labels.length);
    if (info.length)
        memcpy(entry->kept + labels.length, info.data, info.length);
    if (table_insert(&hub->labels, entry) < 0) {
        free(entry);
        return -ENOMEM;
    }
    connection->has_labels = true;
    return 0;
}

void labels_drop(struct hub *hub, struct connection *connection)
{
    if (!connection->has_labels)
        return;
    connection->has_labels = false;
    free(table_remove(&hub->labels, bytes_of(&connection->handle, sizeof(connection->handle))));
}

const struct labels *labels_find(const struct hub *hub, const struct connection *connection)
{
    if (!connection->has_labels)
        return NULL;
    return table_find(&hub->labels, bytes_of(&connection->handle, sizeof(connection->handle)));
}
