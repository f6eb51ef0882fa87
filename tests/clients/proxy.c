/*
 * Proxy: listens, finds the place that a client came to, and takes commands, one a line on standard input, each answered by
 * one line of JSON. See proxy.h. The end of standard input is the proxy's end.
 *
 *   proxy DAEMON-PORT                                      prints {"port": P}
 *   plan ADDRESS up|down OFFSET reset|end|half|stall       once, when so many bytes have gone that way, from now on
 *   now ADDRESS up|down reset|end|half|stall               to all links that are open; answers {"links": how many that were}
 *   manner ADDRESS plain|no-upgrade|mute|buffer|refuse|late    of what is asked from now on
 *   usual MANNER                                           of places that nobody has come to yet
 *   count ADDRESS                                          {"up": BYTES, "down": BYTES, "opened": N, "open": N, "damaged": N}
 *   forget                                                 places without links are as if nobody had ever come
 */
#include "lib/table.h"
#include "lib/text.h"
#include "tests/clients/proxy.h"

#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512, ADDRESS_ENCODED = 1 << 23, OFFSET_BITS = 20 };

static const char *const damage_names[] = {"", "reset", "end", "half", "stall"};
static const char *const manner_names[] = {"plain", "no-upgrade", "mute", "buffer", "refuse", "late"};
static const char *const direction_names[] = {"up", "down"};

static struct bytes place_key(const void *entry)
{
    return bytes_of(&((const struct place *)entry)->address, sizeof(uint32_t));
}

static struct place *place_at(const struct proxy *proxy, struct table *places, uint32_t address)
{
    struct place *place = table_find(places, bytes_of(&address, sizeof(address)));
    if (place)
        return place;
    place = calloc(1, sizeof(*place));
    if (!place)
        errx(1, "out of memory");
    place->address = address;
    place->manner = proxy->usual;
    list_init(&place->links);
    if (address & ADDRESS_ENCODED) {
        place->direction = address >> (OFFSET_BITS + 2) & 1 ? DOWN : UP;
        place->damage = DAMAGE_RESET + (address >> OFFSET_BITS & 3);
        place->offset = address & ((1 << OFFSET_BITS) - 1);
    }
    if (table_insert(places, place) < 0)
        errx(1, "out of memory");
    return place;
}

static void forget(struct table *places)
{
    struct place **idle = calloc(table_count(places) + 1, sizeof(*idle));
    size_t count = 0, slot = 0;
    for (struct place *place; (place = table_each(places, &slot));) {
        if (list_is_empty(&place->links))
            idle[count++] = place;
    }
    for (size_t i = 0; i < count; i++)
        free(table_remove(places, place_key(idle[i])));
    free(idle);
}

static int word_index(const char *word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word && *names[i] && strcmp(word, names[i]) == 0)
            return (int)i;
    }
    errx(1, "%s is no word that is known here", word ? word : "nothing");
}

static void count_place(const struct place *place)
{
    unsigned open = 0;
    LIST_EACH(node, &place->links)
        open++;
    printf("{\"up\": %" PRIu64 ", \"down\": %" PRIu64 ", \"opened\": %u, \"open\": %u, \"damaged\": %u}\n", place->bytes[UP],
           place->bytes[DOWN], place->opened, open, place->damaged);
}

static void damage_now(struct proxy *proxy, struct place *place, enum direction direction, enum damage damage)
{
    unsigned count = 0;
    LIST_EACH(node, &place->links) {
        struct link *link = CONTAINER_OF(node, struct link, node);
        if (link->is_stalled)
            continue;
        link_damage(proxy, link, direction, damage);
        count++;
    }
    printf("{\"links\": %u}\n", count);
}

static void command(struct proxy *proxy, struct table *places, char *line)
{
    char *rest = line, *words[5] = {NULL};
    struct in_addr address = {0};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        words[i] = strtok_r(i ? NULL : line, " \n", &rest);
    if (!words[0])
        errx(1, "a command is empty");
    if (strcmp(words[0], "forget") == 0) {
        forget(places);
        printf("{}\n");
        return;
    }
    if (strcmp(words[0], "usual") == 0) {
        proxy->usual = (enum manner)word_index(words[1], manner_names, COUNT_OF(manner_names));
        printf("{}\n");
        return;
    }
    if (!words[1] || inet_pton(AF_INET, words[1], &address) != 1)
        errx(1, "%s: an address is missing", words[0]);
    struct place *place = place_at(proxy, places, ntohl(address.s_addr));
    if (strcmp(words[0], "plan") == 0) {
        place->direction = (enum direction)word_index(words[2], direction_names, COUNT_OF(direction_names));
        place->offset = place->bytes[place->direction] + (words[3] ? strtoull(words[3], NULL, 10) : 0);
        place->damage = (enum damage)word_index(words[4], damage_names, COUNT_OF(damage_names));
        printf("{}\n");
    } else if (strcmp(words[0], "now") == 0) {
        damage_now(proxy, place, (enum direction)word_index(words[2], direction_names, COUNT_OF(direction_names)),
                   (enum damage)word_index(words[3], damage_names, COUNT_OF(damage_names)));
    } else if (strcmp(words[0], "manner") == 0) {
        place->manner = (enum manner)word_index(words[2], manner_names, COUNT_OF(manner_names));
        printf("{}\n");
    } else if (strcmp(words[0], "count") == 0) {
        count_place(place);
    } else {
        errx(1, "%s is no command", words[0]);
    }
}

/* False: standard input has ended. */
static bool read_commands(struct proxy *proxy, struct table *places, struct buf *input)
{
    unsigned char *room = buf_room(input, 4096);
    ssize_t length = room ? read(STDIN_FILENO, room, 4096) : -1;
    if (length <= 0)
        return false;
    input->length += (size_t)length;
    for (unsigned char *end; (end = memchr(input->data, '\n', input->length));) {
        *end = '\0';
        size_t line = (size_t)(end - input->data) + 1;
        command(proxy, places, (char *)input->data);
        buf_consume(input, line);
    }
    fflush(stdout);
    return true;
}

static void accept_all(struct proxy *proxy, struct table *places, int listener)
{
    for (;;) {
        struct sockaddr_in own;
        socklen_t length = sizeof(own);
        int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (descriptor < 0 || getsockname(descriptor, (struct sockaddr *)&own, &length) < 0)
            err(1, "accept");
        if (ntohl(own.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
            link_open(proxy, place_at(proxy, places, ntohl(own.sin_addr.s_addr)), descriptor);
        else
            close(descriptor);
    }
}

/* On all addresses, but for this machine alone. */
static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) < 0
        || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 4096) < 0
        || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "listen");
    printf("{\"port\": %u}\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void end(struct proxy *proxy, struct table *places, struct buf *input)
{
    size_t slot = 0;
    for (struct place *place; (place = table_each(places, &slot));) {
        LIST_EACH(node, &place->links)
            link_free(CONTAINER_OF(node, struct link, node));
    }
    LIST_EACH(node, &proxy->dead)
        link_free(CONTAINER_OF(node, struct link, node));
    forget(places);
    table_done(places);
    buf_done(input);
}

static void watch(int epoll, int descriptor, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        err(1, "epoll_ctl");
}

int main(int argc, char **argv)
{
    struct sockaddr_in daemon_address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct proxy proxy = {.epoll = epoll_create1(EPOLL_CLOEXEC), .daemon = &daemon_address};
    struct table_seed seed = {0};
    struct table places;
    struct buf input = {0};
    struct rlimit limit;
    struct epoll_event events[EVENTS_AT_ONCE];
    if (argc != 2)
        errx(2, "usage: proxy DAEMON-PORT");
    daemon_address.sin_port = htons((uint16_t)atoi(argv[1]));
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    list_init(&proxy.dead);
    table_init(&places, &seed, place_key);
    int listener = open_listener();
    watch(proxy.epoll, listener, &listener);
    watch(proxy.epoll, STDIN_FILENO, &input);
    for (;;) {
        int count = epoll_wait(proxy.epoll, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener)
                accept_all(&proxy, &places, listener);
            else if (events[i].data.ptr != &input)
                link_on_event(&proxy, events[i].data.ptr, events[i].events);
            else if (!read_commands(&proxy, &places, &input)) {
                end(&proxy, &places, &input);
                return 0;
            }
        }
        LIST_EACH(node, &proxy.dead)
            link_free(CONTAINER_OF(node, struct link, node));
    }
}
