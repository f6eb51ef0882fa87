/*
 * Forwarded: see forwarded.h.
 */
#include "daemon/net/forwarded.h"

#include "daemon/config/network.h"

#include <stdlib.h>
#include <strings.h>

static bool is_trusted(const struct text_list *trusted, const struct peer_address *address)
{
    return networks_hold(trusted, address->family, &address->ip);
}

/* Takes the last element off a comma-separated list, trimmed: false when there is none left. */
static bool take_last(struct bytes *list, struct bytes *ret)
{
    if (!list->data)
        return false;
    const unsigned char *comma = list->length ? memrchr(list->data, ',', list->length) : NULL;
    struct bytes element = comma ? bytes_of(comma + 1, (size_t)(list->data + list->length - comma - 1)) : *list;
    *list = comma ? bytes_of(list->data, (size_t)(comma - list->data)) : (struct bytes){0};
    while (element.length && (element.data[0] == ' ' || element.data[0] == '\t'))
        element = bytes_of(element.data + 1, element.length - 1);
    while (element.length && (element.data[element.length - 1] == ' ' || element.data[element.length - 1] == '\t'))
        element.length--;
    *ret = element;
    return true;
}

static bool is_named(const struct http_header *header, const char *name)
{
    return header->name.length == strlen(name) && strncasecmp((const char *)header->name.data, name, header->name.length) == 0;
}

bool forwarded_find_client(const struct http_head *head, const struct text_list *trusted, struct peer_address *ret)
{
    bool is_found = false;
    for (unsigned i = head->header_count; i-- > 0;) {
        struct bytes list = head->headers[i].value, element;
        if (!is_named(&head->headers[i], "x-forwarded-for"))
            continue;
        while (take_last(&list, &element)) {
            struct peer_address address;
            if (peer_address_parse(element, &address) < 0)
                return is_found;
            *ret = address;
            is_found = true;
            if (!is_trusted(trusted, &address))
                return true;
        }
    }
    return is_found;
}

int forwarded_note(struct link *link, const struct http_head *head)
{
    const struct text_list *trusted = &link->worker->hub->config->http.trusted_proxies;
    struct link_work *work = link->work;
    /* The request before this one may have been another client's. */
    if (work->proxy) {
        work->address = *work->proxy;
        free(STEAL(work->proxy));
    }
    struct peer_address client;
    if (!trusted->count || !is_trusted(trusted, &work->address) || !forwarded_find_client(head, trusted, &client))
        return 0;
    work->proxy = malloc(sizeof(*work->proxy));
    if (!work->proxy)
        return -ENOMEM;
    *work->proxy = work->address;
    work->address = client;
    return 0;
}

bool forwarded_is_https(const struct link *link, const struct http_head *head)
{
    const struct text_list *trusted = &link->worker->hub->config->http.trusted_proxies;
    const struct peer_address *peer = link->work->proxy ? link->work->proxy : &link->work->address;
    struct bytes said = {0}, scheme;
    if (trusted->count && is_trusted(trusted, peer))
        for (unsigned i = 0; i < head->header_count; i++)
            if (is_named(&head->headers[i], "x-forwarded-proto"))
                said = head->headers[i].value;
    /* Of several the last: that of the proxy next to us. */
    if (take_last(&said, &scheme))
        return scheme.length == 5 && strncasecmp((const char *)scheme.data, "https", 5) == 0;
    return link->is_tls;
}
