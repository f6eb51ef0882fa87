/*
 * reply: the answer to an event that came to some handler, by its number.
 */
#include "cli/commands.h"
#include "cli/input.h"

int command_reply(const struct invocation *invocation, struct session *session)
{
    static const char *const skip[] = {"data", NULL};
    const char *text = arguments_value(invocation, "data");
    struct buf raw = {0}, value = {0}, data = {0};
    struct reply reply = {0};
    int status = text ? input_read(text, &raw) : 0;
    if (status == 0 && text)
        status = input_check_json(buf_bytes(&raw), &value);
    if (status == 0) {
        struct json_writer json = json_writer(&data);
        json_begin_object(&json);
        command_add_arguments(invocation, skip, &json);
        json_key(&json, "data");
        json_add_raw(&json, buf_bytes(&value));
        json_end_object(&json);
        status = session_call(session, "reply", buf_bytes(&data), &reply);
    }
    reply_done(&reply);
    buf_done(&raw);
    buf_done(&value);
    buf_done(&data);
    return status;
}
