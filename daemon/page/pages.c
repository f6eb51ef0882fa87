/*
 * Pages: see pages.h.
 */
#include "daemon/page/pages.h"

#include "daemon/config/config.h"

static bool is_playground_on(const struct config *config)
{
    return config->http.playground;
}

#define AT(address) .path = address
#define BELOW(address) .path = address, .is_below_base = true
#define ALWAYS .is_on = NULL
#define IF(option) .is_on = is_##option##_on
#define PLAIN .headers = NULL
/* All that a page needs comes from here, nothing stands in the page itself, and nobody may frame it or be sent from it. */
#define DOCUMENT .names_base = true, .headers = \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'\r\n" \
    "Referrer-Policy: no-referrer\r\n"

#define PAGE(name, file, type, where, when, ...) \
    [PAGE_##name] = {where, when, .content_type = type, .content = &page_contents[PAGE_##name], __VA_ARGS__},

const struct http_file pages[PAGE_COUNT] = {
#include "daemon/page/pages.def"
};
