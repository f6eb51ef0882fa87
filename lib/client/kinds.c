/*
 * Kinds: see kinds.h. A transport of the library's own is one file and one row here, the best first.
 */
#include "lib/client/kinds.h"

#include "lib/client/error.h"
#include "lib/client/session.h"

extern const struct rtc_transport_kind transport_websocket, transport_sse, transport_longpoll, transport_shortpoll;

static const struct rtc_transport_kind *const built_in[] = {
    &transport_websocket, &transport_sse, &transport_longpoll, &transport_shortpoll,
};

static const struct rtc_transport_kind *kind_find(const struct rtc_transport_kind *const *kinds, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_is(name, kinds[i]->name))
            return kinds[i];
    return NULL;
}

bool kinds_is_built_in(const char *name)
{
    return kind_find(built_in, COUNT_OF(built_in), bytes_text(name)) != NULL;
}

static bool is_named(const struct options *options, const char *kind_name)
{
    struct bytes rest = bytes_text(options->transports), name;
    while (options_next_name(&rest, &name))
        if (bytes_is(name, kind_name))
            return true;
    return false;
}

static enum rtc_code choose_named(const struct options *options, const struct rtc_transport_kind **ret, size_t *ret_count, struct rtc_error *error)
{
    char quoted[ERROR_QUOTE];
    struct bytes rest = bytes_text(options->transports), name;
    while (options_next_name(&rest, &name)) {
        const struct rtc_transport_kind *kind = kind_find(options->kinds, options->kind_count, name);
        if (!kind)
            kind = kind_find(built_in, COUNT_OF(built_in), name);
        if (!kind)
            return error_set(error, RTC_BAD_ARGUMENT, "transports: there is no \"%s\", only websocket, sse, longpoll, shortpoll and those of "
                             "your own", error_quote(name, quoted));
        if (kind_find(ret, *ret_count, name))
            return error_set(error, RTC_BAD_ARGUMENT, "transports: %s is named twice", kind->name);
        if (*ret_count == OFFERS_MAX)
            return error_set(error, RTC_BAD_ARGUMENT, "transports: there are more than %d", OFFERS_MAX);
        ret[(*ret_count)++] = kind;
    }
    return RTC_OK;
}

enum rtc_code kinds_choose(const struct options *options, const struct rtc_transport_kind **ret, size_t *ret_count, struct rtc_error *error)
{
    struct options named = *options;
    if (!named.transports)
        named.transports = (char *)"websocket,sse,longpoll,shortpoll";
    *ret_count = 0;
    for (size_t i = 0; i < options->kind_count; i++) {
        const struct rtc_transport_kind *kind = options->kinds[i];
        if (!kind || !kind->name || !kind->name[0] || !kind->open || !kind->send || !kind->is_writable || !kind->close)
            return error_set(error, RTC_BAD_ARGUMENT, "transport: it needs a name and the functions open, send, is_writable and close");
        if (kind_find(options->kinds, i, bytes_text(kind->name)))
            return error_set(error, RTC_BAD_ARGUMENT, "transport: there are two by the name %s", kind->name);
        /* One of the caller's own goes first, unless the list of names says where. */
        if (!is_named(&named, kind->name))
            ret[(*ret_count)++] = kind;
    }
    enum rtc_code code = choose_named(&named, ret, ret_count, error);
    if (code == RTC_OK && *ret_count == 0)
        return error_set(error, RTC_BAD_ARGUMENT, "transports: none is named; websocket, sse, longpoll and shortpoll are there");
    return code;
}
