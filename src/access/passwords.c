#include "access/passwords.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/utf8.h"

#include <stdio.h>

#define USERNAME_MAX 65535

/* In the arena. */
struct user {
    struct table_link link; /* by name */
    struct slice name;
    struct password password;
    uint64_t credential;
    unsigned line;
};

struct passwords {
    struct arena arena;
    struct table table;
    struct user **users;
    size_t len;
    size_t cap;
    struct hash_key key;
};

/* One line while it is read. */
struct line {
    const struct passwords_request *request;
    struct report_place place;
    struct slice text;
};

static int PRINTF_LIKE(2, 3) complain(const struct line *line, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report_error(line->request->report, &line->place, "%s", text);
    return PASSWORDS_WRONG;
}

static struct user *find(const struct passwords *passwords, struct slice name)
{
    struct table_link *link = table_find(&passwords->table, hash_bytes(&passwords->key, name));

    for (; link; link = table_find_next(link)) {
        struct user *user = CONTAINER_OF(link, struct user, link);

        if (slice_is_equal(user->name, name)) {
            return user;
        }
    }
    return NULL;
}

/* Reading */

static int make_room(struct passwords *passwords)
{
    size_t cap = MAX(passwords->cap * 2, (size_t)16);
    struct user **users;

    if (passwords->len < passwords->cap) {
        return 0;
    }
    users = memory_resize(passwords->users, cap * sizeof(struct user *));
    if (!users) {
        return -ENOMEM;
    }
    passwords->users = users;
    passwords->cap = cap;
    return 0;
}

static int add(struct passwords *passwords, const struct line *line, struct slice name,
               struct slice stored)
{
    struct user *user = arena_alloc(&passwords->arena, sizeof(*user));
    uint64_t hash = hash_bytes(&passwords->key, name);
    int r = make_room(passwords);

    if (!user || r < 0) {
        return -ENOMEM;
    }
    user->name.data = (const uint8_t *)arena_copy(&passwords->arena, name);
    user->name.len = name.len;
    if (!user->name.data) {
        return -ENOMEM;
    }
    user->line = line->place.line;
    user->credential = hash_chain(hash, hash_bytes(&passwords->key, stored));
    r = password_parse(stored, &line->request->limits, &passwords->arena, &user->password);
    if (r > 0) {
        return complain(line, "The password of user '%s' %s.",
                        report_excerpt((const char *)user->name.data).text,
                        password_complaint((enum password_verdict)r));
    }
    if (r == 0) {
        r = table_add(&passwords->table, &user->link, hash);
    }
    if (r == 0) {
        passwords->users[passwords->len++] = user;
    }
    return r;
}

static int check_name(const struct passwords *passwords, const struct line *line, struct slice name)
{
    const struct user *same;

    if (name.len == 0) {
        return complain(line, "A password without a user name.");
    }
    if (name.len > USERNAME_MAX || !utf8_is_valid(name)) {
        return complain(line, "A user name that no client can have: it is too long or not UTF-8.");
    }
    same = find(passwords, name);
    if (same) {
        return complain(line, "The user '%s' stands in line %u already.",
                        report_excerpt((const char *)same->name.data).text, same->line);
    }
    return PASSWORDS_OK;
}

/* As Mosquitto: what has no colon is no user, and nobody is let in by it. */
static int read_line(struct passwords *passwords, const struct line *line)
{
    const uint8_t *colon;
    struct slice name;
    int r;

    if (line->text.len == 0 || line->text.data[0] == '#') {
        return PASSWORDS_OK;
    }
    if (memchr(line->text.data, '\0', line->text.len)) {
        return complain(line, "A zero byte in the password file: this is no text file.");
    }
    colon = memchr(line->text.data, ':', line->text.len);
    if (!colon) {
        report_warning(line->request->report, &line->place,
                       "A line without a colon in the password file: it is nobody's password.");
        return PASSWORDS_OK;
    }
    name = slice_of(line->text.data, (size_t)(colon - line->text.data));
    r = check_name(passwords, line, name);
    return r == PASSWORDS_OK ? add(passwords, line, name, slice_skip(line->text, name.len + 1)) : r;
}

static struct slice take_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->len);
    struct slice line = end ? slice_of(text->data, (size_t)(end - text->data)) : *text;

    *text = slice_skip(*text, end ? line.len + 1 : line.len);
    while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) &&
           line.data[line.len - 1] != '\0') {
        line.len--;
    }
    return line;
}

static int read_all(struct passwords *passwords, const struct passwords_request *request)
{
    struct line line = {.request = request, .place.file = request->path};
    struct slice text = request->text;
    int r = PASSWORDS_OK;

    while (text.len > 0 && r == PASSWORDS_OK) {
        line.place.line++;
        line.text = take_line(&text);
        r = read_line(passwords, &line);
    }
    return r;
}

int passwords_parse(const struct passwords_request *request, struct passwords **passwords_out)
{
    CLEANUP(passwords_free) struct passwords *passwords = memory_alloc_zero(1, sizeof(*passwords));
    int r;

    if (!passwords) {
        return -ENOMEM;
    }
    arena_init(&passwords->arena);
    table_init(&passwords->table);
    /* Fixed: a user keeps its credential and its decoy over a reload, and names are the operator's
     * choice, not a stranger's. */
    hash_key_make(&passwords->key, 1);
    r = read_all(passwords, request);
    if (r == PASSWORDS_OK) {
        *passwords_out = TAKE(passwords);
    }
    return r;
}

struct passwords *passwords_free(struct passwords *passwords)
{
    if (passwords) {
        for (size_t i = 0; i < passwords->len; i++) {
            table_remove(&passwords->table, &passwords->users[i]->link);
        }
        table_deinit(&passwords->table);
        arena_deinit(&passwords->arena);
        memory_free(passwords->users);
        memory_free(passwords);
    }
    return NULL;
}

/* Asking */

size_t passwords_len(const struct passwords *passwords)
{
    return passwords->len;
}

bool passwords_find(const struct passwords *passwords, struct slice username,
                    struct passwords_entry *entry_out)
{
    const struct user *user = find(passwords, username);

    if (user) {
        *entry_out = (struct passwords_entry){&user->password, user->credential};
    }
    return user != NULL;
}

const struct password *passwords_decoy(const struct passwords *passwords, struct slice username)
{
    assert(passwords->len > 0);
    return &passwords->users[hash_bytes(&passwords->key, username) % passwords->len]->password;
}
