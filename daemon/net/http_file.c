/*
 * HTTP files: see http_file.h. Caches keep a file, but ask each time whether it is still the same: the first page after an
 * upgrade has the new one.
 */
#include "daemon/net/http_file.h"

#include "daemon/config/config.h"

#include <strings.h>

static const char mark[] = "@BASE@";

/* The file with the base path in place of the mark, however often it is there. */
static void file_fill(struct bytes from, const char *base_path, struct buf *out)
{
    const unsigned char *found;
    while ((found = memmem(from.data, from.length, mark, sizeof(mark) - 1))) {
        size_t length = (size_t)(found - from.data), used = length + sizeof(mark) - 1;
        buf_add(out, from.data, length);
        buf_add_text(out, base_path);
        from = bytes_of(from.data + used, from.length - used);
    }
    buf_add_bytes(out, from);
}

/* Does the client hold this version? Compared weakly, as the RFC wants it here: a proxy that compresses says W/. */
static bool file_is_held(const struct http_head *head, struct bytes etag)
{
    for (unsigned i = 0; i < head->header_count; i++) {
        struct bytes name = head->headers[i].name, rest = head->headers[i].value, tag;
        if (name.length != strlen("if-none-match") || strncasecmp((const char *)name.data, "if-none-match", name.length) != 0)
            continue;
        while (http_next_token(&rest, &tag)) {
            if (tag.length > 2 && memcmp(tag.data, "W/", 2) == 0)
                tag = bytes_of(tag.data + 2, tag.length - 2);
            if (bytes_equal(tag, etag) || bytes_is(tag, "*"))
                return true;
        }
    }
    return false;
}

void http_file_serve(struct link *link, const struct http_head *head, const struct http_file *file)
{
    const char *base_path = file->names_base ? link->worker->hub->config->http.base_path : "";
    struct buf extra = {0}, filled = {0};
    struct response response = {.status = 200, .content_type = file->content_type, .cache = "no-cache",
                                .body = file->content->bytes, .is_constant = true};
    /* A base path has no character that an entity tag may not have. */
    buf_add_format(&extra, "\"%s%s\"", file->content->hash, base_path);
    bool is_held = file_is_held(head, buf_bytes(&extra));
    buf_clear(&extra);
    buf_add_format(&extra, "ETag: \"%s%s\"\r\n%s", file->content->hash, base_path, file->headers ? file->headers : "");
    response.extra = buf_text(&extra);

    if (is_held) {
        response.status = 304;
        response.content_type = NULL;
        response.body = (struct bytes){0};
    } else if (file->names_base) {
        file_fill(file->content->bytes, base_path, &filled);
        response.body = buf_bytes(&filled);
        response.is_constant = false;
    }
    struct fault fault = {.id = FAULT_INTERNAL};
    if (buf_status(&extra) < 0 || buf_status(&filled) < 0)
        http_refuse(link, &fault, false, NULL);
    else
        http_respond(link, &response);
    buf_done(&extra);
    buf_done(&filled);
}
