/*
 * Verdict: see verdict.h.
 */
#include "daemon/core/verdict.h"

#include "lib/envelope.h"
#include "lib/json.h"
#include "lib/text.h"

static int verdict_wrong(int error, const char *problem, const char **ret_problem)
{
    if (ret_problem)
        *ret_problem = problem;
    return error;
}

static int verdict_no_memory(const char **ret_problem)
{
    return verdict_wrong(-ENOMEM, "could not be kept: out of memory", ret_problem);
}

void verdict_done(struct verdict *verdict)
{
    buf_done(&verdict->user);
    buf_done(&verdict->groups);
    buf_done(&verdict->labels);
    buf_done(&verdict->info);
    buf_done(&verdict->withheld);
    buf_done(&verdict->redirect_url);
    buf_done(&verdict->redirect_token);
}

/* Ends where a character does. */
static size_t verdict_cut(struct bytes text, size_t max)
{
    if (text.length <= max)
        return text.length;
    size_t length = max;
    while (length > 0 && (text.data[length] & 0xc0) == 0x80)
        length--;
    return length;
}

int verdict_refuse(struct verdict *verdict, struct bytes code, struct bytes message, const char **ret_problem)
{
    static const enum fault_id faults[] = {FAULT_FORBIDDEN, FAULT_UNAUTHORIZED, FAULT_EXPIRED, FAULT_NOT_FOUND, FAULT_RATE_LIMITED,
                                           FAULT_UNSUPPORTED, FAULT_DRAINING};
    struct fault *refusal = &verdict->refusal;
    if (!message.data)
        message = BYTES("");
    if (memchr(message.data, 0, message.length) || !utf8_is_valid(message))
        return verdict_wrong(-EINVAL, "has a message that is not UTF-8 text", ret_problem);
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        if (!bytes_is(code, fault_rows[faults[i]].name))
            continue;
        if (refusal->id == FAULT_NONE)
            fault_set(refusal, faults[i], "%.*s", (int)verdict_cut(message, sizeof(refusal->detail) - 1), (const char *)message.data);
        return 0;
    }
    return verdict_wrong(-EINVAL, "has a code that is none of forbidden, unauthorized, expired, not-found, rate-limited, unsupported and "
                         "draining", ret_problem);
}

int verdict_set_user(struct verdict *verdict, struct bytes user, const char **ret_problem)
{
    struct buf kept = {0};
    if (!name_is_valid(user, NAME_MAX_BYTES))
        return verdict_wrong(-EINVAL, "has a user whose name is not 1 to 255 bytes of UTF-8 without control characters", ret_problem);
    if (verdict->user.length && !bytes_equal(user, buf_bytes(&verdict->user)))
        return verdict_wrong(-EINVAL, "has another user than was named before", ret_problem);
    buf_add_bytes(&kept, user);
    if (buf_status(&kept) < 0)
        return verdict_no_memory(ret_problem);
    buf_done(&verdict->user);
    verdict->user = kept;
    return 0;
}

/* Texts one after the other, each with a NUL behind it. */
static bool next_text(struct bytes *rest, struct bytes *ret)
{
    if (rest->length == 0)
        return false;
    const unsigned char *end = memchr(rest->data, 0, rest->length);
    assert(end);
    *ret = bytes_of(rest->data, (size_t)(end - rest->data));
    *rest = bytes_of(end + 1, rest->length - ret->length - 1);
    return true;
}

static bool texts_have(const struct buf *texts, struct bytes wanted)
{
    struct bytes rest = buf_bytes(texts), known;
    while (next_text(&rest, &known))
        if (bytes_equal(known, wanted))
            return true;
    return false;
}

static int texts_add(struct buf *texts, unsigned *count, struct bytes text)
{
    if (!buf_room(texts, text.length + 1))
        return -ENOMEM;
    buf_add_bytes(texts, text);
    buf_add_byte(texts, 0);
    ++*count;
    return 0;
}

bool verdict_next_group(struct bytes *rest, struct bytes *ret_group)
{
    return next_text(rest, ret_group);
}

bool verdict_withholds(const struct verdict *verdict, const char *name)
{
    return texts_have(&verdict->withheld, bytes_text(name));
}

int verdict_add_group(struct verdict *verdict, struct bytes group, const char **ret_problem)
{
    if (!name_is_valid(group, NAME_MAX_BYTES))
        return verdict_wrong(-EINVAL, "has a group whose name is not 1 to 255 bytes of UTF-8 without control characters", ret_problem);
    if (texts_have(&verdict->groups, group))
        return 0;
    if (verdict->group_count == VERDICT_GROUPS_MAX)
        return verdict_wrong(-E2BIG, "has more than 64 groups", ret_problem);
    return texts_add(&verdict->groups, &verdict->group_count, group) < 0 ? verdict_no_memory(ret_problem) : 0;
}

int verdict_withhold(struct verdict *verdict, struct bytes name, const char **ret_problem)
{
    if (!name_is_valid(name, NAME_MAX_BYTES))
        return verdict_wrong(-EINVAL, "withholds what is no name of a transport or protocol", ret_problem);
    if (texts_have(&verdict->withheld, name))
        return 0;
    if (verdict->withheld_count == VERDICT_WITHHELD_MAX)
        return verdict_wrong(-E2BIG, "withholds more than 16 transports and protocols", ret_problem);
    return texts_add(&verdict->withheld, &verdict->withheld_count, name) < 0 ? verdict_no_memory(ret_problem) : 0;
}

static bool is_url(struct bytes url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (url.length > strlen(schemes[i]) && memcmp(url.data, schemes[i], strlen(schemes[i])) == 0)
            return name_is_valid(url, VERDICT_REDIRECT_BYTES);
    return false;
}

int verdict_redirect(struct verdict *verdict, struct bytes url, struct bytes access_token, const char **ret_problem)
{
    struct buf kept[2] = {0};
    if (!is_url(url))
        return verdict_wrong(-EINVAL, "sends the client to what is no http or https URL of up to 2048 bytes", ret_problem);
    if (access_token.length && !name_is_valid(access_token, VERDICT_TOKEN_BYTES))
        return verdict_wrong(-EINVAL, "has an access token of more than 8192 bytes, or with control characters", ret_problem);
    buf_add_bytes(&kept[0], url);
    buf_add_bytes(&kept[1], access_token);
    if (buf_status(&kept[0]) < 0 || buf_status(&kept[1]) < 0) {
        buf_done(&kept[0]);
        buf_done(&kept[1]);
        return verdict_no_memory(ret_problem);
    }
    buf_done(&verdict->redirect_url);
    buf_done(&verdict->redirect_token);
    verdict->redirect_url = kept[0];
    verdict->redirect_token = kept[1];
    return 0;
}

/* The labels but the one of that name. */
static bool labels_without(const struct verdict *verdict, struct bytes name, struct buf *out)
{
    struct bytes rest = buf_bytes(&verdict->labels), known, value;
    bool is_found = false;
    while (next_text(&rest, &known) && next_text(&rest, &value)) {
        bool is_same = bytes_equal(known, name);
        is_found |= is_same;
        if (!is_same)
            buf_add(out, known.data, known.length + value.length + 2);
    }
    return is_found;
}

int verdict_add_label(struct verdict *verdict, struct bytes name, struct bytes value, const char **ret_problem)
{
    if (!name_is_valid(name, VERDICT_LABEL_NAME))
        return verdict_wrong(-EINVAL, "has a label whose name is not 1 to 64 bytes of UTF-8 without control characters", ret_problem);
    if (value.length && !name_is_valid(value, NAME_MAX_BYTES))
        return verdict_wrong(-EINVAL, "has a label whose value is not up to 255 bytes of UTF-8 without control characters", ret_problem);
    struct buf labels = {0};
    bool is_new = !labels_without(verdict, name, &labels);
    buf_add_bytes(&labels, name);
    buf_add_byte(&labels, 0);
    buf_add_bytes(&labels, value);
    buf_add_byte(&labels, 0);
    int r = 0;
    if (buf_status(&labels) < 0)
        r = verdict_no_memory(ret_problem);
    else if (verdict->label_count + is_new > VERDICT_LABELS_MAX || labels.length > VERDICT_LABELS_BYTES)
        r = verdict_wrong(-E2BIG, "has more than 16 labels, or more than 1024 bytes of them", ret_problem);
    if (r < 0) {
        buf_done(&labels);
        return r;
    }
    buf_done(&verdict->labels);
    verdict->labels = labels;
    verdict->label_count += is_new;
    return 0;
}

int verdict_set_info(struct verdict *verdict, struct bytes json, const char **ret_problem)
{
    struct json_scan scan;
    struct bytes whole;
    struct buf info = {0};
    json_scan_init(&scan, json);
    if (json.length && json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0)
        return verdict_wrong(-EINVAL, "has an info that is no JSON value", ret_problem);
    if (json.length)
        json_add_compact(&info, whole);
    int r = 0;
    if (buf_status(&info) < 0)
        r = verdict_no_memory(ret_problem);
    else if (info.length > VERDICT_INFO_BYTES)
        r = verdict_wrong(-E2BIG, "has an info of more than 1024 bytes", ret_problem);
    if (r < 0) {
        buf_done(&info);
        return r;
    }
    buf_done(&verdict->info);
    verdict->info = info;
    return 0;
}

int verdict_add_groups_json(struct verdict *verdict, struct bytes json, const char **ret_problem)
{
    static const char problem[] = "has groups that are no list of names";
    struct json_scan scan;
    struct bytes item, group;
    struct buf scratch = {0};
    json_scan_init(&scan, json);
    int r = json_enter(&scan, '[');
    while (r == 0 && (r = json_next_element(&scan, JSON_DEPTH_MAX, &item)) == 1) {
        r = json_string(item, &scratch, &group) < 0 ? -EBADMSG : verdict_add_group(verdict, group, ret_problem);
        buf_clear(&scratch);
    }
    buf_done(&scratch);
    return r == -EBADMSG ? verdict_wrong(-EINVAL, problem, ret_problem) : r;
}

int verdict_add_labels_json(struct verdict *verdict, struct bytes json, const char **ret_problem)
{
    static const char problem[] = "has labels that are no object of strings";
    struct json_scan scan;
    struct bytes key, item, name, value;
    struct buf scratch[2] = {0};
    json_scan_init(&scan, json);
    int r = json_enter(&scan, '{');
    while (r == 0 && (r = json_next_member(&scan, JSON_DEPTH_MAX, &key, &item)) == 1) {
        bool is_text = json_string(key, &scratch[0], &name) == 0 && json_string(item, &scratch[1], &value) == 0;
        r = is_text ? verdict_add_label(verdict, name, value, ret_problem) : -EBADMSG;
        buf_clear(&scratch[0]);
        buf_clear(&scratch[1]);
    }
    buf_done(&scratch[0]);
    buf_done(&scratch[1]);
    return r == -EBADMSG ? verdict_wrong(-EINVAL, problem, ret_problem) : r;
}

void verdict_print_labels(const struct verdict *verdict, struct buf *out)
{
    struct bytes rest = buf_bytes(&verdict->labels), name, value;
    if (buf_status(&verdict->labels) < 0)
        buf_fail(out);
    if (rest.length == 0)
        return;
    for (char before = '{'; next_text(&rest, &name) && next_text(&rest, &value); before = ',') {
        buf_add_byte(out, (unsigned char)before);
        json_add_quoted(out, name);
        buf_add_byte(out, ':');
        json_add_quoted(out, value);
    }
    buf_add_byte(out, '}');
}
