#include "config/reader.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "config/custom.h"
#include "config/files.h"
#include "config/listeners.h"
#include "config/values.h"

/*
 * A line is a name, spaces, and a value that reaches to the end of the line. A listener's option
 * belongs to the latest `listener` of the same file; before any, to the default listener.
 *
 * Everything that lives only while reading is in the scratch arena, except the text of a file,
 * which is freed with its frame on the stack.
 */

/* The path of a Unix socket and its terminator have 108 bytes in the kernel. */
#define UNIX_PATH_MAX 107

struct reader {
    const struct config_request *request;
    const struct report *report;
    struct settings *settings;
    struct arena scratch;
    struct listener_drafts drafts;
    struct report_place *places; /* of each global option, by option_index() */
    unsigned unsupported;
};

/* Where the reader is. */
struct frame {
    struct report_place place;
    struct listener_draft *listener; /* the latest of this file */
    bool is_included;
};

/* One line, taken apart. */
struct line {
    const char *name; /* as written */
    char *value;
    const struct option *option;
};

/* The length of the first word; the text behind it, without spaces in front, in `rest_out`. */
static size_t split_word(char *text, char **rest_out)
{
    size_t len = strcspn(text, " ");

    *rest_out = text + len + strspn(text + len, " ");
    return len;
}

static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \t\r\n\v\f", text[len - 1])) {
        len--;
    }
    text[len] = '\0';
}

static void warn_of_rest(struct reader *reader, const struct frame *frame, const struct line *line,
                         const char *rest)
{
    if (rest && *rest) {
        report_warning(reader->report, &frame->place,
                       "What stands behind the value of %s is ignored: %s", line->name,
                       report_excerpt(rest).text);
    }
}

static int fail_with_value(struct reader *reader, const struct frame *frame, const char *name,
                           const char *value)
{
    report_error(reader->report, &frame->place, "Invalid %s value (%s).", name,
                 report_excerpt(value).text);
    return CONFIG_INVALID;
}

static int fail_with_range(struct reader *reader, const struct frame *frame,
                           const struct line *line)
{
    const struct option *option = line->option;

    report_error(reader->report, &frame->place,
                 "Invalid %s value (%s). It must be between %lld and %lld.", line->name,
                 report_excerpt(line->value).text, (long long)option->min, (long long)option->max);
    return CONFIG_INVALID;
}

/* As Mosquitto words it; "%s" in the words stands for the value. */
static int fail_in_own_words(struct reader *reader, const struct frame *frame,
                             const struct line *line)
{
    const char *words = line->option->complaint;
    const char *place = strstr(words, "%s");
    int len = place ? (int)(place - words) : (int)strlen(words);

    report_error(reader->report, &frame->place, "%.*s%s%s", len, words,
                 place ? report_excerpt(line->value).text : "", place ? place + 2 : "");
    return CONFIG_INVALID;
}

static int refuse_unsupported(struct reader *reader, const struct frame *frame,
                              const struct line *line)
{
    const struct option *option = line->option;

    if (option->refused) {
        report_error(reader->report, &frame->place, "%s is not supported: %s.", line->name,
                     option->refused);
    } else if (option->status == OPTION_LATER) {
        report_error(reader->report, &frame->place, "The %s option is not supported yet.",
                     report_excerpt(line->name).text);
    } else if (option->only) {
        report_error(reader->report, &frame->place, "%s %s is not supported yet, only %s %s.",
                     line->name, report_excerpt(line->value).text, line->name, option->only);
    } else {
        report_error(reader->report, &frame->place, "%s %s is not supported yet.", line->name,
                     report_excerpt(line->value).text);
    }
    reader->unsupported++;
    return CONFIG_OK;
}

static int fail_with_verdict(struct reader *reader, const struct frame *frame,
                             const struct line *line, const struct option_target *target,
                             int verdict)
{
    if (verdict == OPTION_UNSUPPORTED) {
        return refuse_unsupported(reader, frame, line);
    }
    assert(verdict == OPTION_INVALID);
    if (target->complaint) {
        report_error(reader->report, &frame->place, "%s", target->complaint);
        return CONFIG_INVALID;
    }
    if (target->reason) {
        report_error(reader->report, &frame->place, "Invalid %s value (%s): %s.", line->name,
                     report_excerpt(line->value).text, target->reason);
        return CONFIG_INVALID;
    }
    if (line->option->complaint) {
        return fail_in_own_words(reader, frame, line);
    }
    if (option_is_number(line->option)) {
        return fail_with_range(reader, frame, line);
    }
    return fail_with_value(reader, frame, line->name, line->value);
}

static int read_listener_words(struct reader *reader, const struct frame *frame, char *text,
                               struct listener_settings *listener)
{
    char *address;
    char *rest;
    int64_t port;

    text[split_word(text, &address)] = '\0';
    address[split_word(address, &rest)] = '\0';
    if (!value_read_integer(text, &port) || port < 0 || port > UINT16_MAX) {
        return fail_with_value(reader, frame, "port", text);
    }
    if (*address == '#') {
        *address = '\0';
    }
    if (port == 0 && *address == '\0') {
        report_error(reader->report, &frame->place,
                     "A listener with port 0 must provide a Unix socket path.");
        return CONFIG_INVALID;
    }
    if (port == 0 && strlen(address) > UNIX_PATH_MAX) {
        report_error(reader->report, &frame->place,
                     "The path of a Unix socket must not be longer than %d bytes.", UNIX_PATH_MAX);
        return CONFIG_INVALID;
    }
    listener->port = (uint16_t)port;
    if (*address) {
        const char *copy = arena_copy_text(reader->drafts.arena, address);

        *(port == 0 ? &listener->unix_path : &listener->bind_address) = copy;
        return copy ? 0 : -ENOMEM;
    }
    return 0;
}

static int begin_listener(struct reader *reader, struct frame *frame, const struct line *line)
{
    struct listener_draft *draft;
    int r = listeners_new_draft(&reader->drafts, &frame->place, &draft);

    if (r < 0) {
        return r;
    }
    r = read_listener_words(reader, frame, line->value, &draft->settings);
    if (r != 0) {
        return r;
    }
    listeners_add(&reader->drafts, draft);
    frame->listener = draft;
    return 0;
}

/* The listener that an option of this line belongs to. */
static int choose_listener(struct reader *reader, const struct frame *frame,
                           const struct line *line, struct listener_draft **draft_out)
{
    bool is_implied = line->option->scope == OPTION_LISTENER;

    if (is_implied && frame->listener) {
        *draft_out = frame->listener;
        return 0;
    }
    if (is_implied && !reader->drafts.fallback) {
        report_line(reader->report, LOG_NOTICE,
                    "The '%s' option before any 'listener' creates the default listener on port "
                    "1883. This will be disabled in the future. Please use 'listener' instead.",
                    line->name);
    }
    return listeners_get_fallback(&reader->drafts, &frame->place, draft_out);
}

static bool is_once(const struct option *option)
{
    return (option->type == OPTION_STRING || option->type == OPTION_PATH) && !option->repeats &&
           !option->replaces;
}

static void tell_of_option(struct reader *reader, const struct frame *frame,
                           const struct line *line, bool is_first)
{
    const struct option *option = line->option;

    if (option->deprecated_for) {
        report_line(reader->report, LOG_NOTICE,
                    "The '%s' option is now deprecated and will be removed in a future version. "
                    "Please use '%s' instead.",
                    line->name, option->deprecated_for);
    } else if (option->deprecated) {
        report_line(reader->report, LOG_NOTICE,
                    "The '%s' option is now deprecated and will be removed in a future "
                    "version.%s%s",
                    line->name, *option->deprecated ? " " : "", option->deprecated);
    }
    if (option->scope == OPTION_DEFAULT_LISTENER && !is_first) {
        report_warning(reader->report, &frame->place,
                       "Default listener %s specified multiple times. Only the latest will be "
                       "used.",
                       line->name);
    }
    if (option->status == OPTION_ACCEPTED && !option->is_silent &&
        !(option->only && value_is_equal(option, line->value, option->only))) {
        report_warning(reader->report, &frame->place, "The %s option has no effect: %s.",
                       line->name, option->note);
    }
}

static int set_option(struct reader *reader, const struct frame *frame, const struct line *line,
                      struct option_target *target, struct report_place *place)
{
    char *rest = NULL;
    int r;

    target->is_first = place->line == 0;
    if (!target->is_first && is_once(line->option)) {
        report_error(reader->report, &frame->place, "Duplicate %s value in configuration.",
                     line->name);
        return CONFIG_INVALID;
    }
    if (option_is_word(line->option)) {
        line->value[split_word(line->value, &rest)] = '\0';
        target->rest = rest;
    }
    r = value_parse(line->option, target, line->value);
    if (r < 0) {
        return r;
    }
    if (r > 0) {
        return fail_with_verdict(reader, frame, line, target, r);
    }
    warn_of_rest(reader, frame, line, target->rest);
    tell_of_option(reader, frame, line, target->is_first);
    *place = frame->place;
    return 0;
}

/* What stands before per_listener_settings would belong to nobody. */
static int check_order(struct reader *reader, const struct frame *frame, const struct line *line)
{
    if (line->option->parse != custom_parse_per_listener ||
        !reader->settings->clients.per_listener) {
        return CONFIG_OK;
    }
    for (size_t i = 0; i < option_len; i++) {
        if (options[i].per_listener && reader->places[i].line != 0) {
            report_error(reader->report, &frame->place,
                         "per_listener_settings must be set before any other security settings.");
            return CONFIG_INVALID;
        }
    }
    return CONFIG_OK;
}

static int read_option(struct reader *reader, const struct frame *frame, const struct line *line)
{
    struct option_target target = {.settings = reader->settings, .arena = reader->drafts.arena};
    size_t index = option_index(line->option);
    struct listener_draft *draft;
    int r;

    if (line->option->scope == OPTION_GLOBAL) {
        r = set_option(reader, frame, line, &target, &reader->places[index]);
        return r == 0 ? check_order(reader, frame, line) : r;
    }
    r = choose_listener(reader, frame, line, &draft);
    if (r < 0) {
        return r;
    }
    target.listener = &draft->settings;
    return set_option(reader, frame, line, &target, &draft->places[index]);
}

static int read_file(struct reader *reader, const char *path, bool is_included);

static int read_directory(struct reader *reader, const struct frame *frame, const char *directory)
{
    struct files_list list;
    int r = files_find(directory, &reader->scratch, &list);

    if (r < 0) {
        return r;
    }
    if (r > 0) {
        report_error(reader->report, &frame->place, "Unable to open include_dir '%s'. %s.",
                     report_excerpt(directory).text, strerror(errno));
        return CONFIG_INVALID;
    }
    for (size_t i = 0; i < list.len; i++) {
        report_line(reader->report, LOG_INFORMATION, "Loading config file %s", list.paths[i]);
        r = read_file(reader, list.paths[i], true);
        if (r > 0) {
            report_error_place(reader->report, &frame->place);
        }
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int include(struct reader *reader, const struct frame *frame, const struct line *line)
{
    if (reader->request->text.data) {
        report_error(reader->report, &frame->place, "include_dir needs a configuration file.");
        return CONFIG_INVALID;
    }
    if (frame->is_included) {
        report_warning(reader->report, &frame->place,
                       "include_dir is ignored in a file that is itself included.");
        return 0;
    }
    return read_directory(reader, frame, line->value);
}

static int check_value(struct reader *reader, const struct frame *frame, const struct line *line)
{
    const char *complaint = NULL;

    if (*line->value == '\0') {
        report_error(reader->report, &frame->place, "Empty %s value in configuration.", line->name);
        return CONFIG_INVALID;
    }
    if (strlen(line->value) > OPTION_TEXT_MAX) {
        complaint = "Value too long in configuration.";
    } else if (!utf8_is_valid(slice_of_text(line->value))) {
        complaint = "Malformed UTF-8 in configuration.";
    }
    if (complaint) {
        report_error(reader->report, &frame->place, "%s", complaint);
        return CONFIG_INVALID;
    }
    return CONFIG_OK;
}

static const struct option *find_option(const struct reader *reader, struct slice name)
{
    const struct option *option = option_find(name);

    if (option && option->per_listener && reader->settings->clients.per_listener) {
        return option_find(slice_of_text(option->per_listener));
    }
    return option;
}

static int read_line(struct reader *reader, struct frame *frame, char *text)
{
    struct line line = {0};
    size_t name_len;
    int r;

    if (*text == '#') {
        return CONFIG_OK;
    }
    text += strspn(text, " ");
    if (*text == '\0') {
        return CONFIG_OK;
    }
    name_len = split_word(text, &line.value);
    line.name = text;
    line.option = find_option(reader, slice_of(text, name_len));
    text[name_len] = '\0';
    if (!line.option) {
        report_error(reader->report, &frame->place, "Unknown configuration variable '%s'.",
                     report_excerpt(line.name).text);
        return CONFIG_INVALID;
    }
    trim_end(line.value);
    if (line.option->status == OPTION_LATER) {
        return refuse_unsupported(reader, frame, &line);
    }
    r = check_value(reader, frame, &line);
    if (r != 0) {
        return r;
    }
    switch (line.option->type) {
    case OPTION_BLOCK: return begin_listener(reader, frame, &line);
    case OPTION_INCLUDE: return include(reader, frame, &line);
    default: return read_option(reader, frame, &line);
    }
}

/* The text is taken apart in place; there is a terminator behind it. */
static int read_text(struct reader *reader, struct frame *frame, char *text, size_t len)
{
    while (len > 0) {
        char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len;
        size_t skip = end ? line_len + 1 : line_len;
        int r;

        frame->place.line++;
        if (memchr(text, '\0', line_len)) {
            report_error(reader->report, &frame->place,
                         "A zero byte in the configuration: this is no text file.");
            return CONFIG_INVALID;
        }
        while (line_len > 0 && text[line_len - 1] == '\r') {
            line_len--;
        }
        text[line_len] = '\0';
        r = read_line(reader, frame, text);
        if (r != 0) {
            return r;
        }
        text += skip;
        len -= skip;
    }
    return CONFIG_OK;
}

static int fail_with_file(struct reader *reader, const char *path, int verdict)
{
    const struct report *report = reader->report;

    switch ((enum files_verdict)verdict) {
    case FILES_DIRECTORY:
        report_line(report, LOG_ERROR, "Error: Config file '%s' is a directory.", path);
        break;
    case FILES_TOO_LARGE:
        report_line(report, LOG_ERROR, "Error: Config file '%s' is larger than %u bytes.", path,
                    FILES_SIZE_MAX);
        break;
    default:
        report_line(report, LOG_ERROR, "Error: Unable to open config file '%s'. %s.", path,
                    strerror(errno));
        break;
    }
    return CONFIG_INVALID;
}

static int read_file(struct reader *reader, const char *path, bool is_included)
{
    struct frame frame = {.is_included = is_included};
    char *text = NULL;
    size_t len;
    int r;

    frame.place.file = arena_copy_text(reader->drafts.arena, path);
    if (!frame.place.file) {
        return -ENOMEM;
    }
    r = files_read(path, &text, &len);
    if (r != 0) {
        return r < 0 ? r : fail_with_file(reader, path, r);
    }
    r = read_text(reader, &frame, text, len);
    memory_free(text);
    return r;
}

static int read_given_text(struct reader *reader)
{
    const struct config_request *request = reader->request;
    const char *name = request->path ? request->path : "configuration";
    struct frame frame = {.place.file = arena_copy_text(reader->drafts.arena, name)};
    char *text = arena_copy(&reader->scratch, request->text);

    return text && frame.place.file ? read_text(reader, &frame, text, request->text.len) : -ENOMEM;
}

static int read_source(struct reader *reader)
{
    if (reader->request->text.data) {
        return read_given_text(reader);
    }
    return reader->request->path ? read_file(reader, reader->request->path, false) : CONFIG_OK;
}

static bool is_written(const struct reader *reader, const char *name)
{
    return option_place(reader->places, name)->line != 0;
}

/* No listener at all: only this machine may come, and unless forbidden, everybody on it. */
static int finish_local_only(struct reader *reader)
{
    static const uint16_t port = 1883;
    const struct config_request *request = reader->request;
    struct settings *settings = reader->settings;

    settings->is_local_only = true;
    if (!is_written(reader, "allow_anonymous")) {
        settings->clients.allow_anonymous = true;
    }
    if (request->port_len == 0) {
        return listeners_add_loopback(settings, &port, 1);
    }
    return listeners_add_loopback(settings, request->ports, request->port_len);
}

/* Who relies on kept state must know that there is none. */
static int check_store(struct reader *reader)
{
    const struct settings_store *store = &reader->settings->store;
    const struct report_place *place = option_place(reader->places, "persistence");

    if (!store->persistence) {
        return CONFIG_OK;
    }
    if (!store->allow_memory_only) {
        report_error(reader->report, place,
                     "Persistence is not supported yet. To start without it, set "
                     "allow_memory_only true.");
        return CONFIG_INVALID;
    }
    report_warning(reader->report, place,
                   "persistence has no effect: nothing survives the end of the process yet.");
    return CONFIG_OK;
}

static int finish(struct reader *reader)
{
    struct settings_limits *limits = &reader->settings->limits;
    int r = check_store(reader);

    if (r != CONFIG_OK) {
        return r;
    }
    if (limits->max_inflight_messages == UINT16_MAX) {
        limits->max_inflight_messages = 0;
    }
    if (reader->drafts.len == 0) {
        return finish_local_only(reader);
    }
    if (reader->request->port_len > 0) {
        report_line(reader->report, LOG_WARNING,
                    "Warning: The ports of the command line are ignored, because the "
                    "configuration has listeners.");
    }
    return listeners_finish(&reader->drafts, reader->settings);
}

static int read_and_finish(struct reader *reader)
{
    int r;

    reader->places = arena_alloc_array(reader->drafts.arena, option_len, sizeof(*reader->places));
    if (!reader->places) {
        return -ENOMEM;
    }
    reader->settings->places = reader->places;
    r = read_source(reader);
    if (r == 0 && reader->unsupported > 0) {
        return CONFIG_INVALID;
    }
    return r == 0 ? finish(reader) : r;
}

int config_read(const struct config_request *request, struct settings **settings_out)
{
    CLEANUP(settings_unref) struct settings *settings = NULL;
    struct reader reader = {.request = request, .report = &request->report};
    int r = settings_new(&settings);

    if (r < 0) {
        return r;
    }
    assert(request->port_len <= CONFIG_PORT_MAX);
    arena_init(&reader.scratch);
    reader.settings = settings;
    reader.drafts = (struct listener_drafts){
        .scratch = &reader.scratch, .arena = &settings->arena, .report = reader.report};
    r = read_and_finish(&reader);
    arena_deinit(&reader.scratch);
    if (r == 0) {
        *settings_out = TAKE(settings);
    }
    return r;
}
