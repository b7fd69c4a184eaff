#include "bench/plan.h"

#include <getopt.h> /* NOLINT(misc-include-cleaner): of its parts one is used */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench-load SCENARIO [options]\n"
    "\n"
    "  p2p       -n pairs of a publisher and a subscriber, each pair with its own topic\n"
    "  fanout    one publisher, -n subscribers\n"
    "  fanin     -n publishers, one subscriber\n"
    "  latency   -n pairs; messages at a fixed --rate, whatever the broker does\n"
    "  connect   -n connections at a time: connect, CONNECT, CONNACK, DISCONNECT, close\n"
    "  idle      -n connections are opened and held\n"
    "  shared    -n publishers, -n subscribers in one shared group\n"
    "  subscriptions  --count of them over -n connections, then messages to random ones\n"
    "  retained  --count messages by -n publishers; then some are replaced, all are replayed\n"
    "  wildcards  -n connections with --count filters each, one message matches them all\n"
    "  storm     -n clients connect again at once, beside a fan-out to 1000\n"
    "\n"
    "  --host ADDRESS  --port PORT     (127.0.0.1, 1883)\n"
    "  --unix PATH                     a Unix socket instead\n"
    "  --mqtt 4|5                      protocol version: 3.1.1 or 5.0 (4)\n"
    "  --proxy                         begin with a PROXY protocol header, version 2\n"
    "  --tls                           a full handshake for each connection\n"
    "  --websocket                     MQTT inside WebSocket\n"
    "  --sources                       connect from 127.0.0.2 to 127.0.0.65 in turn\n"
    "  --pid PID                       the broker, to measure its CPU and memory\n"
    "  -n NUMBER                       (100)\n"
    "  --qos 0|1|2                     (0)\n"
    "  --size BYTES                    payload, at least 16 (64)\n"
    "  --window NUMBER                 messages in flight for each publisher (1)\n"
    "  --rate NUMBER                   latency: messages a second (5000)\n"
    "  --seconds N  --warm-up N        measured time, and the time before (2, 0.3)\n"
    "  --count NUMBER                  messages for each publisher, instead of --seconds\n"
    "  --subscribe                     idle: each connection subscribes to its own topic\n"
    "  --exact                         subscriptions: none with wildcards\n"
    "  --patience SECONDS              storm: until a client gives up (40)\n"
    "  --user NAME  --password WORD    log in\n";

enum option_id {
    OPTION_HOST = 256,
    OPTION_PORT,
    OPTION_UNIX,
    OPTION_MQTT,
    OPTION_PROXY,
    OPTION_TLS,
    OPTION_WEBSOCKET,
    OPTION_SOURCES,
    OPTION_PID,
    OPTION_QOS,
    OPTION_SIZE,
    OPTION_WINDOW,
    OPTION_RATE,
    OPTION_SECONDS,
    OPTION_WARM_UP,
    OPTION_COUNT,
    OPTION_SUBSCRIBE,
    OPTION_EXACT,
    OPTION_PATIENCE,
    OPTION_USER,
    OPTION_PASSWORD
};

/* clang-format off */
static const struct option options[] = {
    {"host",      required_argument, NULL, OPTION_HOST},
    {"port",      required_argument, NULL, OPTION_PORT},
    {"unix",      required_argument, NULL, OPTION_UNIX},
    {"mqtt",      required_argument, NULL, OPTION_MQTT},
    {"proxy",     no_argument,       NULL, OPTION_PROXY},
    {"tls",       no_argument,       NULL, OPTION_TLS},
    {"websocket", no_argument,       NULL, OPTION_WEBSOCKET},
    {"sources",   no_argument,       NULL, OPTION_SOURCES},
    {"pid",       required_argument, NULL, OPTION_PID},
    {"qos",       required_argument, NULL, OPTION_QOS},
    {"size",      required_argument, NULL, OPTION_SIZE},
    {"window",    required_argument, NULL, OPTION_WINDOW},
    {"rate",      required_argument, NULL, OPTION_RATE},
    {"seconds",   required_argument, NULL, OPTION_SECONDS},
    {"warm-up",   required_argument, NULL, OPTION_WARM_UP},
    {"count",     required_argument, NULL, OPTION_COUNT},
    {"subscribe", no_argument,       NULL, OPTION_SUBSCRIBE},
    {"exact",     no_argument,       NULL, OPTION_EXACT},
    {"patience",  required_argument, NULL, OPTION_PATIENCE},
    {"user",      required_argument, NULL, OPTION_USER},
    {"password",  required_argument, NULL, OPTION_PASSWORD},
    {NULL,        0,                 NULL, 0},
};
/* clang-format on */

static void fail(void)
{
    fputs(usage, stderr);
    exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    uint64_t value = strtoull(text, &end, 10);

    if (!*text || *end || value < min || value > max) {
        fail();
    }
    return value;
}

static double duration(const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (!*text || *end || value < 0 || value > 86400) {
        fail();
    }
    return value;
}

static void take_option(struct plan *plan, int id, const char *value)
{
    switch (id) {
    case OPTION_HOST: plan->target.host = value; break;
    case OPTION_PORT: plan->target.port = (uint16_t)number(value, 1, UINT16_MAX); break;
    case OPTION_UNIX: plan->target.path = value; break;
    case OPTION_MQTT: plan->target.version = (uint8_t)number(value, 4, 5); break;
    case OPTION_PROXY: plan->target.has_proxy = true; break;
    case OPTION_TLS: plan->target.has_tls = true; break;
    case OPTION_WEBSOCKET: plan->target.is_web = true; break;
    case OPTION_SOURCES: plan->target.has_sources = true; break;
    case OPTION_PID: plan->pid = (pid_t)number(value, 1, INT32_MAX); break;
    case OPTION_QOS: plan->qos = (uint8_t)number(value, 0, 2); break;
    case OPTION_SIZE: plan->payload_size = (uint32_t)number(value, 16, 64u << 20); break;
    case OPTION_WINDOW: plan->window = (uint32_t)number(value, 1, 60000); break;
    case OPTION_RATE: plan->rate = (uint32_t)number(value, 1, 10000000); break;
    case OPTION_SECONDS: plan->seconds = duration(value); break;
    case OPTION_WARM_UP: plan->warm_up = duration(value); break;
    case OPTION_COUNT: plan->count = number(value, 1, UINT32_MAX); break;
    case OPTION_SUBSCRIBE: plan->subscribes = true; break;
    case OPTION_EXACT: plan->is_exact = true; break;
    case OPTION_PATIENCE: plan->patience = duration(value); break;
    case OPTION_USER: plan->target.user = value; break;
    case OPTION_PASSWORD: plan->target.password = value; break;
    case 'n': plan->n = (uint32_t)number(value, 1, 1000000); break;
    default: fail();
    }
}

void plan_parse(struct plan *plan, int argc, char **argv)
{
    int id;

    *plan = (struct plan){
        .target = {.host = "127.0.0.1", .port = 1883, .version = 4},
        .n = 100,
        .payload_size = 64,
        .window = 1,
        .rate = 5000,
        .seconds = 2,
        .warm_up = 0.3,
        .patience = 40,
    };
    while ((id = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
        take_option(plan, id, optarg);
    }
    /* In TLS and WebSocket the header would have to come before what they begin with. */
    if (optind != argc - 1 ||
        plan->target.has_tls + plan->target.is_web + plan->target.has_proxy > 1) {
        fail();
    }
    plan->scenario = argv[optind];
}
