/*
 * Pages: the list of the files that are built into the daemon. The rows are in pages.def; embed.py makes the contents.
 */
#pragma once

#include "daemon/net/http_file.h"

enum {
#define PAGE(name, ...) PAGE_##name,
#include "daemon/page/pages.def"
#undef PAGE
    PAGE_COUNT
};

extern const struct http_content page_contents[PAGE_COUNT];
extern const struct http_file pages[PAGE_COUNT];
