#include "base/log_style.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* What a text of the message, and what one of a field may take in the JSON form. */
#define MESSAGE_CAP 2048
#define FIELD_CAP   640

struct writer {
    char *at;
    char *end;
};

void log_style_init(struct log_style *style, const struct log_options *options)
{
    *style = (struct log_style){
        .format = options->format,
        .timestamp = options->timestamp,
        .timestamp_format = options->timestamp_format,
        .second = -1,
    };
}

/* Text */

static size_t format_time(char *buf, size_t cap, const char *format, time_t now, bool is_utc)
{
    struct tm parts;

    if (is_utc) {
        gmtime_r(&now, &parts);
    } else {
        localtime_r(&now, &parts);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return strftime(buf, cap, format, &parts);
#pragma GCC diagnostic pop
}

static size_t format_prefix(const struct log_style *style, time_t now, char *buf, size_t cap)
{
    size_t len;

    if (style->format == LOG_JSON) {
        return format_time(buf, cap, "%Y-%m-%dT%H:%M:%S", now, true);
    }
    if (!style->timestamp) {
        return 0;
    }
    if (!style->timestamp_format) {
        return (size_t)snprintf(buf, cap, "%lld: ", (long long)now);
    }
    len = format_time(buf, cap - 2, style->timestamp_format, now, false);
    memcpy(buf + len, ": ", 2);
    return len + 2;
}

static void renew_prefix(struct log_style *style, uint64_t time_ms)
{
    int64_t second = (int64_t)(time_ms / 1000);

    if (second != style->second) {
        style->second = second;
        style->prefix_len = format_prefix(style, second, style->prefix, sizeof(style->prefix));
    }
}

static size_t text_line(const struct log_style *style, const struct log_record *record, char *line)
{
    memcpy(line, style->prefix, style->prefix_len);
    return style->prefix_len + text_clean(line + style->prefix_len,
                                          LOG_LINE_CAP - style->prefix_len,
                                          log_record_text(record));
}

/* JSON */

static const char *type_name(uint16_t type)
{
    switch (type) {
    case LOG_DEBUG: return "debug";
    case LOG_ERROR: return "error";
    case LOG_WARNING: return "warning";
    case LOG_NOTICE: return "notice";
    case LOG_SUBSCRIBE: return "subscribe";
    case LOG_UNSUBSCRIBE: return "unsubscribe";
    case LOG_WEBSOCKETS: return "websockets";
    case LOG_INTERNAL: return "internal";
    default: return "information";
    }
}

static size_t room(const struct writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

static void PRINTF_LIKE(2, 3) put(struct writer *writer, const char *format, ...)
{
    va_list values;
    int len;

    va_start(values, format);
    len = vsnprintf(writer->at, room(writer), format, values);
    va_end(values);
    assert(len >= 0 && (size_t)len < room(writer));
    writer->at += len;
}

/* What stands around a text in the worst case: a key, quotes, and the end of the object. */
#define AROUND 64

static void put_text(struct writer *writer, const char *name, struct slice text, size_t cap)
{
    if (room(writer) < AROUND + 16) {
        return;
    }
    put(writer, ",\"%.40s\":\"", name);
    writer->at += text_escape_json(writer->at, MIN(cap, room(writer) - 16), text);
    put(writer, "\"");
}

static void put_field(struct writer *writer, const struct log_field *field)
{
    if (field->text.data) {
        put_text(writer, field->name, field->text, FIELD_CAP);
    } else if (room(writer) > AROUND + 24) {
        put(writer, ",\"%.40s\":%" PRIu64, field->name, field->number);
    }
}

static size_t json_line(const struct log_style *style, const struct log_record *record, char *line)
{
    struct writer writer = {line, line + LOG_STYLE_CAP - 1};
    char text[LOG_LINE_CAP];
    size_t len = text_clean(text, sizeof(text), log_record_text(record));
    struct log_field field;
    size_t at = 0;

    put(&writer, "{\"time\":\"%.*s.%03uZ\",\"type\":\"%s\",\"event\":\"%s\"",
        (int)style->prefix_len, style->prefix, (unsigned)(record->time_ms % 1000),
        type_name(record->type), log_events[record->event].name);
    put_text(&writer, "message", slice_of(text, len), MESSAGE_CAP);
    while (log_record_next(record, &at, &field)) {
        put_field(&writer, &field);
    }
    put(&writer, "}");
    return (size_t)(writer.at - line);
}

size_t log_style_line(struct log_style *style, const struct log_record *record,
                      char line[LOG_STYLE_CAP])
{
    renew_prefix(style, record->time_ms);
    return style->format == LOG_JSON ? json_line(style, record, line)
                                     : text_line(style, record, line);
}
