/*
 * OpenAPI: the description of the API (OpenAPI 3.1), made from the rows of admin_commands.def when it is asked for.
 */
#include "daemon/api/openapi.h"

#include "lib/admin_commands.h"
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
    if (!argument->takes_value)
        return "boolean";
    return strcmp(argument->value, "N") == 0 ? "integer" : strcmp(argument->value, "DATA") == 0 ? "" : "string";
}

static void add_arguments(struct json_writer *json, const struct admin_grammar *grammar)
{
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

/* Rows are arrays with a value for each column, in their order. */
static void add_rows(struct json_writer *json, const char *columns)
{
    struct admin_column column;
    add_text(json, "type", "object");
    begin(json, "properties");
    begin(json, "rows");
    add_text(json, "type", "array");
    begin(json, "items");
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
    json_end_object(json);
    json_key(json, "cursor");
    add_type(json, "string");
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

static void add_responses(struct json_writer *json, const struct admin_command *command)
{
    begin(json, "responses");
    begin(json, "200");
    add_text(json, "description", "What the command says.");
    begin_content(json, "application/json");
    if (command->columns[0])
        add_rows(json, command->columns);
    end_content(json);
    json_end_object(json);
    begin(json, "204");
    add_text(json, "description", "It was done, and there is nothing to say.");
    json_end_object(json);
    begin(json, "default");
    add_text(json, "description", "Why it was not done.");
    begin_content(json, "application/problem+json");
    add_text(json, "$ref", "#/components/schemas/Problem");
    end_content(json);
    json_end_object(json);
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

static void add_command(struct json_writer *json, const struct admin_command *command)
{
    static const char *const levels[] = {[ADMIN_VIEWER] = "viewer", [ADMIN_OPERATOR] = "operator", [ADMIN_ADMIN] = "admin"};
    struct admin_grammar grammar;
    char name[64], path[80];
    command_name(command, name, sizeof(name));
    snprintf(path, sizeof(path), "/%s", name);
    admin_grammar_read(command->synopsis, &grammar);
    begin(json, path);
    begin(json, "post");
    add_text(json, "operationId", name);
    add_text(json, "summary", command->summary);
    add_text(json, "description", command->details);
    add_text(json, "x-level", levels[command->access]);
    begin(json, "requestBody");
    begin_content(json, "application/json");
    add_arguments(json, &grammar);
    end_content(json);
    json_end_object(json);
    add_responses(json, command);
    json_end_object(json);
    json_end_object(json);
}

/* RFC 9457. */
static void add_components(struct json_writer *json)
{
    static const char *const members[] = {"type", "title", "code", "detail"};
    begin(json, "components");
    begin(json, "securitySchemes");
    begin(json, "key");
    add_text(json, "type", "http");
    add_text(json, "scheme", "bearer");
    add_text(json, "description", "An API key that has the level which the command needs (x-level).");
    json_end_object(json);
    json_end_object(json);
    begin(json, "schemas");
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
    json_end_object(json);
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
    add_text(&json, "description", "An array of up to 1000 bodies is a batch, and is answered by an array with {\"data\":...} or "
             "{\"error\":{\"code\":...,\"message\":...}} for each.");
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
        if (i != ADMIN_listen)
            add_command(&json, &admin_commands[i]);
    json_end_object(&json);
    add_components(&json);
    json_end_object(&json);
}
