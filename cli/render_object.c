/*
 * Rendering one object: a line for each member; members of members under dotted names.
 */
#include "cli/render.h"

#include "lib/text.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

struct object_view {
    bool for_people;
    unsigned width;
    bool measures;
};

static void view_value(struct object_view *view, const char *name, struct bytes value)
{
    if (view->measures) {
        view->width = MAX(view->width, (unsigned)strlen(name));
        return;
    }
    struct buf line = {0}, scratch = {0};
    struct bytes text;
    if (view->for_people)
        buf_add_format(&line, "%-*s  ", (int)view->width, name);
    else
        buf_add_format(&line, "%s\t", name);
    if (json_string(value, &scratch, &text) == 0)
        text_add_escaped(&line, text, 64 * 1024);
    else if (json_type(value) != JSON_NULL)
        buf_add_bytes(&line, value);
    buf_add_byte(&line, '\n');
    fwrite(line.data, 1, line.length, stdout);
    buf_done(&line);
    buf_done(&scratch);
}

/* Objects in objects end at a depth that no reply of the daemon reaches. */
static void view_object(struct object_view *view, const char *prefix, struct bytes object, unsigned depth)
{
    struct json_scan scan;
    struct bytes key, value;
    json_scan_init(&scan, object);
    int r = json_enter(&scan, '{');
    while (r == 0 && json_next_member(&scan, JSON_DEPTH_MAX, &key, &value) == 1) {
        struct buf name = {0};
        buf_add_format(&name, "%s%s%.*s", prefix, prefix[0] ? "." : "", (int)key.length - 2, (const char *)key.data + 1);
        if (json_type(value) == JSON_OBJECT && depth < 4)
            view_object(view, buf_text(&name), value, depth + 1);
        else
            view_value(view, buf_text(&name), value);
        buf_done(&name);
    }
}

int render_object(const struct invocation *invocation, struct bytes object)
{
    enum output_format format = invocation->format;
    if (format == OUTPUT_AUTO)
        format = isatty(STDOUT_FILENO) ? OUTPUT_TABLE : OUTPUT_TSV;
    if (object.length == 0 || json_type(object) == JSON_NULL)
        return 0;
    if (format == OUTPUT_JSON || format == OUTPUT_NDJSON) {
        printf("%.*s\n", (int)object.length, (const char *)object.data);
    } else {
        struct object_view view = {.for_people = format == OUTPUT_TABLE, .measures = true};
        view_object(&view, "", object, 0);
        view.measures = false;
        view_object(&view, "", object, 0);
    }
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
