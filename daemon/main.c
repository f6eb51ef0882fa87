/*
 * rtcd: arguments. What runs is daemon.c's.
 */
#include "daemon/admin/parts.h"
#include "daemon/auth/auth.h"
#include "daemon/certificates.h"
#include "daemon/config/config_file.h"
#include "daemon/daemon.h"
#include "daemon/hook/webhook_keys.h"
#include "daemon/plugin/plugins.h"
#include "lib/log.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>

enum { OVERRIDES_MAX = 128 };

struct command_line {
    struct daemon_arguments daemon;
    const char *overrides[OVERRIDES_MAX];
    bool checks;
};

static void print_help(void)
{
    printf("Usage: rtcd [OPTION]...\n"
           "Carry events in real time between programs and their clients.\n\n"
           "  -c, --config FILE      read FILE (default: %s)\n"
           "      --no-config        read no file; start from the defaults\n"
           "  -s, --set OPTION=VALUE set an option after the file was read; may be repeated\n"
           "      --check            read and check the config, say what is wrong, and exit\n"
           "      --dumpable         let core files and debuggers see its memory, secrets too\n"
           "      --print-sample     print a config with every option at its default, and exit\n"
           "  -h, --help             show this help\n"
           "  -V, --version          show the version, and those of the libraries in use\n\n"
           "rtcd(8) says more, rtcd.yaml(5) lists the options, rtcctl(1) drives a running rtcd.\n", RTCD_CONFIG_PATH);
}

static void print_version(void)
{
    struct part_version part;
    for (size_t i = 0; (part = part_version(i)).name; i++)
        printf("%s %s\n", part.name, part.version);
}

static void print_sample(void)
{
    struct buf sample = {0};
    config_print_sample(&sample);
    fwrite(sample.data, 1, sample.length, stdout);
    buf_done(&sample);
}

/* The exit status of whoever has printed what was asked for. */
static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EX_OK;
    fputs("rtcd: standard output cannot be written\n", stderr);
    return EX_IOERR;
}

/* -1: go on; else an exit status. */
static int read_arguments(int argc, char **argv, struct command_line *ret)
{
    enum { NO_CONFIG = 256, CHECK, DUMPABLE, PRINT_SAMPLE };
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'}, {"no-config", no_argument, NULL, NO_CONFIG},
        {"set", required_argument, NULL, 's'},    {"check", no_argument, NULL, CHECK},
        {"dumpable", no_argument, NULL, DUMPABLE}, {"print-sample", no_argument, NULL, PRINT_SAMPLE},
        {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'V'},
        {0},
    };
    ret->daemon = (struct daemon_arguments){.config_path = RTCD_CONFIG_PATH, .overrides = ret->overrides};
    int letter;
    while ((letter = getopt_long(argc, argv, "c:s:hV", long_options, NULL)) >= 0) {
        switch (letter) {
        case 'c':
            ret->daemon.config_path = optarg;
            break;
        case 's':
            if (ret->daemon.override_count == OVERRIDES_MAX) {
                fprintf(stderr, "rtcd: --set can be given %d times\n", OVERRIDES_MAX);
                return EX_USAGE;
            }
            ret->overrides[ret->daemon.override_count++] = optarg;
            break;
        case NO_CONFIG:
            ret->daemon.config_path = NULL;
            break;
        case CHECK:
            ret->checks = true;
            break;
        case DUMPABLE:
            ret->daemon.is_dumpable = true;
            break;
        case PRINT_SAMPLE:
            print_sample();
            return printed();
        case 'h':
            print_help();
            return printed();
        case 'V':
            print_version();
            return printed();
        default:
            fprintf(stderr, "Try 'rtcd --help'.\n");
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "rtcd: \"%s\" is not expected. Try 'rtcd --help'.\n", argv[optind]);
        return EX_USAGE;
    }
    return -1;
}

static int check_config(const struct daemon_arguments *arguments)
{
    struct config *config = NULL;
    struct buf problems = {0};
    int r = config_load(arguments->config_path, arguments->overrides, arguments->override_count, &config, &problems);
    if (r == 0)
        r = auth_load(config, NULL, &problems);
    if (r == 0)
        r = webhook_keys_load(config, &problems);
    if (r == 0)
        r = certificates_check(config, &problems);
    if (r == 0)
        r = plugins_check(config, &problems);
    if (r < 0)
        fputs(problems.length ? buf_text(&problems) : "out of memory\n", stderr);
    else
        printf("%s: the config is right\n", arguments->config_path ? arguments->config_path : "defaults");
    config_unref(config);
    buf_done(&problems);
    return r < 0 ? EX_CONFIG : printed();
}

int main(int argc, char **argv)
{
    struct command_line line = {0};
    int status = read_arguments(argc, argv, &line);
    if (status >= 0)
        return status;
    if (line.checks)
        return check_config(&line.daemon);
    /* Until the config says otherwise. */
    prctl(PR_SET_DUMPABLE, 0);
    log_start();
    return daemon_run(&line.daemon);
}
