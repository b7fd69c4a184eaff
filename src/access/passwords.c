#include "access/passwords.h"

#include "access/lines.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/utf8.h"

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

/* While a file is read. */
struct reading {
    struct access_lines lines;
    const struct password_limits *limits;
};

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

static int add(struct passwords *passwords, const struct reading *reading, struct slice name,
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
    user->line = reading->lines.place.line;
    user->credential = hash_chain(hash, hash_bytes(&passwords->key, stored));
    r = password_parse(stored, reading->limits, &passwords->arena, &user->password);
    if (r > 0) {
        return access_lines_complain(&reading->lines, PASSWORDS_WRONG,
                                     "The password of user '%s' %s.",
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

static int check_name(const struct passwords *passwords, const struct reading *reading,
                      struct slice name)
{
    const struct user *same;

    if (name.len == 0) {
        return access_lines_complain(&reading->lines, PASSWORDS_WRONG,
                                     "A password without a user name.");
    }
    if (name.len > USERNAME_MAX || !utf8_is_valid(name)) {
        return access_lines_complain(
            &reading->lines, PASSWORDS_WRONG,
            "A user name that no client can have: it is too long or not UTF-8.");
    }
    same = find(passwords, name);
    if (same) {
        return access_lines_complain(
            &reading->lines, PASSWORDS_WRONG, "The user '%s' stands in line %u already.",
            report_excerpt((const char *)same->name.data).text, same->line);
    }
    return PASSWORDS_OK;
}

static int read_line(struct passwords *passwords, const struct reading *reading, struct slice line)
{
    struct slice name;
    struct slice stored;
    int r;

    if (!access_lines_split(&reading->lines, line, "password", &name, &stored)) {
        return PASSWORDS_OK;
    }
    r = check_name(passwords, reading, name);
    return r == PASSWORDS_OK ? add(passwords, reading, name, stored) : r;
}

static int read_all(struct passwords *passwords, const struct passwords_request *request)
{
    struct reading reading = {
        .lines = {"password file", request->report, {request->path, 0}, request->text},
        .limits = &request->limits,
    };
    enum access_lines_verdict verdict;
    struct slice line;
    int r = PASSWORDS_OK;

    while (r == PASSWORDS_OK &&
           (verdict = access_lines_take(&reading.lines, &line)) != ACCESS_LINES_END) {
        r = verdict == ACCESS_LINES_TAKEN ? read_line(passwords, &reading, line) : PASSWORDS_WRONG;
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
