/*
 * Who is in a group, by its users: presence.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/core/presence.h"

#include <stdlib.h>

enum { PRESENCE_ROWS_MAX = 1000 };

struct presence_question {
    struct admin_return back;
    uint64_t limit;
};

struct presence_row {
    struct bytes user;
    uint64_t connections;
};

/* Whoever has most connections is first. */
static int compare_rows(const void *a, const void *b)
{
    const struct presence_row *first = a, *second = b;
    if (first->connections != second->connections)
        return first->connections > second->connections ? -1 : 1;
    int r = memcmp(first->user.data, second->user.data, MIN(first->user.length, second->user.length));
    return r ? r : (first->user.length > second->user.length) - (first->user.length < second->user.length);
}

static int presence_add_rows(const struct presence *presence, uint64_t limit, struct json_writer *json)
{
    size_t count = 0, slot = 0;
    struct presence_row *rows = calloc(table_count(&presence->names) + 1, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    while (presence_next_user(presence, &slot, &rows[count].user, &rows[count].connections))
        count++;
    qsort(rows, count, sizeof(*rows), compare_rows);
    for (size_t i = 0; i < count && i < limit; i++) {
        json_begin_array(json);
        json_add_string(json, rows[i].user);
        json_add_uint(json, rows[i].connections);
        json_end_array(json);
    }
    free(rows);
    return 0;
}

static void on_gathered(const struct presence *presence, void *argument)
{
    struct presence_question *question = argument;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, buf_bytes(&presence->group));
    json_key(&json, "connections");
    json_add_uint(&json, presence->connections);
    json_key(&json, "users");
    if (presence->is_uncounted && !presence->users)
        json_add_null(&json);
    else
        json_add_uint(&json, presence->users);
    json_key(&json, "rows");
    json_begin_array(&json);
    int r = presence_add_rows(presence, question->limit, &json);
    json_end_array(&json);
    json_end_object(&json);
    if (r < 0 || buf_status(&presence->members) < 0 || buf_status(&data) < 0)
        admin_refuse(&question->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(&question->back, buf_bytes(&data));
    buf_done(&data);
    free(question);
}

void admin_presence(struct admin_call *call)
{
    struct bytes group;
    uint64_t limit = PRESENCE_ROWS_MAX;
    if (admin_text(call, "group", &group) <= 0 || admin_number(call, "limit", &limit) < 0)
        return;
    struct presence_question *question = malloc(sizeof(*question));
    if (question) {
        question->back = call->back;
        question->limit = MIN(limit, (uint64_t)PRESENCE_ROWS_MAX);
    }
    if (!question || presence_gather(call->host->exchange, group, true, UINT64_MAX, on_gathered, question) < 0) {
        free(question);
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    }
}
