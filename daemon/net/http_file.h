/*
 * HTTP files: answers with a file that is built into the program: GET, HEAD, and the conditional request of RFC 9110
 * section 13.1.2. Knows nothing of which files there are.
 */
#pragma once

#include "daemon/net/http.h"

/* The file, and 128 bits of a hash of it in hexadecimal. */
struct http_content {
    struct bytes bytes;
    const char *hash;
};

struct http_file {
    const char *path;                               /* after the base path, or the whole path */
    bool is_below_base;
    bool (*is_on)(const struct config *config);     /* NULL: always */
    const char *content_type;
    const char *headers;                            /* further header lines, each with CRLF; or NULL */
    const struct http_content *content;
    bool names_base;                                /* "@BASE@" in it stands for http.base-path */
};

void http_file_serve(struct link *link, const struct http_head *head, const struct http_file *file);
