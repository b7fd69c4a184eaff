#include "access/acl.h"

#include "access/lines.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/utf8.h"
#include "mqtt/topics.h"

#include <stdio.h>

/*
 * The rules of each user are a tree by levels, as filters are. A node's children with an ordinary
 * level are found in one table for all trees, by node and level; beside these a node may have a
 * child for `+`, and those whose level names the client or the user, which are compared one by one:
 * there are few of them at a node. What a rule that ends in `#` says stands at the node before it.
 *
 * A walk goes down every child that fits, and gathers what stands there. It keeps its place in an
 * array and not on the stack of calls, which no topic shall deepen.
 */

#define DENY 4u

/* The number of the tree for clients without a name; those of users are greater. */
#define ANONYMOUS 1u

/* Deeper than a topic or filter may be. */
#define DEPTH_CAP 202

/* In the arena. */
struct acl_node {
    struct table_link link; /* by parent and level, for ordinary levels */
    const struct acl_node *parent;
    struct slice level;
    struct acl_node *plus;  /* the child for `+` */
    struct acl_node *named; /* the first child whose level names somebody */
    struct acl_node *next;  /* of these, the next one of the same parent */
    uint64_t hash;          /* of the whole way to it */
    uint8_t here;           /* rights, and DENY, of rules that end here */
    uint8_t below;          /* of those that end in `#` behind it */
    bool has_levels;        /* ordinary children */
};

/* In the arena. */
struct user {
    struct table_link link; /* by name */
    struct slice name;
    uint64_t number; /* of its tree */
    struct acl_node root;
};

struct acl {
    struct arena arena;
    struct table nodes;
    struct table users;
    struct acl_node anonymous;
    struct acl_node patterns;
    struct hash_key key;
    uint64_t root_len; /* trees, to tell their nodes apart */
    bool has_patterns;
    uint8_t named;  /* names, as bits 1 << enum acl_name, in patterns */
    uint8_t denied; /* the same, in those that deny */
};

/* How a pattern names somebody. */
struct marker {
    enum acl_name name;
    const char *text;
};

static const struct marker markers[] = {
    {ACL_CLIENT_ID, "%c"          },
    {ACL_USERNAME,  "%u"          },
    {ACL_AUTHORITY, "%{authority}"},
    {ACL_ALPN,      "%{alpn}"     }
};

static_assert(ARRAY_LEN(markers) == ACL_NAME_LEN, "each has its marker");

/* Reading */

/* While a file is read. */
struct reading {
    struct access_lines lines;
    struct acl *acl;
    struct acl_node *section; /* of the rules that follow */
};

static struct report_excerpt excerpt(struct slice text)
{
    char copy[200];

    snprintf(copy, sizeof(copy), "%.*s", (int)MIN(text.len, sizeof(copy)), (const char *)text.data);
    return report_excerpt(copy);
}

static void root_init(struct acl *acl, struct acl_node *root)
{
    root->hash = hash_chain(1, ++acl->root_len);
}

static uint64_t child_hash(const struct acl *acl, const struct acl_node *parent, struct slice level)
{
    return hash_chain(parent->hash, hash_bytes(&acl->key, level));
}

static struct acl_node *find_child(const struct acl *acl, const struct acl_node *parent,
                                   struct slice level)
{
    struct table_link *link = table_find(&acl->nodes, child_hash(acl, parent, level));

    for (; link; link = table_find_next(link)) {
        struct acl_node *node = CONTAINER_OF(link, struct acl_node, link);

        if (node->parent == parent && slice_is_equal(node->level, level)) {
            return node;
        }
    }
    return NULL;
}

static struct acl_node *find_named(const struct acl_node *parent, struct slice level)
{
    struct acl_node *node = parent->named;

    while (node && !slice_is_equal(node->level, level)) {
        node = node->next;
    }
    return node;
}

static bool begins_with(struct slice text, struct slice front)
{
    return text.len >= front.len && slice_is_equal(slice_of(text.data, front.len), front);
}

/* The one that the text begins with; NULL: none. */
static const struct marker *find_marker(struct slice text)
{
    if (text.len == 0 || text.data[0] != '%') {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        if (begins_with(text, slice_of_text(markers[i].text))) {
            return &markers[i];
        }
    }
    return NULL;
}

/* Whom a level or a whole pattern names, as bits. */
static unsigned names_in(struct slice pattern)
{
    unsigned names = 0;

    for (; pattern.len > 0; pattern = slice_skip(pattern, 1)) {
        const struct marker *marker = find_marker(pattern);

        names |= marker ? 1u << marker->name : 0;
    }
    return names;
}

static bool is_plus(struct slice level)
{
    return level.len == 1 && level.data[0] == '+';
}

static struct acl_node *node_new(struct acl *acl, const struct acl_node *parent, struct slice level)
{
    struct acl_node *node = arena_alloc(&acl->arena, sizeof(*node));

    if (!node) {
        return NULL;
    }
    node->parent = parent;
    node->hash = child_hash(acl, parent, level);
    node->level = slice_of(arena_copy(&acl->arena, level), level.len);
    return node->level.data ? node : NULL;
}

/* NULL: no memory. */
static struct acl_node *find_or_add(struct acl *acl, struct acl_node *parent, struct slice level,
                                    bool is_pattern)
{
    bool is_named = is_pattern && names_in(level) != 0;
    struct acl_node *node = is_plus(level) ? parent->plus
                            : is_named     ? find_named(parent, level)
                                           : find_child(acl, parent, level);

    if (node) {
        return node;
    }
    node = node_new(acl, parent, level);
    if (!node) {
        return NULL;
    }
    if (is_plus(level)) {
        parent->plus = node;
    } else if (is_named) {
        node->next = parent->named;
        parent->named = node;
    } else {
        if (table_add(&acl->nodes, &node->link, node->hash) < 0) {
            return NULL;
        }
        parent->has_levels = true;
    }
    return node;
}

/* Takes the next level off; false: that was the last one. */
static bool take_level(struct slice *rest, struct slice *level_out)
{
    const uint8_t *slash = rest->len > 0 ? memchr(rest->data, '/', rest->len) : NULL;

    *level_out = slice_of(rest->data, slash ? (size_t)(slash - rest->data) : rest->len);
    *rest = slice_skip(*rest, slash ? level_out->len + 1 : rest->len);
    return slash != NULL;
}

static int add_rule(struct reading *reading, struct acl_node *root, struct slice filter,
                    unsigned rights)
{
    bool is_pattern = root == &reading->acl->patterns;
    struct acl_node *node = root;
    struct slice level;
    bool has_more;

    do {
        has_more = take_level(&filter, &level);
        if (level.len == 1 && level.data[0] == '#') {
            node->below |= (uint8_t)rights;
            return ACL_OK;
        }
        node = find_or_add(reading->acl, node, level, is_pattern);
        if (!node) {
            return -ENOMEM;
        }
    } while (has_more);
    node->here |= (uint8_t)rights;
    return ACL_OK;
}

static struct slice trim_front(struct slice text)
{
    while (text.len > 0 && text.data[0] == ' ') {
        text = slice_skip(text, 1);
    }
    return text;
}

/* The next word, and the rest without the spaces before it. */
static struct slice take_word(struct slice *text)
{
    size_t len = 0;
    struct slice word;

    *text = trim_front(*text);
    while (len < text->len && text->data[len] != ' ') {
        len++;
    }
    word = slice_of(text->data, len);
    *text = trim_front(slice_skip(*text, len));
    return word;
}

static bool is_word(struct slice word, const char *text)
{
    return slice_is_equal(word, slice_of_text(text));
}

/* 0: none of them. */
static unsigned rights_of(struct slice word)
{
    static const struct {
        const char *word;
        unsigned rights;
    } words[] = {
        {"read",      ACL_READ },
        {"write",     ACL_WRITE},
        {"readwrite", ACL_ALL  },
        {"deny",      DENY     }
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (is_word(word, words[i].word)) {
            return words[i].rights;
        }
    }
    return 0;
}

/* As it is when a name stands in it: a level that is none is seen. */
static bool is_valid(struct slice filter, bool is_pattern)
{
    uint8_t copy[65536];
    size_t len = 0;

    if (!is_pattern) {
        return mqtt_filter_is_valid(filter);
    }
    while (filter.len > 0 && len < sizeof(copy)) {
        const struct marker *marker = find_marker(filter);

        copy[len++] = marker ? (uint8_t)'x' : filter.data[0];
        filter = slice_skip(filter, marker ? strlen(marker->text) : 1);
    }
    return filter.len == 0 && mqtt_filter_is_valid(slice_of(copy, len));
}

/* What looks like the name of somebody and is none of ours, as far as its end; empty: nothing does.
 */
static struct slice find_unknown_name(struct slice pattern)
{
    struct slice front = slice_of_text("%{");

    for (; pattern.len > 0; pattern = slice_skip(pattern, 1)) {
        if (begins_with(pattern, front) && !find_marker(pattern)) {
            const uint8_t *end = memchr(pattern.data, '}', pattern.len);

            return slice_of(pattern.data, end ? (size_t)(end - pattern.data) + 1 : pattern.len);
        }
    }
    return slice_of(NULL, 0);
}

static int read_pattern(struct reading *reading, struct slice filter, unsigned rights)
{
    struct acl *acl = reading->acl;
    unsigned names = names_in(filter);
    struct slice unknown = find_unknown_name(filter);

    if (unknown.len > 0) {
        return access_lines_complain(
            &reading->lines, ACL_WRONG,
            "No name in an ACL pattern: \"%s\". There are %%c, %%u, %%{authority} and %%{alpn}.",
            excerpt(unknown).text);
    }
    if (names == 0) {
        report_warning(reading->lines.report, &reading->lines.place,
                       "The ACL pattern '%s' has neither %%c nor %%u: it is for everybody.",
                       excerpt(filter).text);
    }
    acl->has_patterns = true;
    acl->named |= (uint8_t)names;
    acl->denied |= rights == DENY ? (uint8_t)names : 0;
    return add_rule(reading, &acl->patterns, filter, rights);
}

/* "topic [read|write|readwrite|deny] FILTER"; a filter with spaces needs the word before it. */
static int read_rule(struct reading *reading, struct slice text, bool is_pattern)
{
    struct slice rest = text;
    struct slice word = take_word(&rest);
    struct slice filter = rest.len > 0 ? rest : word;
    unsigned rights = rest.len > 0 ? rights_of(word) : ACL_ALL;

    if (filter.len == 0) {
        return access_lines_complain(&reading->lines, ACL_WRONG, "Empty topic in the ACL file.");
    }
    if (rights == 0) {
        return access_lines_complain(&reading->lines, ACL_WRONG,
                                     "Invalid topic access type \"%s\" in the ACL file.",
                                     excerpt(word).text);
    }
    if (!is_valid(filter, is_pattern)) {
        return access_lines_complain(&reading->lines, ACL_WRONG, "Invalid ACL topic \"%s\".",
                                     excerpt(filter).text);
    }
    return is_pattern ? read_pattern(reading, filter, rights)
                      : add_rule(reading, reading->section, filter, rights);
}

static struct user *find_user(const struct acl *acl, struct slice name)
{
    struct table_link *link = table_find(&acl->users, hash_bytes(&acl->key, name));

    for (; link; link = table_find_next(link)) {
        struct user *user = CONTAINER_OF(link, struct user, link);

        if (slice_is_equal(user->name, name)) {
            return user;
        }
    }
    return NULL;
}

/* One user may have several sections. */
static int begin_user(struct reading *reading, struct slice name)
{
    struct acl *acl = reading->acl;
    struct user *user = find_user(acl, name);

    if (name.len == 0) {
        return access_lines_complain(&reading->lines, ACL_WRONG,
                                     "Missing user name in the ACL file.");
    }
    if (!utf8_is_valid(name)) {
        return access_lines_complain(&reading->lines, ACL_WRONG,
                                     "A user name that no client can have: it is not UTF-8.");
    }
    if (!user) {
        user = arena_alloc(&acl->arena, sizeof(*user));
        if (!user) {
            return -ENOMEM;
        }
        user->name = slice_of(arena_copy(&acl->arena, name), name.len);
        root_init(acl, &user->root);
        user->number = acl->root_len;
        if (!user->name.data ||
            table_add(&acl->users, &user->link, hash_bytes(&acl->key, name)) < 0) {
            return -ENOMEM;
        }
    }
    reading->section = &user->root;
    return ACL_OK;
}

static int read_line(struct reading *reading, struct slice text)
{
    struct slice word = take_word(&text);

    if (is_word(word, "topic")) {
        return read_rule(reading, text, false);
    }
    if (is_word(word, "pattern")) {
        return read_rule(reading, text, true);
    }
    if (is_word(word, "user")) {
        return begin_user(reading, text);
    }
    return access_lines_complain(&reading->lines, ACL_WRONG, "Invalid line in the ACL file: %s.",
                                 excerpt(word).text);
}

static int read_all(struct reading *reading)
{
    enum access_lines_verdict verdict;
    struct slice line;
    int r = ACL_OK;

    while (r == ACL_OK &&
           (verdict = access_lines_take(&reading->lines, &line)) != ACCESS_LINES_END) {
        r = verdict == ACCESS_LINES_TAKEN ? read_line(reading, line) : ACL_WRONG;
    }
    return r;
}

int acl_parse(const struct acl_request *request, struct acl **acl_out)
{
    CLEANUP(acl_free) struct acl *acl = memory_alloc_zero(1, sizeof(*acl));
    struct reading reading = {
        .lines = {"ACL file", request->report, {request->path, 0}, request->text},
        .acl = acl,
    };
    int r;

    if (!acl) {
        return -ENOMEM;
    }
    arena_init(&acl->arena);
    table_init(&acl->nodes);
    table_init(&acl->users);
    /* Fixed: what is in the tables is the operator's choice, not a stranger's. */
    hash_key_make(&acl->key, 2);
    root_init(acl, &acl->anonymous);
    assert(acl->root_len == ANONYMOUS);
    root_init(acl, &acl->patterns);
    reading.section = &acl->anonymous;
    r = read_all(&reading);
    if (r == ACL_OK) {
        *acl_out = TAKE(acl);
    }
    return r;
}

static void empty(struct table *table)
{
    struct table_link *link;

    while ((link = table_any(table)) != NULL) {
        table_remove(table, link);
    }
    table_deinit(table);
}

struct acl *acl_free(struct acl *acl)
{
    if (acl) {
        empty(&acl->nodes);
        empty(&acl->users);
        arena_deinit(&acl->arena);
        memory_free(acl);
    }
    return NULL;
}

/* Asking */

static bool has_any(struct slice text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(bytes, text.data[i]) && text.data[i] != '\0') {
            return true;
        }
    }
    return false;
}

static struct slice name_of(const struct acl_who *who, enum acl_name name)
{
    switch (name) {
    case ACL_CLIENT_ID: return who->client_id;
    case ACL_USERNAME: return who->username;
    case ACL_AUTHORITY: return who->tls ? who->tls->authority : slice_of(NULL, 0);
    default: return who->tls ? who->tls->alpn : slice_of(NULL, 0);
    }
}

/* A host name with a dot behind is another spelling of the one without, which nobody sends. */
static bool is_plain(enum acl_name name, struct slice text)
{
    return text.len > 0 && !has_any(text, "#+/") &&
           !(name == ACL_AUTHORITY && text.data[text.len - 1] == '.');
}

static uint8_t plain_names(const struct acl_who *who)
{
    unsigned plain = 0;

    for (unsigned i = 0; i < ACL_NAME_LEN; i++) {
        enum acl_name name = (enum acl_name)i;

        plain |= is_plain(name, name_of(who, name)) ? 1u << i : 0;
    }
    return (uint8_t)plain;
}

/* Without patterns that name somebody, rights hang on the tree alone that is asked first. */
static uint64_t group_of(const struct acl *acl, const struct acl_who *who, const struct user *user)
{
    uint64_t tree = user ? user->number : who->own ? ANONYMOUS : 0;

    return acl->named == 0 || who->has_no_patterns ? 1 + 2 * tree + who->has_no_patterns : 0;
}

/*
 * Whoever has a wildcard in its name gets nothing by patterns at all, as with Mosquitto. The same
 * for a name that a pattern would have to deny something for, and can't stand in it; also for one
 * that is not there, but for clients without a user name, who are no user.
 */
void acl_look_up(const struct acl *acl, struct slice client_id, const struct slice *username,
                 const struct acl_tls *tls, struct acl_who *who_out)
{
    const struct user *user = username ? find_user(acl, *username) : NULL;
    unsigned exempt = username ? 0 : 1u << ACL_USERNAME;

    *who_out = (struct acl_who){
        .client_id = client_id,
        .username = username ? *username : slice_of(NULL, 0),
        .tls = tls,
        .own = !username ? &acl->anonymous
               : user    ? &user->root
                         : NULL,
    };
    who_out->plain = plain_names(who_out);
    who_out->has_no_patterns = !acl->has_patterns || has_any(client_id, "#+") ||
                               has_any(who_out->username, "#+") ||
                               (acl->denied & ~(who_out->plain | exempt)) != 0;
    who_out->group = group_of(acl, who_out, user);
}

static uint8_t small_letter(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool begins_with_host(struct slice level, struct slice host)
{
    size_t i = 0;

    while (i < host.len && i < level.len && level.data[i] == small_letter(host.data[i])) {
        i++;
    }
    return i == host.len;
}

/* Takes a name off the front of a level. False: it does not begin with that. */
static bool take_name(const struct acl_who *who, enum acl_name name, struct slice *level)
{
    struct slice text = name_of(who, name);

    if ((who->plain & 1u << name) == 0 ||
        !(name == ACL_AUTHORITY ? begins_with_host(*level, text) : begins_with(*level, text))) {
        return false;
    }
    *level = slice_skip(*level, text.len);
    return true;
}

/* Whether a level of a pattern, with the names put in, is this one. */
static bool is_named_level(const struct acl_who *who, struct slice pattern, struct slice level)
{
    while (pattern.len > 0) {
        const struct marker *marker = find_marker(pattern);

        if (marker) {
            if (!take_name(who, marker->name, &level)) {
                return false;
            }
        } else if (level.len > 0 && level.data[0] == pattern.data[0]) {
            level = slice_skip(level, 1);
        } else {
            return false;
        }
        pattern = slice_skip(pattern, marker ? strlen(marker->text) : 1);
    }
    return level.len == 0;
}

/* A place in a tree, and what is left of the topic behind it. */
struct step {
    const struct acl_node *node;
    struct slice rest;
    bool is_end;                  /* nothing is left */
    bool has_tried_plus;          /* the child for `+` was gone down to */
    const struct acl_node *named; /* the next one to try */
};

struct walk {
    const struct acl *acl;
    const struct acl_who *who;
    const struct acl_node *root;
    unsigned len;
    unsigned found;
    bool is_filter;
    bool is_internal; /* it begins with $ */
    struct step steps[DEPTH_CAP];
};

static void enter(struct walk *walk, const struct acl_node *node, struct slice rest, bool is_end)
{
    bool hides_wildcards = node == walk->root && walk->is_internal;

    assert(walk->len < DEPTH_CAP);
    walk->found |= hides_wildcards ? 0 : node->below;
    if (is_end) {
        walk->found |= node->here;
        return;
    }
    walk->steps[walk->len++] = (struct step){
        .node = node,
        .rest = rest,
        .has_tried_plus = hides_wildcards,
        .named = hides_wildcards ? NULL : node->named,
    };
}

static bool is_hash(struct slice level)
{
    return level.len == 1 && level.data[0] == '#';
}

/* Goes on from the last step: down to the next child that fits, or back. */
static void step(struct walk *walk)
{
    struct step *at = &walk->steps[walk->len - 1];
    struct slice rest = at->rest;
    struct slice level;
    bool is_end = !take_level(&rest, &level);
    const struct acl_node *child;

    if (walk->is_filter && is_hash(level)) {
        walk->len--;
        return;
    }
    if (!at->has_tried_plus && at->node->plus) {
        at->has_tried_plus = true;
        enter(walk, at->node->plus, rest, is_end);
        return;
    }
    while (at->named && !(walk->is_filter && is_plus(level))) {
        child = at->named;
        at->named = child->next;
        if (is_named_level(walk->who, child->level, level)) {
            enter(walk, child, rest, is_end);
            return;
        }
    }
    child = at->node->has_levels ? find_child(walk->acl, at->node, level) : NULL;
    walk->len--;
    if (child) {
        enter(walk, child, rest, is_end);
    }
}

static unsigned gather(const struct acl *acl, const struct acl_who *who,
                       const struct acl_node *root, struct slice text, bool is_filter)
{
    struct walk UNINITIALIZED walk;

    assert(text.len > 0);
    walk.acl = acl;
    walk.who = who;
    walk.root = root;
    walk.len = 0;
    walk.found = 0;
    walk.is_filter = is_filter;
    walk.is_internal = text.data[0] == '$';
    enter(&walk, root, text, false);
    while (walk.len > 0 && (walk.found & DENY) == 0) {
        step(&walk);
    }
    return walk.found;
}

/* DENY and nothing else, or what is granted. */
static unsigned found_in(const struct acl *acl, const struct acl_who *who,
                         const struct acl_node *root, struct slice text, bool is_filter)
{
    unsigned found = root ? gather(acl, who, root, text, is_filter) : 0;

    return (found & DENY) != 0 ? DENY : found;
}

static unsigned rights_for(const struct acl *acl, const struct acl_who *who, struct slice text,
                           bool is_filter)
{
    unsigned own = found_in(acl, who, who->own, text, is_filter);
    unsigned patterns;

    if (own == DENY || own == ACL_ALL || who->has_no_patterns) {
        return own & ACL_ALL;
    }
    patterns = found_in(acl, who, &acl->patterns, text, is_filter);
    return (own | patterns) & ACL_ALL;
}

unsigned acl_rights(const struct acl *acl, const struct acl_who *who, struct slice topic)
{
    return rights_for(acl, who, topic, false);
}

bool acl_covers(const struct acl *acl, const struct acl_who *who, struct slice filter)
{
    return (rights_for(acl, who, filter, true) & ACL_READ) != 0;
}
