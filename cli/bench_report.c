/*
 * Bench report: a result for people (figures and a histogram that fits the terminal) or as one object for programs.
 */
#include "cli/bench.h"
#include "cli/render.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80, BAR_MAX = 100, BUSY_PERCENT = 90, BUSY_NS = 500000000, STEPS_MAX = 128 };

static const struct { const char *name; unsigned per_mille; } percentiles[] = {
    {"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}, {"max", 1000},
};

static uint64_t per_second(uint64_t count, uint64_t ns)
{
    return ns ? (uint64_t)((double)count * 1e9 / (double)ns + 0.5) : 0;
}

/* Of the time of publishing. */
static uint64_t percent(const struct bench_result *result, uint64_t ns)
{
    return result->publish_ns ? (uint64_t)((double)ns * 100 / (double)result->publish_ns + 0.5) : 0;
}

/* Edges of the histogram's rows: six in each decade. Returns how many rows there are between the extremes. */
static unsigned make_steps(const struct histogram *histogram, uint64_t ret_edges[static STEPS_MAX])
{
    static const unsigned tenths[] = {10, 15, 20, 30, 50, 70};
    uint64_t decade = 100;
    unsigned count = 0;
    while (decade < UINT64_MAX / 1000) {
        for (size_t i = 0; i < COUNT_OF(tenths) && count < STEPS_MAX; i++) {
            uint64_t edge = decade * tenths[i] / 10;
            /* From the last edge that nothing is below, to the first that nothing is beyond. */
            if (edge <= histogram->min)
                count = 0;
            ret_edges[count++] = edge;
            if (edge > histogram->max)
                return count - 1;
        }
        decade *= 10;
    }
    return count - 1;
}

static uint64_t count_between(const struct histogram *histogram, uint64_t from, uint64_t to)
{
    return histogram_up_to(histogram, to) - histogram_up_to(histogram, from);
}

static void add_latency(struct json_writer *json, const struct histogram *histogram)
{
    uint64_t edges[STEPS_MAX];
    unsigned steps = make_steps(histogram, edges);
    json_key(json, "latencyNs");
    json_begin_object(json);
    for (size_t i = 0; i < COUNT_OF(percentiles); i++) {
        json_key(json, percentiles[i].name);
        json_add_uint(json, histogram_percentile(histogram, percentiles[i].per_mille));
    }
    json_end_object(json);
    json_key(json, "histogramNs");
    json_begin_array(json);
    for (unsigned i = 0; i < steps && histogram->count; i++) {
        json_begin_array(json);
        json_add_uint(json, edges[i]);
        json_add_uint(json, edges[i + 1]);
        json_add_uint(json, count_between(histogram, i ? edges[i] : 0, edges[i + 1]));
        json_end_array(json);
    }
    json_end_array(json);
}

static int report_object(const struct invocation *invocation, const struct bench_settings *settings, const struct bench_result *result)
{
    const struct { const char *name; uint64_t value; } numbers[] = {
        {"connections", result->opened}, {"connectionsLost", result->connections_lost}, {"openNs", result->open_ns},
        {"publishers", settings->publishers}, {"dataBytes", settings->data_bytes}, {"rateWanted", settings->rate},
        {"published", result->published}, {"publishedRate", per_second(result->published, result->publish_ns)},
        {"unsent", result->unsent}, {"publishNs", result->publish_ns},
        {"delivered", result->delivered}, {"deliveredRate", per_second(result->delivered, result->deliver_ns)},
        {"receivedBytes", result->received_bytes}, {"receivedBytesRate", per_second(result->received_bytes, result->deliver_ns)},
        {"lost", result->expected - result->delivered}, {"doubled", result->doubled}, {"outOfOrder", result->late},
        {"cpuPercent", percent(result, result->cpu_ns)}, {"cpuWaitPercent", percent(result, result->cpu_wait_ns)},
    };
    struct buf text = {0};
    struct json_writer json = json_writer(&text);
    json_begin_object(&json);
    json_key(&json, "url");
    json_add_text(&json, settings->url);
    json_key(&json, "protocol");
    json_add_text(&json, settings->is_msgpack ? "msgpack" : "json");
    json_key(&json, "group");
    json_add_text(&json, settings->group);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        json_key(&json, numbers[i].name);
        /* No rate was wanted but the highest. */
        if (strcmp(numbers[i].name, "rateWanted") == 0 && numbers[i].value == 0)
            json_add_text(&json, "max");
        else
            json_add_uint(&json, numbers[i].value);
    }
    add_latency(&json, &result->latency_ns);
    json_end_object(&json);
    int status = buf_status(&text) == 0 ? render_object(invocation, buf_bytes(&text)) : EX_OSERR;
    buf_done(&text);
    return status;
}

/* For people. */

struct look {
    const char *micro, *bar;            /* what the terminal's character set has */
    int width;
};

static struct look look_of_terminal(void)
{
    struct winsize size;
    setlocale(LC_CTYPE, "");
    bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    bool has_width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (struct look){is_utf8 ? "µs" : "us", is_utf8 ? "█" : "#", has_width ? size.ws_col : WIDTH_DEFAULT};
}

/* Three digits that count: "210 µs", "1.52 ms". Returns a place in `room`. */
static const char *time_text(const struct look *look, uint64_t ns, char room[static 32])
{
    const struct { uint64_t ns; const char *unit; } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, look->micro}, {1, "ns"}};
    size_t unit = 0;
    while (unit + 1 < COUNT_OF(units) && ns < units[unit].ns)
        unit++;
    double value = (double)ns / (double)units[unit].ns;
    snprintf(room, 32, "%.*f %s", units[unit].ns == 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2, value, units[unit].unit);
    return room;
}

/* printf pads by bytes, and µ has two. */
static int padding(const char *text, int width)
{
    for (; *text; text++)
        width -= (*text & 0xc0) != 0x80;
    return MAX(width, 0);
}

static void print_histogram(const struct look *look, const struct histogram *histogram)
{
    uint64_t edges[STEPS_MAX], highest = 1;
    unsigned steps = make_steps(histogram, edges);
    int bar_width = MAX(MIN(look->width - 32, BAR_MAX), 4);
    for (unsigned i = 0; i < steps; i++)
        highest = MAX(highest, count_between(histogram, i ? edges[i] : 0, edges[i + 1]));
    for (unsigned i = 0; i < steps; i++) {
        char room[32];
        uint64_t count = count_between(histogram, i ? edges[i] : 0, edges[i + 1]);
        const char *upper = time_text(look, edges[i + 1], room);
        int bar = (int)((double)count / (double)highest * bar_width + 0.5);
        printf("  up to %*s%s %7.3f %%%s", padding(upper, 8), "", upper, (double)count * 100 / (double)histogram->count, bar ? " " : "");
        while (bar-- > 0)
            printf("%s", look->bar);
        printf("\n");
    }
}

static void print_figures(const struct look *look, const struct bench_settings *settings, const struct bench_result *result)
{
    char room[32];
    printf("target        %s\n", settings->url);
    printf("connections   %llu (%s) opened in %s, %llu lost; %llu published\n", (unsigned long long)result->opened,
           settings->is_msgpack ? "msgpack" : "json", time_text(look, result->open_ns, room),
           (unsigned long long)result->connections_lost, (unsigned long long)settings->publishers);
    printf("published     %llu messages of %llu bytes in %s: %llu/s\n", (unsigned long long)result->published,
           (unsigned long long)settings->data_bytes, time_text(look, result->publish_ns, room),
           (unsigned long long)per_second(result->published, result->publish_ns));
    printf("delivered     %llu: %llu/s, %.1f MB/s\n", (unsigned long long)result->delivered,
           (unsigned long long)per_second(result->delivered, result->deliver_ns),
           (double)per_second(result->received_bytes, result->deliver_ns) / 1e6);
    printf("trouble       %llu lost, %llu doubled, %llu out of order\n", (unsigned long long)(result->expected - result->delivered),
           (unsigned long long)result->doubled, (unsigned long long)result->late);
    printf("this rtcctl   used %llu %% of a core, and waited for one %llu %% of the time\n",
           (unsigned long long)percent(result, result->cpu_ns), (unsigned long long)percent(result, result->cpu_wait_ns));
    if (result->latency_ns.count) {
        static const char *const titles[] = {"p50", "p90", "p99", "p99.9", "max"};
        printf("latency     ");
        for (size_t i = 0; i < COUNT_OF(percentiles); i++)
            printf("  %s %s", titles[i], time_text(look, histogram_percentile(&result->latency_ns, percentiles[i].per_mille), room));
        printf("\n\n");
    }
}

static int report_text(const struct bench_settings *settings, const struct bench_result *result)
{
    struct look look = look_of_terminal();
    print_figures(&look, settings, result);
    if (result->latency_ns.count)
        print_histogram(&look, &result->latency_ns);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

int bench_report(const struct invocation *invocation, const struct bench_settings *settings, const struct bench_result *result)
{
    bool is_table = invocation->format == OUTPUT_TABLE || (invocation->format == OUTPUT_AUTO && isatty(STDOUT_FILENO));
    int status = is_table ? report_text(settings, result) : report_object(invocation, settings, result);
    if (result->unsent)
        fprintf(stderr, "rtcctl: %llu messages were due and not sent: the daemon took them too slowly, or rtcctl was too busy\n",
                (unsigned long long)result->unsent);
    if (result->connections_lost == 0 && result->publish_ns >= BUSY_NS && percent(result, result->cpu_ns + result->cpu_wait_ns) >= BUSY_PERCENT)
        fprintf(stderr, "rtcctl: the figures say more about rtcctl than about the daemon, because it %s. Ask for less, or run it on "
                "another machine\n", result->cpu_ns >= result->cpu_wait_ns ? "used up its core" : "had to wait for a core");
    return status;
}
