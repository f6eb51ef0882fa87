/*
 * Config file: see config_file.h. A walk over libyaml's events: nested mappings make dotted paths, scalars and lists of
 * scalars set options, and the lists of rules are lists of mappings, each with options of its own. Whatever YAML can do beyond that
 * (aliases, tags, several documents) is refused.
 */
#include "daemon/config/config_file.h"

#include "daemon/config/rule_list.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <yaml.h>

enum { FILE_BYTES_MAX = 1024 * 1024, PATH_MAX_BYTES = 128, NESTING_MAX = 32 };

struct reading {
    struct config *config;
    struct buf *problems;
    const char *file;
    yaml_parser_t parser;
    struct buf text;
    struct scope {                      /* whose options are being read: the config's, or those of a rule */
        const struct option_table *table;
        void *rule;                     /* NULL: the config's */
        bool seen[OPTIONS_MAX];         /* by option */
    } *scope;
    bool opened[OPTIONS_MAX];           /* by the first option of a section */
    bool has_list[RULE_LIST_COUNT], has_failed;
};

static void reading_problem(struct reading *reading, size_t line, const char *path, const char *reason)
{
    reading->has_failed = true;
    buf_add_format(reading->problems, "%s:%zu: ", reading->file, line);
    text_add_escaped(reading->problems, bytes_text(path), PATH_MAX_BYTES);
    buf_add_format(reading->problems, "%s%s\n", path[0] ? ": " : "", reason);
}

/* Where the parser stopped. Of bytes that are no text at all libyaml knows only the offset. */
static size_t reading_line(const struct reading *reading)
{
    const yaml_parser_t *parser = &reading->parser;
    size_t line = 1, end = MIN(parser->problem_offset, reading->text.length);
    if (parser->error != YAML_READER_ERROR)
        return parser->problem_mark.line + 1;
    for (size_t i = 0; i < end; i++)
        line += reading->text.data[i] == '\n';
    return line;
}

/* The next event, without anchors and tags; false: the file is not YAML (told). */
static bool reading_next(struct reading *reading, yaml_event_t *ret)
{
    yaml_parser_t *parser = &reading->parser;
    if (yaml_parser_parse(parser, ret))
        return true;
    char reason[200];
    snprintf(reason, sizeof(reason), "not YAML: %s", parser->problem ? parser->problem : "out of memory");
    reading_problem(reading, reading_line(reading), "", reason);
    return false;
}

static bool event_is_fancy(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    default:
        return false;
    }
}

/* "\\0" in quotes would silently cut the text short. */
static bool scalar_is_text(const yaml_event_t *event)
{
    return strlen((const char *)event->data.scalar.value) == event->data.scalar.length;
}

/* A section with a similar name; false: none is near. */
static bool section_nearest(const struct option_table *table, const char *path, unsigned *best, char ret[static PATH_MAX_BYTES])
{
    bool is_found = false;
    for (size_t i = 0; i < table->count; i++) {
        char section[PATH_MAX_BYTES];
        int length = (int)strcspn(table->rows[i].path, ".");
        snprintf(section, sizeof(section), "%.*s", length, table->rows[i].path);
        unsigned distance = text_distance(path, section, *best);
        if (distance < *best || (distance == *best && !is_found)) {
            *best = distance;
            is_found = true;
            memcpy(ret, section, sizeof(section));
        }
    }
    return is_found;
}

static void reading_unknown(struct reading *reading, size_t line, const char *path)
{
    char reason[200], section[PATH_MAX_BYTES];
    unsigned best = 1 + (unsigned)strlen(path) / 3;
    const struct config_option *near = option_nearest_in(reading->scope->table, path);
    bool has_section = section_nearest(&option_table, path, &best, section);
    for (size_t i = 0; i < RULE_LIST_COUNT; i++)
        has_section = section_nearest(rule_lists[i]->table, path, &best, section) || has_section;
    if (near || has_section)
        snprintf(reason, sizeof(reason), "there is no such option; did you mean %s?", near ? near->path : section);
    else
        snprintf(reason, sizeof(reason), "there is no such option; rtcd.yaml(5) lists them");
    reading_problem(reading, line, path, reason);
}

/* The first option below this path; NULL: it is no section. */
static const struct config_option *section_find(const struct option_table *table, const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->rows[i].path, path, length) == 0 && table->rows[i].path[length] == '.')
            return &table->rows[i];
    return NULL;
}

static void reading_set(struct reading *reading, const struct config_option *option, const yaml_event_t *event, bool adds)
{
    struct buf reason = {0};
    char origin[300];
    size_t line = event->start_mark.line + 1;
    const char *text = (const char *)event->data.scalar.value;
    if (!scalar_is_text(event)) {
        reading_problem(reading, line, option->path, "the value has a NUL byte");
        return;
    }
    snprintf(origin, sizeof(origin), "%s:%zu", reading->file, line);
    void *rule = reading->scope->rule;
    int r = rule ? (adds ? option_append(rule, option, text, &reason) : option_fill(rule, option, text, &reason))
        : adds ? option_add(reading->config, option, text, origin, &reason)
               : option_set(reading->config, option, text, origin, &reason);
    if (r < 0)
        reading_problem(reading, line, option->path, r == -ENOMEM ? "out of memory" : buf_text(&reason));
    buf_done(&reason);
}

/* Passes over a whole value that is of no use. What is nested without end would cost libyaml the square of its length. */
static bool reading_skip(struct reading *reading, yaml_event_type_t first)
{
    int depth = first == YAML_MAPPING_START_EVENT || first == YAML_SEQUENCE_START_EVENT;
    while (depth > 0) {
        yaml_event_t event;
        if (!reading_next(reading, &event))
            return false;
        depth += event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
        depth -= event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        size_t line = event.start_mark.line + 1;
        yaml_event_delete(&event);
        if (depth > NESTING_MAX) {
            reading_problem(reading, line, "", "nested too deep; no option is");
            return false;
        }
    }
    return true;
}

static bool reading_list(struct reading *reading, const struct config_option *option)
{
    option_clear(reading->scope->rule ? reading->scope->rule : reading->config, option);
    while (true) {
        yaml_event_t event;
        if (!reading_next(reading, &event))
            return false;
        size_t line = event.start_mark.line + 1;
        yaml_event_type_t type = event.type;
        if (type == YAML_SCALAR_EVENT && !event_is_fancy(&event))
            reading_set(reading, option, &event, true);
        else if (type != YAML_SEQUENCE_END_EVENT)
            reading_problem(reading, line, option->path, "its items must be plain values");
        yaml_event_delete(&event);
        if (type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!reading_skip(reading, type))
            return false;
    }
}

static bool reading_mapping(struct reading *reading, const char *prefix);

/* The value of an option, whose first event is at hand. */
static bool reading_option(struct reading *reading, const struct config_option *option, const yaml_event_t *event)
{
    size_t line = event->start_mark.line + 1;
    bool *seen = &reading->scope->seen[option - reading->scope->table->rows];
    if (*seen)
        reading_problem(reading, line, option->path, "it is given twice");
    *seen = true;
    if (event_is_fancy(event)) {
        reading_problem(reading, line, option->path, "anchors, aliases and tags are not taken");
    } else if (event->type == YAML_SCALAR_EVENT) {
        reading_set(reading, option, event, false);
        return true;
    } else if (event->type == YAML_SEQUENCE_START_EVENT && option->kind == OPTION_LIST) {
        return reading_list(reading, option);
    } else {
        reading_problem(reading, line, option->path, option->kind == OPTION_LIST ? "a list is expected" : "one value is expected");
    }
    return reading_skip(reading, event->type);
}

static bool reading_section(struct reading *reading, const struct config_option *first, const char *path, size_t line)
{
    bool *opened = &reading->opened[first - options];
    if (*opened)
        reading_problem(reading, line, path, "it is given twice; put its options together");
    *opened = true;
    return reading_mapping(reading, path);
}

/* What is still missing in a rule, or wrong with it as a whole. */
static void reading_finish_rule(struct reading *reading, const struct rule_list *list, const struct scope *scope, size_t line)
{
    bool is_whole = true;
    const char *option;
    for (size_t i = 0; i < list->table->count; i++) {
        bool is_set = option_is_set(scope->rule, &list->table->rows[i]);
        if (!is_set && (!scope->seen[i] || !reading->has_failed))    /* one that is wrong was told already */
            reading_problem(reading, line, list->table->rows[i].path, "each rule needs it");
        is_whole = is_whole && is_set;
    }
    const char *problem = is_whole ? rule_list_finish(list, reading->config, scope->rule, &option) : NULL;
    if (problem)
        reading_problem(reading, line, option, problem);
}

/* One rule; its mapping has begun. */
static bool reading_rule(struct reading *reading, const struct rule_list *list, size_t line)
{
    char origin[300];
    struct scope scope = {.table = list->table}, *before = reading->scope;
    snprintf(origin, sizeof(origin), "%s:%zu", reading->file, line);
    scope.rule = rule_list_add(list, reading->config, origin);
    if (!scope.rule) {
        reading_problem(reading, line, list->name, "out of memory");
        return false;
    }
    reading->scope = &scope;
    bool goes_on = reading_mapping(reading, list->name);
    if (goes_on)
        reading_finish_rule(reading, list, &scope, line);
    reading->scope = before;
    return goes_on;
}

/* What stands in the place of a rule is none, or one too many. */
static bool reading_is_rule(struct reading *reading, const struct rule_list *list, const yaml_event_t *event, size_t line)
{
    char reason[160];
    const struct config_option *first = &list->table->rows[0];
    bool is_rule = event->type == YAML_MAPPING_START_EVENT && !event_is_fancy(event);
    if (is_rule && rule_list_count(list, reading->config) < list->max)
        return true;
    if (is_rule)
        snprintf(reason, sizeof(reason), "there are more than %zu rules", list->max);
    else
        snprintf(reason, sizeof(reason), "each rule is a mapping, as %s: \"%s\"", strchr(first->path, '.') + 1, first->example);
    reading_problem(reading, line, list->name, reason);
    return false;
}

/* A list of rules; its first event is at hand. */
static bool reading_rules(struct reading *reading, size_t index, const yaml_event_t *first)
{
    const struct rule_list *list = rule_lists[index];
    size_t line = first->start_mark.line + 1;
    bool is_list = first->type == YAML_SEQUENCE_START_EVENT && !event_is_fancy(first), goes_on = true;
    if (reading->has_list[index])
        reading_problem(reading, line, list->name, "it is given twice; put its rules together");
    reading->has_list[index] = true;
    if (!is_list) {
        reading_problem(reading, line, list->name, list->expected);
        return reading_skip(reading, first->type);
    }
    while (goes_on) {
        yaml_event_t event;
        if (!reading_next(reading, &event))
            return false;
        yaml_event_type_t type = event.type;
        line = event.start_mark.line + 1;
        bool is_rule = type != YAML_SEQUENCE_END_EVENT && reading_is_rule(reading, list, &event, line);
        yaml_event_delete(&event);
        if (type == YAML_SEQUENCE_END_EVENT)
            break;
        goes_on = is_rule ? reading_rule(reading, list, line) : reading_skip(reading, type);
    }
    return goes_on;
}

/* A value that is none of an option's. */
static bool reading_other(struct reading *reading, const char *path, size_t line, const yaml_event_t *event)
{
    bool is_config = !reading->scope->rule;
    bool is_empty = event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 && event->data.scalar.plain_implicit;
    const struct config_option *first = is_config ? section_find(&option_table, path) : NULL;
    size_t list = is_config ? rule_list_find(path) : RULE_LIST_COUNT;
    if (list < RULE_LIST_COUNT && !is_empty)
        return reading_rules(reading, list, event);
    if (first && event->type == YAML_MAPPING_START_EVENT && !event_is_fancy(event))
        return reading_section(reading, first, path, line);
    if (!first && list == RULE_LIST_COUNT)
        reading_unknown(reading, line, path);
    else if (!is_empty)
        reading_problem(reading, line, path, "options are expected below it");
    return reading_skip(reading, event->type);
}

static bool reading_member(struct reading *reading, const char *path, size_t line)
{
    yaml_event_t event;
    if (!reading_next(reading, &event))
        return false;
    const struct config_option *option = option_find_in(reading->scope->table, path);
    bool goes_on = option ? reading_option(reading, option, &event) : reading_other(reading, path, line, &event);
    yaml_event_delete(&event);
    return goes_on;
}

/* A key that cannot be an option's name, and its value. */
static bool reading_pass_over(struct reading *reading, yaml_event_type_t key)
{
    yaml_event_t value;
    if (!reading_skip(reading, key) || !reading_next(reading, &value))
        return false;
    yaml_event_type_t type = value.type;
    yaml_event_delete(&value);
    return reading_skip(reading, type);
}

static bool reading_mapping(struct reading *reading, const char *prefix)
{
    while (true) {
        yaml_event_t key;
        if (!reading_next(reading, &key))
            return false;
        yaml_event_type_t type = key.type;
        size_t line = key.start_mark.line + 1;
        char path[PATH_MAX_BYTES];
        bool fits = type == YAML_SCALAR_EVENT && !event_is_fancy(&key) && scalar_is_text(&key)
            && snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", (const char *)key.data.scalar.value)
               < (int)sizeof(path);
        yaml_event_delete(&key);
        if (type == YAML_MAPPING_END_EVENT)
            return true;
        if (!fits)
            reading_problem(reading, line, prefix, "an option's name is expected");
        if (!(fits ? reading_member(reading, path, line) : reading_pass_over(reading, type)))
            return false;
    }
}

/* Stream start, document start, one mapping, document end, stream end. */
static void reading_document(struct reading *reading)
{
    yaml_event_t event;
    unsigned documents = 0;
    bool goes_on = true, is_over = false;
    while (goes_on && !is_over && reading_next(reading, &event)) {
        size_t line = event.start_mark.line + 1;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            is_over = true;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (++documents > 1) {
                reading_problem(reading, line, "", "there is more than one document");
                goes_on = false;
            }
            break;
        case YAML_MAPPING_START_EVENT:
            goes_on = reading_mapping(reading, "");
            break;
        default:
            if (event.type != YAML_SCALAR_EVENT || event.data.scalar.length)
                reading_problem(reading, line, "", "options are expected, as name: value");
            goes_on = reading_skip(reading, event.type);
            break;
        }
        yaml_event_delete(&event);
    }
}

static int config_slurp(const char *path, struct buf *ret)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    int r = fstat(fileno(file), &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? -EISDIR : 0;
    while (r == 0 && !feof(file)) {
        unsigned char *room = buf_room(ret, 4096);
        if (!room || ret->length > FILE_BYTES_MAX)
            r = room ? -EFBIG : -ENOMEM;
        else
            ret->length += fread(room, 1, 4096, file);
        if (r == 0 && ferror(file))
            r = -EIO;
    }
    fclose(file);
    return r;
}

static int config_read_file(struct config *config, const char *path, struct buf *problems)
{
    struct scope scope = {.table = &option_table};
    struct reading reading = {.config = config, .problems = problems, .file = path, .scope = &scope};
    int r = config_slurp(path, &reading.text);
    if (r < 0)
        buf_add_format(problems, "%s: cannot be read: %s\n", path, strerror(-r));
    if (r == 0 && !yaml_parser_initialize(&reading.parser))
        r = -ENOMEM;
    if (r == 0) {
        yaml_parser_set_input_string(&reading.parser, reading.text.data, reading.text.length);
        reading_document(&reading);
        yaml_parser_delete(&reading.parser);
        r = reading.has_failed ? -EINVAL : 0;
    }
    buf_done(&reading.text);
    return r;
}

static int config_override(struct config *config, const char *text, struct buf *problems)
{
    char path[PATH_MAX_BYTES];
    struct buf reason = {0};
    const char *equals = strchr(text, '=');
    int r = -EINVAL;
    snprintf(path, sizeof(path), "%.*s", (int)(equals ? equals - text : (ptrdiff_t)strlen(text)), text);
    const struct config_option *option = option_find(path), *near = option_nearest(path);
    char section[PATH_MAX_BYTES];
    snprintf(section, sizeof(section), "%.*s", (int)strcspn(path, "."), path);
    if (!equals)
        buf_add_format(problems, "--set %s: option=value is expected\n", path);
    else if (rule_list_find(section) < RULE_LIST_COUNT)
        buf_add_format(problems, "--set %s: the rules of %s are taken from the file alone\n", path, section);
    else if (!option)
        buf_add_format(problems, "--set %s: there is no such option%s%s%s\n", path, near ? "; did you mean " : "",
                       near ? near->path : "", near ? "?" : "");
    else if ((r = option_set(config, option, equals + 1, "command line", &reason)) < 0)
        buf_add_format(problems, "--set %s: %s\n", path, buf_text(&reason));
    buf_done(&reason);
    return r;
}

static struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof(*config));
    struct buf reason = {0};
    if (!config)
        return NULL;
    atomic_init(&config->reference_count, 1);
    int r = 0;
    for (size_t i = 0; i < option_count && r == 0; i++)
        r = option_set(config, &options[i], options[i].fallback, NULL, &reason);
    assert(r != -EINVAL);
    buf_done(&reason);
    if (r == 0)
        return config;
    config_unref(config);
    return NULL;
}

int config_load(const char *path, const char *const overrides[], size_t override_count, struct config **ret,
                struct buf *problems)
{
    SCOPED(config) config = config_new();
    if (!config)
        return -ENOMEM;
    int r = path ? config_read_file(config, path, problems) : 0;
    for (size_t i = 0; i < override_count; i++) {
        int one = config_override(config, overrides[i], problems);
        r = r == 0 ? one : r;
    }
    if (r == 0)
        r = config_check_rules(config, problems);
    if (r == 0)
        *ret = STEAL(config);
    return r;
}

const char *config_library_version(void)
{
    return yaml_get_version_string();
}
