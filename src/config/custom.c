#include "config/custom.h"

#include "config/report.h"
#include "mqtt/topics.h"

#include <inttypes.h>
#include <stdlib.h>

struct word_bit {
    const char *word;
    unsigned bits; /* 0: takes all others back */
};

/* The first word of the text; what stands behind it is left to the caller of the parser. */
static struct slice take_word(struct option_target *target, const char *text)
{
    size_t len = strcspn(text, " ");

    target->rest = text + len + strspn(text + len, " ");
    return slice_of(text, len);
}

static bool is_word(struct slice word, const char *text)
{
    return slice_is_equal(word, slice_of_text(text));
}

static const struct word_bit *find_bit(const struct word_bit *bit, struct slice word)
{
    while (bit->word && !is_word(word, bit->word)) {
        bit++;
    }
    return bit->word ? bit : NULL;
}

/* The first value that is written replaces the default; later ones add to it. */
static void set_bits(struct option_target *target, const struct word_bit *bit, unsigned *bits)
{
    *bits = bit->bits == 0 ? 0 : (target->is_first ? 0 : *bits) | bit->bits;
}

static int complain(struct option_target *target, const char *complaint)
{
    target->complaint = complaint;
    return OPTION_INVALID;
}

static int parse_log_file(struct option_target *target)
{
    struct settings_log *log = &target->settings->log;
    const char *path = target->rest;

    target->rest = NULL;
    if (*path == '\0') {
        return complain(target, "Empty \"log_dest file\" value in configuration.");
    }
    if (!target->is_first && log->file) {
        return complain(target, "Duplicate \"log_dest file\" value.");
    }
    log->file = arena_copy_text(target->arena, path);
    return log->file ? 0 : -ENOMEM;
}

/* clang-format off */
static const struct word_bit destinations[] = {
    {"none",   0                     },
    {"stdout", SETTINGS_LOG_TO_STDOUT},
    {"stderr", SETTINGS_LOG_TO_STDERR},
    {"file",   SETTINGS_LOG_TO_FILE  },
    {"syslog", SETTINGS_LOG_TO_SYSLOG},
    {"topic",  SETTINGS_LOG_TO_TOPICS},
    {0},
};

static const struct word_bit types[] = {
    {"none",        0              },
    {"all",         LOG_ALL        },
    {"error",       LOG_ERROR      },
    {"warning",     LOG_WARNING    },
    {"notice",      LOG_NOTICE     },
    {"information", LOG_INFORMATION},
    {"debug",       LOG_DEBUG      },
    {"subscribe",   LOG_SUBSCRIBE  },
    {"unsubscribe", LOG_UNSUBSCRIBE},
    {"websockets",  LOG_WEBSOCKETS },
    {"internal",    LOG_INTERNAL   },
    {0},
};
/* clang-format on */

/* The words of all bits; the one for none where there is none. */
static void put_words(FILE *out, const struct word_bit *bit, unsigned bits)
{
    const char *separator = "";

    for (; bit->word; bit++) {
        if (bits == bit->bits || (bit->bits != 0 && (bits & bit->bits) == bit->bits)) {
            fprintf(out, "%s%s", separator, bit->word);
            separator = " ";
            bits &= ~bit->bits;
        }
        if (bits == 0) {
            return;
        }
    }
}

/* Those of other systems are known and not built in. */
static int refuse_log_dest(struct option_target *target, struct slice word)
{
    if (is_word(word, "dlt")) {
        return complain(target, "log_dest dlt is not built in.");
    }
    if (is_word(word, "android")) {
        return complain(target, "log_dest android is not built in.");
    }
    return OPTION_INVALID;
}

int custom_parse_log_dest(struct option_target *target, const char *text)
{
    struct slice word = take_word(target, text);
    const struct word_bit *bit = find_bit(destinations, word);

    if (!bit) {
        return refuse_log_dest(target, word);
    }
    if (bit->bits == SETTINGS_LOG_TO_FILE) {
        int r = parse_log_file(target);

        if (r != 0) {
            return r;
        }
    }
    set_bits(target, bit, &target->settings->log.destinations);
    return 0;
}

int custom_parse_log_type(struct option_target *target, const char *text)
{
    const struct word_bit *bit = find_bit(types, take_word(target, text));

    if (!bit) {
        return OPTION_INVALID;
    }
    set_bits(target, bit, &target->settings->log.types);
    return 0;
}

int custom_parse_per_listener(struct option_target *target, const char *text)
{
    struct slice word = take_word(target, text);
    bool is_true = is_word(word, "true") || is_word(word, "1");

    if (!is_true && !is_word(word, "false") && !is_word(word, "0")) {
        return OPTION_INVALID;
    }
    target->settings->clients.per_listener |= is_true;
    return OPTION_OK;
}

static uint64_t seconds_of_unit(char unit)
{
    static const uint64_t day = 86400;

    switch (unit) {
    case 's': return 1;
    case 'h': return 3600;
    case 'd': return day;
    case 'w': return 7 * day;
    case 'm': return 30 * day;
    case 'y': return 365 * day;
    default: return 0;
    }
}

int custom_parse_expiration(struct option_target *target, const char *text)
{
    static const char complaint[] =
        "Invalid persistent_client_expiration duration in configuration.";
    struct slice word = take_word(target, text);
    uint64_t unit = word.len < 2 ? 0 : seconds_of_unit((char)word.data[word.len - 1]);
    long long count;
    char *end;

    errno = 0;
    count = strtoll(text, &end, 10);
    if (unit == 0 || errno != 0 || count < 1 || end != text + word.len - 1) {
        return complain(target, complaint);
    }
    if (__builtin_mul_overflow((uint64_t)count, unit,
                               &target->settings->limits.persistent_client_expiration_s)) {
        return complain(target, complaint);
    }
    return 0;
}

int custom_parse_mount_point(struct option_target *target, const char *text)
{
    static const char complaint[] = "Invalid mount_point '%s'. Does it contain a wildcard "
                                    "character?";
    struct report_excerpt shown = report_excerpt(text);
    size_t size = sizeof(complaint) + strlen(shown.text);
    char *words;

    target->rest = NULL;
    if (mqtt_topic_is_valid(slice_of_text(text))) {
        target->listener->mount_point = arena_copy_text(target->arena, text);
        return target->listener->mount_point ? 0 : -ENOMEM;
    }
    words = arena_alloc(target->arena, size);
    if (!words) {
        return -ENOMEM;
    }
    snprintf(words, size, complaint, shown.text);
    return complain(target, words);
}

int custom_parse_versions(struct option_target *target, const char *text)
{
    unsigned versions = 0;
    const char *at = text;

    target->rest = NULL;
    do {
        at += strspn(at, " ");
        if (*at < '3' || *at > '5') {
            return OPTION_INVALID;
        }
        versions |= SETTINGS_VERSION(*at - '0');
        at++;
        at += strspn(at, " ");
    } while (*at++ == ',');
    if (at[-1] != '\0') {
        return OPTION_INVALID;
    }
    target->listener->accept_versions = versions;
    return OPTION_OK;
}

/* Room for one more behind `len`: an array doubles whenever its length is a power of two. */
static void *grow(void *array, unsigned len, size_t size, struct arena *arena)
{
    void *larger;

    if ((len & (len - 1)) != 0) {
        return array;
    }
    larger = arena_alloc_array(arena, len == 0 ? 1 : 2 * (size_t)len, size);
    if (larger && len > 0) {
        memcpy(larger, array, len * size);
    }
    return larger;
}

static int add_range(struct option_target *target, const char *text, struct address_range **ranges,
                     unsigned *len)
{
    char *word = arena_copy(target->arena, take_word(target, text));
    struct address_range range;
    struct address_range *larger;
    enum address_verdict verdict;

    if (!word) {
        return -ENOMEM;
    }
    verdict = address_range_parse(word, &range);
    if (verdict != ADDRESS_OK) {
        target->reason = address_complaint(verdict);
        return OPTION_INVALID;
    }
    larger = grow(*ranges, *len, sizeof(range), target->arena);
    if (!larger) {
        return -ENOMEM;
    }
    *ranges = larger;
    larger[(*len)++] = range;
    return 0;
}

int custom_parse_proxy_trusted(struct option_target *target, const char *text)
{
    struct settings_proxy *proxy = &target->listener->proxy;

    return add_range(target, text, &proxy->trusted, &proxy->trusted_len);
}

int custom_parse_forwarded_trusted(struct option_target *target, const char *text)
{
    struct settings_http *http = &target->listener->http;

    return add_range(target, text, &http->proxies, &http->proxy_len);
}

/* The NULL behind the last one counts as one more. */
int custom_parse_websockets_origin(struct option_target *target, const char *text)
{
    struct settings_http *http = &target->listener->http;
    const char **larger = http->origins;

    target->rest = NULL;
    if (!larger) {
        larger = grow(NULL, 0, sizeof(*larger), target->arena);
    }
    if (larger) {
        larger = grow(larger, http->origin_len + 1, sizeof(*larger), target->arena);
    }
    if (!larger) {
        return -ENOMEM;
    }
    http->origins = larger;
    larger[http->origin_len] = arena_copy_text(target->arena, text);
    if (!larger[http->origin_len]) {
        return -ENOMEM;
    }
    larger[++http->origin_len] = NULL;
    return 0;
}

void custom_format_log_dest(const struct option_source *source, FILE *out)
{
    const struct settings_log *log = &source->settings->log;

    put_words(out, destinations, log->destinations);
    if ((log->destinations & SETTINGS_LOG_TO_FILE) != 0) {
        fprintf(out, " %s", log->file);
    }
}

void custom_format_log_type(const struct option_source *source, FILE *out)
{
    put_words(out, types, source->settings->log.types);
}

void custom_format_per_listener(const struct option_source *source, FILE *out)
{
    fputs(source->settings->clients.per_listener ? "true" : "false", out);
}

void custom_format_expiration(const struct option_source *source, FILE *out)
{
    uint64_t seconds = source->settings->limits.persistent_client_expiration_s;

    if (seconds > 0) {
        fprintf(out, "%" PRIu64 "s", seconds);
    }
}

void custom_format_versions(const struct option_source *source, FILE *out)
{
    const char *separator = "";

    for (unsigned version = 3; version <= 5; version++) {
        if ((source->listener->accept_versions & SETTINGS_VERSION(version)) != 0) {
            fprintf(out, "%s%u", separator, version);
            separator = ",";
        }
    }
}

static void put_ranges(FILE *out, const struct address_range *ranges, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        char text[ADDRESS_TEXT_CAP] = "unix";

        if (ranges[i].network.family == ADDRESS_UNIX) {
            fprintf(out, "%s%s", i > 0 ? " " : "", text);
            continue;
        }
        address_format(&ranges[i].network, text);
        fprintf(out, "%s%s/%u", i > 0 ? " " : "", text, ranges[i].prefix_len);
    }
}

void custom_format_proxy_trusted(const struct option_source *source, FILE *out)
{
    const struct settings_proxy *proxy = &source->listener->proxy;

    put_ranges(out, proxy->trusted, proxy->trusted_len);
}

void custom_format_forwarded_trusted(const struct option_source *source, FILE *out)
{
    const struct settings_http *http = &source->listener->http;

    put_ranges(out, http->proxies, http->proxy_len);
}

void custom_format_websockets_origin(const struct option_source *source, FILE *out)
{
    const struct settings_http *http = &source->listener->http;

    for (unsigned i = 0; i < http->origin_len; i++) {
        fprintf(out, "%s%s", i > 0 ? " " : "", http->origins[i]);
    }
}
