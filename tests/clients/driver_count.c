/*
 * Driver count: the command count, in which a client sends numbers to its group and keeps what comes back.
 */
#include "tests/clients/driver.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

static void send_next(struct client *client)
{
    struct rtc_target to = {.kind = RTC_TO_GROUP, .name = client->count.group};
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)++client->count.sent);
    if (rtc_send_to(client->rtc, &to, "number", number) != RTC_OK)
        say_refused(client, "count", rtc_error(client->rtc));
}

static void send_more(struct client *client)
{
    struct count *count = &client->count;
    if (count->numbers_count < count->sent)
        return;
    for (uint64_t i = 0; i < count->window && count->sent < count->to; i++)
        send_next(client);
    if (count->numbers_count && count->numbers[count->numbers_count - 1] == count->to)
        send_next(client);
}

static void on_number(struct rtc_client *rtc, const struct rtc_message *message, void *argument)
{
    struct client *client = argument;
    struct count *count = &client->count;
    if (count->numbers_count == count->numbers_room) {
        count->numbers_room = count->numbers_room * 2 + 64;
        count->numbers = reallocarray(count->numbers, count->numbers_room, sizeof(*count->numbers));
    }
    uint64_t number = strtoull(message->json, NULL, 10);
    count->numbers[count->numbers_count++] = number;
    if (number == count->to + 1)
        say_counted(client);
    else
        send_more(client);
}

static void on_joined(struct rtc_client *rtc, const struct rtc_error *error, const char *json, void *argument)
{
    if (error->code)
        say_refused(argument, "count", error);
    else
        send_more(argument);
}

void count_start(struct client *client, struct bytes command)
{
    struct count *count = &client->count;
    if (client->is_counting)
        errx(1, "%s counts already", client->id);
    client->is_counting = true;
    count->group = member_text(command, "group");
    count->to = member_uint(command, "to", 0);
    count->window = member_uint(command, "window", 1);
    if (rtc_on(client->rtc, "number", on_number, client) != RTC_OK
        || rtc_join(client->rtc, count->group, NULL, on_joined, client) != RTC_OK)
        say_refused(client, "count", rtc_error(client->rtc));
}

void count_done(struct count *count)
{
    free(count->group);
    free(count->numbers);
}
