/*
 * OpenAPI: the description of the API (OpenAPI 3.1), made from the rows of admin_commands.def when it is asked for.
 */
#include "daemon/api/openapi.h"

#include "daemon/core/api_call.h"
#include "lib/json.h"

#include <stdio.h>

static void add_text(struct json_writer *json, const char *key, const char *text)
{
    json_key(json, key);
    json_add_text(json, text);
}

static void begin(struct json_writer *json, const char *key)
{
    json_key(json, key);
    json_begin_object(json);
}

/* {"type": TYPE}; "" is any value. */
static void add_type(struct json_writer *json, const char *type)
{
    json_begin_object(json);
    if (type[0])
        add_text(json, "type", type);
    json_end_object(json);
}

static const char *argument_type(const struct admin_argument *argument)
{
    if (argument->may_lack_value)
        return "";
    if (!argument->takes_value)
        return "boolean";
    return strcmp(argument->value, "N") == 0 ? "integer" : strcmp(argument->value, "DATA") == 0 ? "" : "string";
}

static void add_arguments(struct json_writer *json, const struct admin_grammar *grammar)
{
    json_begin_object(json);
    add_text(json, "type", "object");
    begin(json, "properties");
    for (unsigned i = 0; i < grammar->count; i++) {
        json_key(json, grammar->arguments[i].name);
        add_type(json, argument_type(&grammar->arguments[i]));
    }
    json_end_object(json);
    json_key(json, "required");
    json_begin_array(json);
    for (unsigned i = 0; i < grammar->count; i++)
        if (!grammar->arguments[i].is_optional)
            json_add_text(json, grammar->arguments[i].name);
    json_end_array(json);
    json_key(json, "additionalProperties");
    json_add_bool(json, false);
    json_end_object(json);
}

/* One, or an array of several: the same schema either way. */
static void add_one_or_many(struct json_writer *json, void (*add)(struct json_writer *json, const void *what), const void *what,
                            const char *items)
{
    json_key(json, "oneOf");
    json_begin_array(json);
    add(json, what);
    json_begin_object(json);
    add_text(json, "type", "array");
    json_key(json, "minItems");
    json_add_uint(json, 1);
    json_key(json, "maxItems");
    json_add_uint(json, API_BATCH_MAX);
    begin(json, "items");
    add_text(json, "$ref", items);
    json_end_object(json);
    json_end_object(json);
    json_end_array(json);
}

static void add_reference(struct json_writer *json, const void *what)
{
    json_begin_object(json);
    add_text(json, "$ref", what);
    json_end_object(json);
}

static const char *column_type(enum admin_kind kind)
{
    switch (kind) {
    case ADMIN_KIND_TEXT:
        return "string";
    case ADMIN_KIND_FLAG:
        return "boolean";
    case ADMIN_KIND_JSON:
        return "";
    default:
        return "integer";
    }
}

/* Of any column a row may have nothing. */
static void add_cell_type(struct json_writer *json, const char *type)
{
    json_key(json, "type");
    json_begin_array(json);
    json_add_text(json, type);
    json_add_text(json, "null");
    json_end_array(json);
}

/* A row is an array with a value for each column, in their order. */
static void add_row(struct json_writer *json, const char *columns)
{
    struct admin_column column;
    json_begin_object(json);
    add_text(json, "type", "array");
    json_key(json, "prefixItems");
    json_begin_array(json);
    while (admin_next_column(&columns, &column)) {
        json_begin_object(json);
        add_text(json, "title", column.name);
        if (column_type(column.kind)[0])
            add_cell_type(json, column_type(column.kind));
        json_end_object(json);
    }
    json_end_array(json);
    json_end_object(json);
}

/* With `columns` in the request it has those alone. */
static void add_row_or_part(struct json_writer *json, const struct admin_command *command)
{
    json_begin_object(json);
    json_key(json, "anyOf");
    json_begin_array(json);
    add_row(json, command->columns);
    json_begin_object(json);
    add_text(json, "type", "array");
    add_text(json, "description", "The columns that the request names (columns), in its order.");
    json_end_object(json);
    json_end_array(json);
    json_end_object(json);
}

/* What stands beside the rows of commands that take an option, or of one command. */
static void add_members(struct json_writer *json, const struct admin_command *command)
{
    static const struct { const char *where, *name, *type; } members[] = {
        {"[--cursor ", "cursor", "string"}, {"[--sort ", "matched", "integer"},
        {"[--at]", "epoch", "string"}, {"[--at]", "sequence", "integer"},
        {"[--since ", "cursor", "string"}, {"[--since ", "epoch", "string"}, {"[--since ", "offset", "integer"}, {"[--since ", "recovered", "boolean"},
        {"presence", "group", "string"}, {"presence", "connections", "integer"}, {"presence", "users", "integer"},
        {"trace publish", "recipients", "integer"}, {"trace publish", "queued", "integer"}, {"trace publish", "acknowledged", "integer"},
        {"trace publish", "dropped", "integer"}, {"trace publish", "forgotten", "integer"}, {"trace publish", "closed", "integer"},
        {"trace publish", "tooNew", "integer"}, {"trace publish", "unsettled", "integer"},
    };
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (strcmp(members[i].where, command->words) != 0 && !strstr(command->synopsis, members[i].where))
            continue;
        json_key(json, members[i].name);
        add_type(json, members[i].type);
    }
}

static void add_rows(struct json_writer *json, const struct admin_command *command)
{
    json_begin_object(json);
    add_text(json, "type", "object");
    begin(json, "properties");
    begin(json, "rows");
    add_text(json, "type", "array");
    json_key(json, "items");
    if (strstr(command->synopsis, "[--columns "))
        add_row_or_part(json, command);
    else
        add_row(json, command->columns);
    json_end_object(json);
    add_members(json, command);
    json_end_object(json);
    json_end_object(json);
}

static void begin_content(struct json_writer *json, const char *type)
{
    begin(json, "content");
    begin(json, type);
    begin(json, "schema");
}

static void end_content(struct json_writer *json)
{
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
}

static void add_answer(struct json_writer *json, const void *what)
{
    const struct admin_command *command = what;
    if (command->columns[0])
        add_rows(json, command);
    else
        add_type(json, "object");
}

static void add_problem(struct json_writer *json, const char *status, const char *description)
{
    begin(json, status);
    add_text(json, "description", description);
    begin_content(json, "application/problem+json");
    add_text(json, "$ref", "#/components/schemas/Problem");
    end_content(json);
    json_end_object(json);
}

static void add_responses(struct json_writer *json, const struct admin_command *command)
{
    begin(json, "responses");
    begin(json, "200");
    add_text(json, "description", "What the command says; or, of a batch, that for each of its calls, in their order.");
    begin_content(json, "application/json");
    add_one_or_many(json, add_answer, command, "#/components/schemas/BatchAnswer");
    end_content(json);
    json_end_object(json);
    begin(json, "204");
    add_text(json, "description", "It was done, and there is nothing to say.");
    json_end_object(json);
    add_problem(json, "401", "The API key is missing, wrong, expired or revoked.");
    add_problem(json, "403", "The level of the API key is too low (x-level).");
    if (command->access > ADMIN_VIEWER) {
        add_problem(json, "409", "The first call with this Idempotency-Key is still under way.");
        add_problem(json, "422", "This Idempotency-Key was used for something else.");
    }
    add_problem(json, "503", "Too much waits; nothing was done. Try again.");
    add_problem(json, "default", "Why it was not done.");
    json_end_object(json);
}

/* "list connections" is list.connections. */
static void command_name(const struct admin_command *command, char *out, size_t size)
{
    snprintf(out, size, "%s", command->words);
    for (char *at = out; *at; at++)
        if (*at == ' ')
            *at = '.';
}

static void add_parameters(struct json_writer *json)
{
    json_key(json, "parameters");
    json_begin_array(json);
    add_reference(json, "#/components/parameters/IdempotencyKey");
    json_end_array(json);
}

static void add_command(struct json_writer *json, const struct admin_command *command)
{
    char name[64], path[80], arguments[120];
    command_name(command, name, sizeof(name));
    snprintf(path, sizeof(path), "/%s", name);
    snprintf(arguments, sizeof(arguments), "#/components/schemas/%s", name);
    begin(json, path);
    begin(json, "post");
    add_text(json, "operationId", name);
    add_text(json, "summary", command->summary);
    add_text(json, "description", command->details);
    add_text(json, "x-level", admin_access_name(command->access));
    if (command->access > ADMIN_VIEWER)
        add_parameters(json);
    begin(json, "requestBody");
    begin_content(json, "application/json");
    add_one_or_many(json, add_reference, arguments, arguments);
    end_content(json);
    json_end_object(json);
    add_responses(json, command);
    json_end_object(json);
    json_end_object(json);
}

/* RFC 9457. */
static void add_problem_schema(struct json_writer *json)
{
    static const char *const members[] = {"code", "title", "detail", "reason"};
    begin(json, "Problem");
    add_text(json, "type", "object");
    begin(json, "properties");
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        json_key(json, members[i]);
        add_type(json, "string");
    }
    json_key(json, "status");
    add_type(json, "integer");
    json_end_object(json);
    json_key(json, "required");
    json_begin_array(json);
    json_add_text(json, "status");
    for (size_t i = 0; i < COUNT_OF(members); i++)
        json_add_text(json, members[i]);
    json_end_array(json);
    json_end_object(json);
}

/* {"data": what is said alone}, or {"error": {"code", "message"}}. */
static void add_batch_schema(struct json_writer *json)
{
    begin(json, "BatchAnswer");
    add_text(json, "type", "object");
    begin(json, "properties");
    json_key(json, "data");
    add_type(json, "");
    begin(json, "error");
    add_text(json, "type", "object");
    begin(json, "properties");
    json_key(json, "code");
    add_type(json, "string");
    json_key(json, "message");
    add_type(json, "string");
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
    json_key(json, "minProperties");
    json_add_uint(json, 1);
    json_key(json, "maxProperties");
    json_add_uint(json, 1);
    json_key(json, "additionalProperties");
    json_add_bool(json, false);
    json_end_object(json);
}

static void add_key_parameter(struct json_writer *json)
{
    begin(json, "parameters");
    begin(json, "IdempotencyKey");
    add_text(json, "name", "Idempotency-Key");
    add_text(json, "in", "header");
    add_text(json, "description", "Chosen anew for each call. The same call with the same key is carried out once, and answered alike, within "
             "api.idempotency-window. Of a batch it is the key of the whole.");
    begin(json, "schema");
    add_text(json, "type", "string");
    add_text(json, "pattern", "^[!-~]{1,255}$");
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
}

static bool has_an_end(size_t command)
{
    return command != ADMIN_listen && command != ADMIN_handle;
}

static void add_components(struct json_writer *json)
{
    begin(json, "components");
    begin(json, "securitySchemes");
    begin(json, "key");
    add_text(json, "type", "http");
    add_text(json, "scheme", "bearer");
    add_text(json, "description", "An API key that has the level which the command needs (x-level).");
    json_end_object(json);
    json_end_object(json);
    add_key_parameter(json);
    begin(json, "schemas");
    add_problem_schema(json);
    add_batch_schema(json);
    for (size_t i = 0; i < ADMIN_COMMAND_COUNT; i++) {
        struct admin_grammar grammar;
        char name[64];
        if (!has_an_end(i))
            continue;
        command_name(&admin_commands[i], name, sizeof(name));
        admin_grammar_read(admin_commands[i].synopsis, &grammar);
        json_key(json, name);
        add_arguments(json, &grammar);
    }
    json_end_object(json);
    json_end_object(json);
}

void openapi_write(const char *base_path, struct buf *out)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    add_text(&json, "openapi", "3.1.0");
    begin(&json, "info");
    add_text(&json, "title", "rtcd");
    add_text(&json, "version", RTCD_VERSION);
    add_text(&json, "description", "The commands of rtcctl(1). What a program may do is said by the level of its API key.");
    json_end_object(&json);
    json_key(&json, "servers");
    json_begin_array(&json);
    json_begin_object(&json);
    add_text(&json, "url", base_path);
    json_end_object(&json);
    json_end_array(&json);
    json_key(&json, "security");
    json_begin_array(&json);
    json_begin_object(&json);
    json_key(&json, "key");
    json_begin_array(&json);
    json_end_array(&json);
    json_end_object(&json);
    json_end_array(&json);
    begin(&json, "paths");
    for (size_t i = 0; i < ADMIN_COMMAND_COUNT; i++)
        if (has_an_end(i))
            add_command(&json, &admin_commands[i]);
    json_end_object(&json);
    add_components(&json);
    json_end_object(&json);
}
