#include "base/log_record.h"

#include <stdio.h>
#include <time.h>

/* A field's text is for finding things, not for keeping them. */
#define FIELD_TEXT_CAP 256

struct field_head {
    const char *name;
    uint64_t number;
    uint16_t len;
    bool is_text;
};

void log_record_init(struct log_record *record, enum log_type type, enum log_event event)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    record->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    record->type = (uint16_t)type;
    record->event = (uint8_t)event;
    record->is_muted = false;
    record->text_len = 0;
    record->fields_size = 0;
}

/* The end of a text that was cut, without a character of which only a part is there. */
static size_t whole_len(const uint8_t *text, size_t len)
{
    size_t end = len;

    while (end > 0 && len - end < 3 && (text[end - 1] & 0xC0) == 0x80) {
        end--;
    }
    return end > 0 && text[end - 1] >= 0xC0 ? end - 1 : len;
}

void log_record_set_text(struct log_record *record, const char *format, va_list arguments)
{
    int len = vsnprintf((char *)record->bytes, LOG_LINE_CAP, format, arguments);

    if (len >= LOG_LINE_CAP) {
        record->text_len = (uint16_t)whole_len(record->bytes, LOG_LINE_CAP - 1);
    } else {
        record->text_len = (uint16_t)MAX(len, 0);
    }
}

void log_record_format(struct log_record *record, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_record_set_text(record, format, arguments);
    va_end(arguments);
}

void log_record_add(struct log_record *record, const struct log_field *field)
{
    struct slice text = field->text.data ? field->text : slice_of("", 0);
    struct field_head head = {
        .name = field->name,
        .number = field->number,
        .len = (uint16_t)MIN(text.len, (size_t)FIELD_TEXT_CAP),
        .is_text = field->text.data != NULL,
    };
    uint8_t *end = record->bytes + record->text_len + record->fields_size;
    size_t size = sizeof(head) + head.len;

    if (head.len < text.len) {
        head.len = (uint16_t)whole_len(text.data, head.len);
    }
    if (!field->name || size > LOG_RECORD_CAP - (size_t)(end - record->bytes)) {
        return;
    }
    memcpy(end, &head, sizeof(head));
    memcpy(end + sizeof(head), text.data, head.len);
    record->fields_size = (uint16_t)(record->fields_size + sizeof(head) + head.len);
}

size_t log_record_size(const struct log_record *record)
{
    return offsetof(struct log_record, bytes) + record->text_len + record->fields_size;
}

struct slice log_record_text(const struct log_record *record)
{
    return slice_of(record->bytes, record->text_len);
}

bool log_record_next(const struct log_record *record, size_t *at, struct log_field *field_out)
{
    const uint8_t *next = record->bytes + record->text_len + *at;
    struct field_head head;

    if (*at >= record->fields_size) {
        return false;
    }
    memcpy(&head, next, sizeof(head));
    *field_out = (struct log_field){
        .name = head.name,
        .text = head.is_text ? slice_of(next + sizeof(head), head.len) : slice_of(NULL, 0),
        .number = head.number,
    };
    *at += sizeof(head) + head.len;
    return true;
}
