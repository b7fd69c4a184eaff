#include "config/report.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE 1024

static void PRINTF_LIKE(4, 0) report_list(const struct report *report, enum log_type type,
                                          const char *prefix, const char *format, va_list values)
{
    char text[LINE_SIZE];
    int len;

    if (!report->on_line) {
        return;
    }
    len = snprintf(text, sizeof(text), "%s", prefix);
    assert(len >= 0 && (size_t)len < sizeof(text));
    vsnprintf(text + len, sizeof(text) - (size_t)len, format, values);
    report->on_line(report->context, type, text);
}

void report_line(const struct report *report, enum log_type type, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    report_list(report, type, "", format, values);
    va_end(values);
}

void report_error_place(const struct report *report, const struct report_place *place)
{
    report_line(report, LOG_ERROR, "Error found at %s:%u.", place->file, place->line);
}

void report_error(const struct report *report, const struct report_place *place, const char *format,
                  ...)
{
    va_list values;

    va_start(values, format);
    report_list(report, LOG_ERROR, "Error: ", format, values);
    va_end(values);
    if (place->line != 0) {
        report_error_place(report, place);
    }
}

void report_warning(const struct report *report, const struct report_place *place,
                    const char *format, ...)
{
    char text[LINE_SIZE];
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    report_line(report, LOG_WARNING, "Warning: %s (%s:%u)", text, place->file, place->line);
}

/* Cut where a character ends. */
static size_t fitting_len(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len <= max) {
        return len;
    }
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* The bytes of the text that found room. */
static size_t escape(char *to, size_t size, const char *text)
{
    size_t used = 0;
    size_t i;

    for (i = 0; text[i] && used + 4 < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_plain = byte >= 0x20 && byte < 0x7f;

        used += (size_t)snprintf(to + used, size - used, is_plain ? "%c" : "\\x%02x", byte);
    }
    return i;
}

struct report_excerpt report_excerpt(const char *text)
{
    static const char ellipsis[] = "...";
    struct report_excerpt excerpt = {0};
    size_t room = sizeof(excerpt.text) - sizeof(ellipsis);
    size_t len;

    if (utf8_is_valid(slice_of_text(text))) {
        len = fitting_len(text, room - 1);
        memcpy(excerpt.text, text, len);
    } else {
        len = escape(excerpt.text, room, text);
    }
    if (text[len]) {
        strcat(excerpt.text, ellipsis);
    }
    return excerpt;
}
