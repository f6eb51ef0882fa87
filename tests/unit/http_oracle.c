/*
 * HTTP oracle: see http_oracle.h.
 */
#include "tests/unit/http_oracle.h"

#include <http_parser.h>

static int on_head(http_parser *parser)
{
    return 2;
}

bool oracle_read(const char *bytes, size_t length, struct oracle *ret)
{
    http_parser parser;
    static const http_parser_settings settings = {.on_headers_complete = on_head};
    http_parser_init(&parser, HTTP_REQUEST);
    size_t used = http_parser_execute(&parser, &settings, bytes, length);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    *ret = (struct oracle){
        .method = http_method_str(parser.method), .problem = http_errno_name(error), .minor_version = parser.http_minor,
        .content_length = parser.content_length, .is_chunked = (parser.flags & F_CHUNKED) != 0,
        .is_unknown_method = error == HPE_INVALID_METHOD,
    };
    return error == HPE_OK && used + 1 >= length;
}
