/*
 * Problem: see problem.h. Only who knows the protocol can say that a connection is not known (not-found): a proxy's 404 is just an
 * answer that makes no sense.
 */
#include "lib/client/problem.h"

#include "lib/client/error.h"
#include "lib/fault.h"
#include "lib/json.h"

static enum rtc_code code_of_status(unsigned status)
{
    switch (status) {
    case 401:
        return RTC_UNAUTHORIZED;
    case 403:
        return RTC_FORBIDDEN;
    case 413:
        return RTC_TOO_LARGE;
    case 429:
        return RTC_RATE_LIMITED;
    default:
        return status >= 500 ? RTC_NETWORK : RTC_BAD_ANSWER;
    }
}

static const char *hint_of_status(unsigned status)
{
    return status == 404 ? "; the URL ends with http.base-path of its config (/rtc)"
        : status == 401 ? "; see access_token" : status >= 300 && status < 400 ? "; use the URL that it redirects to" : "";
}

bool problem_is_given(struct bytes body)
{
    struct json_scan scan;
    struct bytes json;
    json_scan_init(&scan, body);
    return json_take_all(&scan, JSON_DEPTH_MAX, &json) == 0 && json_member(json, "code").length > 0;
}

bool problem_read(unsigned status, struct bytes body, const char *what, struct rtc_error *ret)
{
    struct json_scan scan;
    struct bytes json, code, detail, reason;
    struct buf scratch = {0};
    char quoted[ERROR_QUOTE];
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &json) < 0 || json_string(json_member(json, "code"), &scratch, &code) < 0) {
        error_set(ret, code_of_status(status), "%s answers with HTTP status %u%s", what, status, hint_of_status(status));
        buf_done(&scratch);
        return false;
    }
    bool is_final = false;
    enum rtc_code known = error_code_by_name(code);
    if (json_string(json_member(json, "reason"), &scratch, &reason) == 0) {
        known = bytes_is(reason, "no-transport") ? RTC_NO_TRANSPORT : known;
        is_final = bytes_is(reason, fault_rows[FAULT_DISCONNECTED].name);
    }
    if (json_string(json_member(json, "detail"), &scratch, &detail) < 0 && json_string(json_member(json, "title"), &scratch, &detail) < 0)
        detail = BYTES("no reason given");
    error_set(ret, known, "%s is refused with HTTP status %u: %s", what, status, error_quote(detail, quoted));
    buf_done(&scratch);
    return is_final;
}
