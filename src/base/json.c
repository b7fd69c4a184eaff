#include "base/json.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAP 1024

/* The most that text_escape_json() makes of a byte, and what it wants beside that. */
#define ESCAPED_MAX  6
#define ESCAPED_MORE 8

void json_deinit(struct json *json)
{
    memory_free(json->text);
    *json = (struct json){0};
}

/* False: there is no memory, once and for all. */
static bool reserve(struct json *json, size_t size)
{
    size_t cap = json->cap ? json->cap : FIRST_CAP;
    char *text;

    while (cap - json->len < size) {
        cap *= 2;
    }
    if (json->has_failed || cap == json->cap) {
        return !json->has_failed;
    }
    text = memory_resize(json->text, cap);
    json->has_failed = !text;
    if (text) {
        json->text = text;
        json->cap = cap;
    }
    return text != NULL;
}

static void add(struct json *json, const char *text)
{
    size_t len = strlen(text);

    if (reserve(json, len)) {
        memcpy(json->text + json->len, text, len);
        json->len += len;
    }
}

/* What stands in front of a value. */
static void begin(struct json *json, const char *name)
{
    if (json->len > 0 && json->text[json->len - 1] != '{' && json->text[json->len - 1] != '[') {
        add(json, ",");
    }
    if (name) {
        add(json, "\"");
        add(json, name);
        add(json, "\":");
    }
}

char *json_take(struct json *json)
{
    if (!reserve(json, 1)) {
        json_deinit(json);
        return NULL;
    }
    json->text[json->len] = '\0';
    return TAKE(json->text);
}

void json_open(struct json *json, const char *name, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    begin(json, name);
    add(json, (char[]){bracket, '\0'});
}

void json_close(struct json *json, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    add(json, (char[]){bracket, '\0'});
}

void json_add_text(struct json *json, const char *name, struct slice text)
{
    begin(json, name);
    add(json, "\"");
    if (reserve(json, text.len * ESCAPED_MAX + ESCAPED_MORE)) {
        json->len += text_escape_json(json->text + json->len, json->cap - json->len, text);
    }
    add(json, "\"");
}

void json_add_number(struct json *json, const char *name, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    begin(json, name);
    add(json, text);
}

void json_add_bool(struct json *json, const char *name, bool value)
{
    begin(json, name);
    add(json, value ? "true" : "false");
}

void json_add_null(struct json *json, const char *name)
{
    begin(json, name);
    add(json, "null");
}
