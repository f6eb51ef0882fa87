/*
 * Load of programs on the server's side: publishing by HTTP, and asking for what a group remembers.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>

enum { QUIET_MS = 300 };

/* Each publisher posts again when its last request is answered. */
struct posting {
    struct buf request;
    uint64_t left, answered, until_ns;
    uint32_t under_way;
};

static void post(struct client *client, struct posting *posting)
{
    posting->left--;
    posting->under_way++;
    client_send_raw(client, buf_bytes(&posting->request));
}

static void on_answer(struct client *client, struct bytes body, void *argument)
{
    struct posting *posting = argument;
    if (memmem(body.data, body.length, "\"error\"", 7))
        errx(1, "a publish was refused: %.*s", (int)body.length, (const char *)body.data);
    posting->answered++;
    posting->under_way--;
    if (posting->left && measure_now_ns() < posting->until_ns)
        post(client, posting);
    else
        posting->left = 0;
}

/* Returns how many requests were answered. What comes for the members is waited for, as long as something does. */
static uint64_t post_all(struct load *load, const struct settings *settings, struct posting *posting, uint64_t requests)
{
    uint64_t whole = load->messages, batch = settings->speech->has_batches ? settings->batch : 1;
    posting->left = requests;
    posting->answered = 0;
    posting->until_ns = measure_now_ns() + settings->limit_ms * 1000000ull;
    load->on_answer = on_answer;
    load->argument = posting;
    for (uint32_t i = 0; i < settings->publishers && posting->left; i++)
        post(&load->clients[settings->clients + i], posting);
    while (posting->under_way) {
        if (!load_turn(load))
            errx(1, "%" PRIu64 " of %" PRIu64 " requests were answered, and nothing more happens", posting->answered, requests);
    }
    whole += posting->answered * batch * settings->clients;
    while (load->messages < whole && load_wait(load, QUIET_MS))
        ;
    return posting->answered;
}

/* Of what was published, how much did not reach the members? */
void load_api(const struct settings *settings)
{
    struct load load;
    struct posting posting = {.left = 0};
    if (!settings->speech->add_post)
        errx(64, "%s: no such speech for publishing by HTTP", settings->speech->name);
    uint64_t batch = settings->speech->has_batches ? settings->batch : 1;
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients + settings->publishers);
    load_open_members(&load, settings, false);
    for (uint32_t i = 0; i < settings->publishers; i++)
        load_add(&load, speech_find("post"), (struct role){.group = GROUP_NONE, .to = GROUP_NONE});
    load_open(&load, settings->clients, settings->publishers, settings->at_once);
    settings->speech->add_post(&posting.request, 0, load_data(settings), settings->batch, settings->key);

    post_all(&load, settings, &posting, WARM_UP_MESSAGES + settings->publishers);
    uint64_t before = load.messages, start_ns = measure_now_ns();
    struct cpu cpu = measure_cpu(&settings->servers);
    uint64_t published = post_all(&load, settings, &posting, settings->messages / batch) * batch;
    double used = (double)(measure_cpu_ns(&settings->servers) - cpu.all_ns), took = (double)(measure_now_ns() - start_ns);
    double wanted = (double)(published * settings->clients), lost = wanted - (double)(load.messages - before);
    printf("{\"published_a_cpu_second\": %.0f, \"cpu_ns\": %.1f, \"rate\": %.0f, \"lost_percent\": %.2f}\n", (double)published * 1e9 / used,
           used / (double)published, (double)published * 1e9 / took, lost * 100 / wanted);
    buf_done(&posting.request);
    load_done(&load);
}

/* Each client asks again when it has what it asked for. */
struct asking {
    uint64_t left;
};

static void ask(struct client *client)
{
    char name[GROUP_NAME + 1];
    struct buf request = {0};
    group_name(0, name);
    buf_add_format(&request, "{\"eventName\":\"rtc.history\",\"id\":1,\"data\":{\"group\":\"%s\",\"limit\":100}}", name);
    client_send(client, WS_TEXT, buf_bytes(&request));
    buf_done(&request);
}

static void ask_again(struct client *client, void *argument)
{
    struct asking *asking = argument;
    if (asking->left == 0)
        return;
    asking->left--;
    ask(client);
}

/* Clients that are in no group ask for the last hundred envelopes of one. */
void load_history(const struct settings *settings)
{
    struct load load;
    struct asking asking = {.left = 0};
    uint32_t remembered = 100;
    load_init(&load, settings->port, settings->is_tls, settings->bytes * remembered, settings->clients + 1);
    for (uint32_t i = 0; i < settings->clients; i++)
        load_add(&load, settings->speech, (struct role){.group = GROUP_NONE, .to = GROUP_NONE});
    load_open(&load, 0, settings->clients, settings->at_once);
    struct client *publisher = load_open_publisher(&load, settings);
    for (uint32_t i = 0; i < remembered; i++)
        client_publish(publisher, 0, load_data(settings));
    /* A link's requests are answered in order, so this comes when all are remembered. */
    ask(publisher);
    while (load.messages == 0)
        if (!load_turn(&load))
            errx(1, "the group's history is not told");

    uint64_t start = load.messages, start_ns = measure_now_ns();
    struct cpu cpu = measure_cpu(&settings->servers);
    asking.left = settings->messages;
    load.on_message = ask_again;
    load.argument = &asking;
    for (uint32_t i = 0; i < settings->clients && asking.left; i++)
        ask_again(&load.clients[i], &asking);
    while (load.messages - start < settings->messages)
        if (!load_turn(&load))
            errx(1, "%" PRIu64 " of %u questions were answered, and nothing more happens", load.messages - start, settings->messages);
    double used = (double)(measure_cpu_ns(&settings->servers) - cpu.all_ns), took = (double)(measure_now_ns() - start_ns);
    printf("{\"reads_a_cpu_second\": %.0f, \"cpu_ns\": %.1f, \"rate\": %.0f}\n", settings->messages * 1e9 / used,
           used / settings->messages, settings->messages * 1e9 / took);
    load_done(&load);
}
