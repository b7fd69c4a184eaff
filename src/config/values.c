#include "config/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool read_bool(const char *text, int64_t *number_out)
{
    *number_out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *number_out != 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

bool value_read_integer(const char *text, int64_t *number_out)
{
    char *end;

    errno = 0;
    *number_out = strtoll(text, &end, 0);
    return errno == 0 && end != text && *end == '\0';
}

static bool read_choice(const struct option_choice *choice, const char *text, int64_t *number_out)
{
    for (; choice->name; choice++) {
        if (strcmp(choice->name, text) == 0) {
            *number_out = choice->value;
            return true;
        }
    }
    return false;
}

/* False for what is no such value, and for the types that are not numbers inside. */
static bool read_number(const struct option *option, const char *text, int64_t *number_out)
{
    switch (option->type) {
    case OPTION_BOOL: return read_bool(text, number_out);
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_SECONDS:
        return value_read_integer(text, number_out) && *number_out >= option->min &&
               *number_out <= option->max;
    case OPTION_CHOICE: return read_choice(option->choices, text, number_out);
    default: return false;
    }
}

static char *field_of(const struct option *option, struct option_target *target)
{
    void *owner = option->scope == OPTION_GLOBAL ? (void *)target->settings : target->listener;

    assert(owner);
    return (char *)owner + option->offset;
}

/* The row's range was checked against the width of the field by a test. */
static void store_number(const struct option *option, struct option_target *target, int64_t number)
{
    void *field = field_of(option, target);

    switch (option->storage) {
    case OPTION_STORE_BOOL: *(bool *)field = number != 0; break;
    case OPTION_STORE_U8: *(uint8_t *)field = (uint8_t)number; break;
    case OPTION_STORE_U16: *(uint16_t *)field = (uint16_t)number; break;
    case OPTION_STORE_U32: *(uint32_t *)field = (uint32_t)number; break;
    case OPTION_STORE_U64: *(uint64_t *)field = (uint64_t)number; break;
    case OPTION_STORE_I32: *(int32_t *)field = (int32_t)number; break;
    case OPTION_STORE_ENUM: *(int *)field = (int)number; break;
    case OPTION_STORE_NONE:
    case OPTION_STORE_TEXT: assert(false); break; /* no number */
    }
}

static int store_text(const struct option *option, struct option_target *target, const char *text)
{
    size_t max = option->max == 0 ? OPTION_TEXT_MAX : (size_t)option->max;
    char *copy;

    if (strlen(text) > max) {
        return OPTION_INVALID;
    }
    copy = arena_copy_text(target->arena, text);
    if (!copy) {
        return -ENOMEM;
    }
    *(const char **)(void *)field_of(option, target) = copy;
    return 0;
}

static const char *choice_name(const struct option *option, int value)
{
    for (const struct option_choice *choice = option->choices; choice->name; choice++) {
        if (choice->value == value) {
            return choice->name;
        }
    }
    return "";
}

static const void *stored_at(const struct option *option, const struct option_source *source)
{
    const void *owner = option->scope == OPTION_GLOBAL ? (const void *)source->settings
                                                       : (const void *)source->listener;

    assert(owner);
    return (const char *)owner + option->offset;
}

static int64_t stored_number(const struct option *option, const void *field)
{
    switch (option->storage) {
    case OPTION_STORE_U8: return *(const uint8_t *)field;
    case OPTION_STORE_U16: return *(const uint16_t *)field;
    case OPTION_STORE_U32: return *(const uint32_t *)field;
    case OPTION_STORE_U64: return (int64_t) * (const uint64_t *)field;
    case OPTION_STORE_I32: return *(const int32_t *)field;
    default: assert(false); return 0;
    }
}

static void put_stored(const struct option *option, const void *field, FILE *out)
{
    const char *text;

    switch (option->storage) {
    case OPTION_STORE_BOOL: fputs(*(const bool *)field ? "true" : "false", out); return;
    case OPTION_STORE_ENUM: fputs(choice_name(option, *(const int *)field), out); return;
    case OPTION_STORE_TEXT:
        text = *(const char *const *)field;
        fputs(text ? text : "", out);
        return;
    default: break;
    }
    /* Below what may be written: not set. */
    if (stored_number(option, field) >= option->min) {
        fprintf(out, "%" PRId64, stored_number(option, field));
    }
}

int value_format(const struct option *option, const struct option_source *source, char **text_out)
{
    size_t size;
    FILE *out = open_memstream(text_out, &size);
    bool has_failed;

    if (!out) {
        *text_out = NULL;
        return -ENOMEM;
    }
    if (option->format) {
        option->format(source, out);
    } else {
        put_stored(option, stored_at(option, source), out);
    }
    has_failed = ferror(out) != 0;
    if (fclose(out) != 0 || has_failed) {
        free(*text_out);
        *text_out = NULL;
        return -ENOMEM;
    }
    return 0;
}

static size_t storage_size(enum option_storage storage)
{
    switch (storage) {
    case OPTION_STORE_BOOL: return sizeof(bool);
    case OPTION_STORE_U8: return sizeof(uint8_t);
    case OPTION_STORE_U16: return sizeof(uint16_t);
    case OPTION_STORE_U32: return sizeof(uint32_t);
    case OPTION_STORE_U64: return sizeof(uint64_t);
    case OPTION_STORE_I32: return sizeof(int32_t);
    case OPTION_STORE_ENUM: return sizeof(int);
    default: return 0;
    }
}

int value_copy(const struct option *option, const struct option_source *source,
               struct option_target *target)
{
    const void *from = stored_at(option, source);
    void *field = field_of(option, target);
    const char *text;

    assert(option->storage != OPTION_STORE_NONE);
    if (option->storage != OPTION_STORE_TEXT) {
        memcpy(field, from, storage_size(option->storage));
        return 0;
    }
    text = *(const char *const *)from;
    if (text && !(text = arena_copy_text(target->arena, text))) {
        return -ENOMEM;
    }
    *(const char **)field = text;
    return 0;
}

bool value_is_equal(const struct option *option, const char *a, const char *b)
{
    int64_t number_a;
    int64_t number_b;

    if (read_number(option, a, &number_a) && read_number(option, b, &number_b)) {
        return number_a == number_b;
    }
    return strcmp(a, b) == 0;
}

/* A value that goes nowhere: only its form counts, and whether it is the one that we support. */
static int check_only(const struct option *option, const char *text)
{
    int64_t number;

    if (option_is_word(option) && !read_number(option, text, &number)) {
        return OPTION_INVALID;
    }
    if (option->status == OPTION_ONLY && !value_is_equal(option, text, option->only)) {
        return OPTION_UNSUPPORTED;
    }
    return OPTION_OK;
}

int value_parse(const struct option *option, struct option_target *target, const char *text)
{
    int64_t number;

    switch (option->status) {
    case OPTION_LATER: return OPTION_UNSUPPORTED;
    case OPTION_ONLY:
    case OPTION_ACCEPTED: return check_only(option, text);
    case OPTION_BUILT: break;
    }
    if (option->parse) {
        return option->parse(target, text);
    }
    if (option->storage == OPTION_STORE_TEXT) {
        return store_text(option, target, text);
    }
    if (!read_number(option, text, &number)) {
        return OPTION_INVALID;
    }
    store_number(option, target, number);
    return 0;
}

/* The default of an option that repeats is a list of words, one for each time. */
static int parse_fallback_list(const struct option *option, struct option_target *target)
{
    const char *text = option->fallback;

    while (*text) {
        char word[32];
        size_t len = strcspn(text, " ");
        int r;

        assert(len < sizeof(word));
        memcpy(word, text, len);
        word[len] = '\0';
        target->is_first = text == option->fallback;
        r = value_parse(option, target, word);
        if (r != 0) {
            return r;
        }
        text += len + strspn(text + len, " ");
    }
    return 0;
}

int value_parse_fallbacks(struct option_target *target, enum option_scope scope)
{
    for (size_t i = 0; i < option_len; i++) {
        const struct option *option = &options[i];
        int r;

        if (option->alias_of || option->scope != scope || option->status != OPTION_BUILT ||
            !option->fallback) {
            continue;
        }
        target->is_first = true;
        r = option->repeats ? parse_fallback_list(option, target)
                            : value_parse(option, target, option->fallback);
        assert(r <= 0); /* the table's own values are valid */
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
