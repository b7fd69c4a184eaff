#include "access/lines.h"

#include <stdio.h>
#include <string.h>

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct slice take_raw(struct slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct slice line = slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->len);

    *rest = slice_skip(*rest, line.len + (end ? 1 : 0));
    while (line.len > 0 && is_space(line.data[line.len - 1])) {
        line.len--;
    }
    return line;
}

enum access_lines_verdict access_lines_take(struct access_lines *lines, struct slice *line_out)
{
    while (lines->rest.len > 0) {
        struct slice line = take_raw(&lines->rest);

        lines->place.line++;
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (memchr(line.data, '\0', line.len)) {
            report_error(lines->report, &lines->place,
                         "A zero byte in the %s: this is no text file.", lines->name);
            return ACCESS_LINES_WRONG;
        }
        *line_out = line;
        return ACCESS_LINES_TAKEN;
    }
    return ACCESS_LINES_END;
}

bool access_lines_split(const struct access_lines *lines, struct slice line, const char *value_name,
                        struct slice *name_out, struct slice *value_out)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);

    if (!colon) {
        report_warning(lines->report, &lines->place,
                       "A line without a colon in the %s: it is nobody's %s.", lines->name,
                       value_name);
        return false;
    }
    *name_out = slice_of(line.data, (size_t)(colon - line.data));
    *value_out = slice_skip(line, name_out->len + 1);
    return true;
}

int access_lines_complain(const struct access_lines *lines, int verdict, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report_error(lines->report, &lines->place, "%s", text);
    return verdict;
}
