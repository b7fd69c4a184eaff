#include "access/acl.h"
#include "access/reading_test.h"
#include "base/random_test.h"
#include "mqtt/topics.h"

static int parse(struct slice text, struct acl **acl_out)
{
    struct slice copy = bytes_copy(text);
    struct acl_request request = {.text = copy, .path = "rules", .report = &report};
    int r;

    said[0] = '\0';
    r = acl_parse(&request, acl_out);
    bytes_free(copy);
    return r;
}

static int parse_and_free(struct slice text)
{
    struct acl *acl = NULL;
    int r = parse(text, &acl);

    assert_true((r == 0) == (acl != NULL));
    acl_free(acl);
    return r;
}

static struct acl *parse_good(const char *text)
{
    struct acl *acl = NULL;

    if (parse(slice_of_text(text), &acl) != ACL_OK) {
        fail_msg("%s", said);
    }
    return acl;
}

static struct acl_who who_of(const struct acl *acl, const char *id, const char *name)
{
    struct slice username = slice_of_text(name ? name : "");
    struct acl_who who;

    acl_look_up(acl, slice_of_text(id), name ? &username : NULL, NULL, &who);
    return who;
}

static unsigned rights_of(const struct acl *acl, const char *id, const char *name,
                          const char *topic)
{
    struct slice copy = bytes_copy(slice_of_text(topic));
    struct acl_who who = who_of(acl, id, name);
    unsigned rights = acl_rights(acl, &who, copy);

    bytes_free(copy);
    return rights;
}

#define R  ACL_READ
#define W  ACL_WRITE
#define RW ACL_ALL

/* Columns: the rules, the client's id and name (NULL: none), a topic, what may be done with it. */
static const struct {
    const char *rules;
    const char *id;
    const char *name;
    const char *topic;
    unsigned rights;
} rights_rows[] = {
  /* What nobody grants is denied. */
    {"",                                                     "c",    NULL,        "a",           0 },
    {"",                                                     "c",    "u",         "a",           0 },
    {"topic a",                                              "c",    NULL,        "a",           RW},
    {"topic readwrite a",                                    "c",    NULL,        "a",           RW},
    {"topic read a",                                         "c",    NULL,        "a",           R },
    {"topic write a",                                        "c",    NULL,        "a",           W },
    {"topic read a\ntopic write a",                          "c",    NULL,        "a",           RW},
    {"topic read a",                                         "c",    NULL,        "b",           0 },
    {"topic read a",                                         "c",    NULL,        "a/b",         0 },
    {"topic read a/b",                                       "c",    NULL,        "a",           0 },
    {"topic read",                                           "c",    NULL,        "read",        RW},
    {"topic read a b",                                       "c",    NULL,        "a b",         R },
    {"  topic   read   a  \r",                               "c",    NULL,        "a",           R },
 /* Wildcards. */
    {"topic read #",                                         "c",    NULL,        "a/b/c",       R },
    {"topic read a/#",                                       "c",    NULL,        "a",           R },
    {"topic read a/#",                                       "c",    NULL,        "a/b/c",       R },
    {"topic read a/#",                                       "c",    NULL,        "ab",          0 },
    {"topic read +",                                         "c",    NULL,        "a",           R },
    {"topic read +",                                         "c",    NULL,        "a/b",         0 },
    {"topic read +/b",                                       "c",    NULL,        "a/b",         R },
    {"topic read a/+/c",                                     "c",    NULL,        "a//c",        R },
    {"topic read a/+",                                       "c",    NULL,        "a/",          R },
    {"topic read /",                                         "c",    NULL,        "/",           R },
    {"topic read a/b\ntopic write a/+\ntopic read +/x",      "c",    NULL,        "a/x",         RW},
 /* $ is for rules that begin with it. */
    {"topic #",                                              "c",    NULL,        "$SYS/a",      0 },
    {"topic +/a",                                            "c",    NULL,        "$SYS/a",      0 },
    {"topic read $SYS/#",                                    "c",    NULL,        "$SYS/a",      R },
    {"topic read $SYS/+",                                    "c",    NULL,        "$SYS/a",      R },
    {"topic read a/#",                                       "c",    NULL,        "a/$SYS",      R },
    {"topic read #\ntopic write $x/#",                       "c",    NULL,        "$x/y",        W },
 /* Deny comes first, wherever it stands. */
    {"topic a\ntopic deny a",                                "c",    NULL,        "a",           0 },
    {"topic deny a\ntopic a",                                "c",    NULL,        "a",           0 },
    {"topic #\ntopic deny a/#",                              "c",    NULL,        "a/b",         0 },
    {"topic #\ntopic deny a/#",                              "c",    NULL,        "a",           0 },
    {"topic #\ntopic deny a/#",                              "c",    NULL,        "b",           RW},
    {"topic deny #\ntopic a",                                "c",    NULL,        "a",           0 },
    {"topic deny +/b\ntopic a/b",                            "c",    NULL,        "a/b",         0 },
 /* Sections. */
    {"topic a\nuser u\ntopic b",                             "c",    NULL,        "a",           RW},
    {"topic a\nuser u\ntopic b",                             "c",    NULL,        "b",           0 },
    {"topic a\nuser u\ntopic b",                             "c",    "u",         "a",           0 },
    {"topic a\nuser u\ntopic b",                             "c",    "u",         "b",           RW},
    {"topic a\nuser u\ntopic b",                             "c",    "v",         "a",           0 },
    {"user u\ntopic a\nuser v\ntopic b\nuser u\ntopic c",    "c",    "u",         "c",           RW},
    {"user u\ntopic a\nuser v\ntopic b\nuser u\ntopic c",    "c",    "u",         "a",           RW},
    {"user u\ntopic a\nuser v\ntopic b\nuser u\ntopic c",    "c",    "u",         "b",           0 },
    {"user a b\ntopic x",                                    "c",    "a b",       "x",           RW},
    {"topic a",                                              "c",    "",          "a",           0 },
    {"topic x/%c",                                           "c",    NULL,        "x/c",         0 },
    {"topic x/%c",                                           "c",    NULL,        "x/%c",        RW},
 /* Patterns. */
    {"pattern x/%c",                                         "c",    NULL,        "x/c",         RW},
    {"pattern x/%c",                                         "c",    "u",         "x/c",         RW},
    {"pattern x/%c",                                         "c",    "u",         "x/u",         0 },
    {"pattern read x/%u",                                    "c",    "u",         "x/u",         R },
    {"pattern read x/%u",                                    "c",    NULL,        "x/u",         0 },
    {"pattern read %u/%c/#",                                 "c",    "u",         "u/c/d",       R },
    {"pattern read a-%c-%u-b",                               "c",    "u",         "a-c-u-b",     R },
    {"pattern read a-%c-%u-b",                               "c",    "u",         "a-c-u-bb",    0 },
    {"pattern read a-%c-%u-b",                               "c",    "u",         "a-c-u-",      0 },
    {"pattern read %c%c",                                    "ab",   NULL,        "abab",        R },
    {"pattern read %q/%",                                    "c",    NULL,        "%q/%",        R },
    {"pattern read everybody/#",                             "c",    "u",         "everybody/x", R },
    {"user u\ntopic a\npattern b/%c",                        "c",    "u",         "a",           RW},
    {"user u\ntopic a\npattern b/%c",                        "c",    "u",         "b/c",         RW},
    {"user u\npattern b/%c\ntopic a",                        "c",    "u",         "a",           RW},
    {"user u\ntopic read x/c\npattern write x/%c",           "c",    "u",         "x/c",         RW},
    {"pattern %c/#",                                         "$SYS", NULL,        "$SYS/a",      0 },
 /* Deny: of patterns, before their grants and behind the user's own. */
    {"pattern #\npattern deny x/%c",                         "c",    NULL,        "x/c",         0 },
    {"pattern #\npattern deny x/%c",                         "c",    NULL,        "x/d",         RW},
    {"user u\ntopic x/c\npattern deny x/%c",                 "c",    "u",         "x/c",         RW},
    {"user u\ntopic read x/c\npattern deny x/%c\npattern #", "c",    "u",         "x/c",         R },
    {"user u\ntopic deny x/c\npattern #",                    "c",    "u",         "x/c",         0 },
 /* What can't stand in a pattern widens none. */
    {"pattern x/%c",                                         "#",    NULL,        "x/a",         0 },
    {"pattern x/%c",                                         "#",    NULL,        "x/#",         0 },
    {"pattern x/%c",                                         "+",    NULL,        "x/a",         0 },
    {"pattern x/%c/#",                                       "a/b",  NULL,        "x/a/b/c",     0 },
    {"pattern x/%c/#",                                       "a/b",  NULL,        "x/a/b",       0 },
    {"pattern x/%u",                                         "c",    "#",         "x/a",         0 },
    {"pattern x/%u",                                         "c",    "a+",        "x/ab",        0 },
    {"pattern x/%u/#",                                       "c",    "a/b",       "x/a/b/c",     0 },
    {"pattern x/%u/#",                                       "c",    "",          "x//a",        0 },
    {"pattern %u/#",                                         "c",    "",          "/a",          0 },
    {"pattern x%u/#",                                        "c",    "",          "x/a",         0 },
    {"pattern %u/#",                                         "c",    "u",         "u/a",         RW},
    {"pattern x/%c/#\npattern y/#",                          "a/b",  NULL,        "y/a",         RW},
    {"pattern x/%u/#\npattern y/#",                          "c",    "a/b",       "y/a",         RW},
 /* With a wildcard in it, nothing at all by patterns, as with Mosquitto. */
    {"pattern y/#",                                          "#",    NULL,        "y/a",         0 },
    {"pattern y/#",                                          "c",    "+",         "y/a",         0 },
    {"topic y/#\npattern z/#",                               "#",    NULL,        "y/a",         RW},
 /* Nor when something would have to be denied to it. */
    {"pattern #\npattern deny x/%c",                         "a/b",  NULL,        "x/a/b",       0 },
    {"pattern #\npattern deny x/%c",                         "a/b",  NULL,        "y",           0 },
    {"pattern #\npattern deny x/%u",                         "a/b",  NULL,        "y",           RW},
    {"pattern #\npattern deny x/%u",                         "c",    "a/b",       "y",           0 },
    {"pattern #\npattern deny x/%u",                         "c",    "",          "y",           0 },
 /* Names that look alike are others. */
    {"pattern x/%u",                                         "c",    "u\xcc\x88", "x/\xc3\xbc",  0 },
    {"user \xc3\xbc\ntopic a",                               "c",    "u\xcc\x88", "a",           0 },
    {"user \xc3\xbc\ntopic a",                               "c",    "\xc3\xbc",  "a",           RW},
    {"user u\ntopic a",                                      "c",    "U",         "a",           0 },
    {"# x\n\n#\ntopic a\n   \n",                             "c",    NULL,        "a",           RW},
};

static void test_rights(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rights_rows); i++) {
        struct acl *acl = parse_good(rights_rows[i].rules);
        unsigned rights =
            rights_of(acl, rights_rows[i].id, rights_rows[i].name, rights_rows[i].topic);

        if (rights != rights_rows[i].rights) {
            fail_msg("row %zu, \"%s\", %s: %u", i, rights_rows[i].rules, rights_rows[i].topic,
                     rights);
        }
        acl_free(acl);
    }
}

/* Of client c and user u. Columns: the rules, what TLS told, a topic, what may be done with it. */
static const struct {
    const char *rules;
    const char *authority;
    const char *alpn;
    const char *topic;
    unsigned rights;
} tls_rows[] = {
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/a.example/x",      RW},
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/a.example",        RW},
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/b.example/x",      0 },
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/a.examples/x",     0 },
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/a.exampl/x",       0 },
    {"pattern t/%{authority}/#",                             "a.example",        "",     "t/%{authority}/x",   0 },
    {"pattern read p/%{alpn}",                               "a.example",        "mqtt", "p/mqtt",             R },
    {"pattern read p/%{alpn}",                               "a.example",        "mqtt", "p/a.example",        0 },
    {"pattern read p/%{alpn}",                               "a.example",        "MQTT", "p/mqtt",             0 },
    {"pattern read %{authority}/%u/%c/%{alpn}",              "a",                "m",    "a/u/c/m",            R },
    {"pattern read x-%{authority}-%c%{alpn}-y",              "a",                "m",    "x-a-cm-y",           R },
    {"pattern read x-%{authority}-%c%{alpn}-y",              "a",                "m",    "x-a-cm-yy",          0 },
    {"pattern read x-%{authority}-%c%{alpn}-y",              "a",                "m",    "x-a-cm-",            0 },
    {"pattern read %{authority}%{authority}",                "a",                "",     "aa",                 R },
    {"pattern read %%{authority}",                           "a",                "",     "%a",                 R },
    {"topic read t/%{authority}",                            "a",                "",     "t/a",                0 },
    {"pattern read t/%{authority}",                          "$SYS",             "",     "t/$sys",             R },
    {"pattern read %{authority}/#",                          "$sys",             "",     "$sys/a",             0 },
    {"user u\ntopic read t/a\npattern write t/%{authority}", "a",                "",     "t/a",                RW},
 /* A host name has no case: it is written in small letters. */
    {"pattern t/%{authority}",                               "A.Example",        "",     "t/a.example",        RW},
    {"pattern t/%{authority}",                               "A.Example",        "",     "t/A.Example",        0 },
    {"pattern t/%{authority}",                               "a.example",        "",     "t/A.example",        0 },
    {"pattern t/%{authority}",                               "\xC3\x84.example", "",     "t/\xC3\x84.example", RW},
 /* What is not there, or can't stand in a pattern, is nobody, and widens none. */
    {"pattern t/%{authority}/#",                             "",                 "",     "t//x",               0 },
    {"pattern t%{authority}/#",                              "",                 "",     "t/x",                0 },
    {"pattern %{authority}/#",                               "",                 "",     "/x",                 0 },
    {"pattern t/%{authority}/#",                             "#",                "",     "t/x",                0 },
    {"pattern t/%{authority}/#",                             "#",                "",     "t/#",                0 },
    {"pattern t/%{authority}/#",                             "+",                "",     "t/x",                0 },
    {"pattern t/%{authority}/#",                             "a/b",              "",     "t/a/b",              0 },
    {"pattern t/%{authority}/#",                             "a/b",              "",     "t/a/b/c",            0 },
    {"pattern t/%{authority}/#",                             "a.example.",       "",     "t/a.example",        0 },
    {"pattern t/%{authority}/#",                             "a.example.",       "",     "t/a.example./x",     0 },
    {"pattern t/%{authority}/#",                             ".",                "",     "t/.",                0 },
    {"pattern p/%{alpn}",                                    "a",                "",     "p/",                 0 },
    {"pattern p/%{alpn}/#",                                  "a",                "x/y",  "p/x/y",              0 },
    {"pattern p/%{alpn}",                                    "a",                "+",    "p/m",                0 },
    {"pattern p/%{alpn}",                                    "a",                "m.",   "p/m.",               RW},
    {"pattern t/%{authority}/#\npattern y/#",                "a/b",              "#",    "y/a",                RW},
    {"pattern t/%{authority}/#\npattern y/#",                "",                 "",     "y/a",                RW},
    {"user u\ntopic y/#\npattern deny t/%{authority}",       "",                 "",     "y/a",                RW},
 /* But if something would have to be denied to it, it gets nothing by patterns. */
    {"pattern #\npattern deny t/%{authority}",               "a",                "",     "t/a",                0 },
    {"pattern #\npattern deny t/%{authority}",               "A",                "",     "t/a",                0 },
    {"pattern #\npattern deny t/%{authority}",               "a",                "",     "t/b",                RW},
    {"pattern #\npattern deny t/%{authority}",               "",                 "",     "t/b",                0 },
    {"pattern #\npattern deny t/%{authority}",               "a/b",              "",     "y",                  0 },
    {"pattern #\npattern deny t/%{authority}",               "a.",               "",     "t/a",                0 },
    {"pattern #\npattern deny t/%{alpn}",                    "a",                "",     "y",                  0 },
    {"pattern #\npattern deny t/%{alpn}",                    "",                 "m",    "y",                  RW},
};

static void test_tls_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tls_rows); i++) {
        struct acl *acl = parse_good(tls_rows[i].rules);
        struct acl_tls tls = {bytes_copy(slice_of_text(tls_rows[i].authority)),
                              bytes_copy(slice_of_text(tls_rows[i].alpn))};
        struct slice topic = bytes_copy(slice_of_text(tls_rows[i].topic));
        struct slice username = slice_of_text("u");
        struct acl_who who;
        unsigned rights;

        acl_look_up(acl, slice_of_text("c"), &username, &tls, &who);
        rights = acl_rights(acl, &who, topic);
        if (rights != tls_rows[i].rights) {
            fail_msg("row %zu, \"%s\", %s: %u", i, tls_rows[i].rules, tls_rows[i].topic, rights);
        }
        if (!*tls_rows[i].authority && !*tls_rows[i].alpn) {
            acl_look_up(acl, slice_of_text("c"), &username, NULL, &who);
            assert_int_equal(acl_rights(acl, &who, topic), rights);
        }
        bytes_free(topic);
        bytes_free(tls.alpn);
        bytes_free(tls.authority);
        acl_free(acl);
    }
}

/* Whether SUBSCRIBE lies within what may be read. */
static void test_covers(void **state)
{
    static const struct {
        const char *rules;
        const char *filter;
        bool covers;
    } rows[] = {
        {"",                               "a",       false},
        {"topic read a",                   "a",       true },
        {"topic write a",                  "a",       false},
        {"topic read a",                   "+",       false},
        {"topic read a",                   "#",       false},
        {"topic read a",                   "a/#",     false},
        {"topic read a/#",                 "a",       true },
        {"topic read a/#",                 "a/b",     true },
        {"topic read a/#",                 "a/+",     true },
        {"topic read a/#",                 "a/+/c/#", true },
        {"topic read a/#",                 "a/#",     true },
        {"topic read a/#",                 "+/b",     false},
        {"topic read a/#",                 "#",       false},
        {"topic read #",                   "#",       true },
        {"topic read #",                   "+/+",     true },
        {"topic read #",                   "$SYS/#",  false},
        {"topic read $SYS/#",              "$SYS/#",  true },
        {"topic read a/+",                 "a/b",     true },
        {"topic read a/+",                 "a/+",     true },
        {"topic read a/+",                 "a/#",     false},
        {"topic read a/+",                 "a",       false},
        {"topic read +/+/c",               "a/+/c",   true },
        {"topic read +/+/c",               "+/+/+",   false},
        {"topic read a/b\ntopic read a/c", "a/+",     false},
        {"topic read #\ntopic deny a/#",   "a/b",     false},
        {"topic read #\ntopic deny a/#",   "a/#",     false},
        {"topic read #\ntopic deny a/#",   "#",       true },
        {"pattern read x/%c/#",            "x/c/d",   true },
        {"pattern read x/%c/#",            "x/c/#",   true },
        {"pattern read x/%c/#",            "x/+/#",   false},
        {"pattern read x/%c/#",            "x/#",     false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct acl *acl = parse_good(rows[i].rules);
        struct acl_who who = who_of(acl, "c", NULL);
        struct slice filter = bytes_copy(slice_of_text(rows[i].filter));

        if (acl_covers(acl, &who, filter) != rows[i].covers) {
            fail_msg("row %zu, \"%s\", %s", i, rows[i].rules, rows[i].filter);
        }
        bytes_free(filter);
        acl_free(acl);
    }
}

#define NO_NAME(text) \
    "No name in an ACL pattern: \"" text "\". There are %c, %u, %{authority} and %{alpn}."

static void test_refused(void **state)
{
    /* clang-format off */
    static const struct refused_row rows[] = {
        ROW("topic", "Empty topic in the ACL file.", 1),
        ROW("\n\ntopic   ", "Empty topic in the ACL file.", 3),
        ROW("pattern\n", "Empty topic in the ACL file.", 1),
        ROW("topic a\nuser\ntopic b", "Missing user name in the ACL file.", 2),
        ROW("user   ", "Missing user name in the ACL file.", 1),
        ROW("user \xff", "A user name that no client can have: it is not UTF-8.", 1),
        ROW("topic bad a", "Invalid topic access type \"bad\" in the ACL file.", 1),
        ROW("topic a b", "Invalid topic access type \"a\" in the ACL file.", 1),
        ROW("topic READ a", "Invalid topic access type \"READ\" in the ACL file.", 1),
        ROW("topic a/#/b", "Invalid ACL topic \"a/#/b\".", 1),
        ROW("topic read a+", "Invalid ACL topic \"a+\".", 1),
        ROW("topic read \xff", "Invalid ACL topic \"\\xff\".", 1),
        ROW("pattern read +%c", "Invalid ACL topic \"+%c\".", 1),
        ROW("pattern read %u#", "Invalid ACL topic \"%u#\".", 1),
        ROW("pattern read +%{alpn}", "Invalid ACL topic \"+%{alpn}\".", 1),
        ROW("pattern read %c\npattern t/%{authorty}/x", NO_NAME("%{authorty}"), 2),
        ROW("pattern t/%{alpn}/%{", NO_NAME("%{"), 1),
        ROW("pattern t/%{Alpn}", NO_NAME("%{Alpn}"), 1),
        ROW("pattern t/%{/x", NO_NAME("%{/x"), 1),
        ROW("Topic a", "Invalid line in the ACL file: Topic.", 1),
        ROW("topic a\n # b", "Invalid line in the ACL file: #.", 2),
        ROW("\ttopic a", "Invalid line in the ACL file: \\x09topic.", 1),
        ROW("topics a", "Invalid line in the ACL file: topics.", 1),
        ROW("a\0b", "A zero byte in the ACL file: this is no text file.", 1),
        ROW("topic a\n\x7f" "ELF\2\1\1\0\0", "A zero byte in the ACL file: this is no text file.", 2),
    };
    /* clang-format on */

    (void)state;
    expect_refused(rows, ARRAY_LEN(rows), "rules", parse_and_free, ACL_WRONG);
}

static void test_pattern_without_a_name(void **state)
{
    (void)state;
    acl_free(parse_good("pattern read x"));
    assert_string_equal(
        said,
        "Warning: The ACL pattern 'x' has neither %c nor %u: it is for everybody. (rules:1)\n");
}

/* As deep as a topic may be, and no deeper for the stack. */
static void test_deep(void **state)
{
    char rules[3000] = "topic read ";
    char topic[1000] = "";
    struct acl *acl;

    (void)state;
    for (unsigned i = 0; i < MQTT_TOPIC_LEVEL_MAX; i++) {
        strcat(rules, i % 2 ? "+/" : "a/");
        strcat(topic, "a/");
    }
    strcat(rules, "#");
    acl = parse_good(rules);
    assert_int_equal(rights_of(acl, "c", NULL, topic), ACL_READ);
    topic[0] = 'b';
    assert_int_equal(rights_of(acl, "c", NULL, topic), 0);
    acl_free(acl);
}

/* Against rules that are looked at one by one. */

#define PATTERNS 3

struct naive_rule {
    unsigned section; /* 0: without a name; 1, 2: users; PATTERNS */
    unsigned rights;  /* 4: deny */
    char filter[64];
};

static void put_name(char *to, size_t cap, const char *pattern, const char *id, const char *name)
{
    size_t len = 0;

    for (const char *at = pattern; *at; at++) {
        if (at[0] == '%' && (at[1] == 'c' || at[1] == 'u')) {
            len += (size_t)snprintf(to + len, cap - len, "%s", at[1] == 'c' ? id : name);
            at++;
        } else {
            to[len++] = *at;
        }
    }
    to[len] = '\0';
}

struct naive_who {
    unsigned section;
    const char *id;
    const char *name; /* NULL: none */
};

/* The filter that the rule is for this client; false: it is none of its rules. */
static bool naive_filter(const struct naive_rule *rule, const struct naive_who *who,
                         const char *topic, char *filter, size_t cap)
{
    if (rule->section != PATTERNS) {
        snprintf(filter, cap, "%s", rule->filter);
        return rule->section == who->section;
    }
    if ((!who->name && strstr(rule->filter, "%u")) || (*topic == '$' && rule->filter[0] != '$')) {
        return false;
    }
    put_name(filter, cap, rule->filter, who->id, who->name ? who->name : "");
    return true;
}

static unsigned naive_rights(const struct naive_rule *rules, unsigned len, struct naive_who who,
                             const char *topic)
{
    unsigned own = 0;
    unsigned patterns = 0;

    for (unsigned i = 0; i < len; i++) {
        char filter[256];

        if (!naive_filter(&rules[i], &who, topic, filter, sizeof(filter))) {
            continue;
        }
        if (mqtt_filter_matches(slice_of_text(filter), slice_of_text(topic))) {
            *(rules[i].section == PATTERNS ? &patterns : &own) |= rules[i].rights;
        }
    }
    own = own & 4 ? 4 : own;
    patterns = patterns & 4 ? 0 : patterns;
    return own == 4 ? 0 : (own | patterns) & ACL_ALL;
}

static void make_levels(struct dice *dice, char *text, const char *const *words, unsigned word_len)
{
    unsigned len = 1 + dice_below(dice, 4);

    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        const char *word = words[dice_below(dice, word_len)];

        if (strcmp(word, "#") == 0 && i + 1 < len) {
            word = "+";
        }
        strcat(text, i > 0 ? "/" : "");
        strcat(text, word);
    }
}

static const char *const rule_names[] = {NULL, "u", "v", "w"};

/* One more rule, and its line. */
static void make_rule(struct dice *dice, unsigned section, struct naive_rule *rule, char *line,
                      size_t cap)
{
    static const char *const filter_words[] = {"a", "b", "", "+", "+", "#", "$x", "aa"};
    static const char *const pattern_words[] = {"a",  "b",   "+",    "#", "%c",
                                                "%u", "a%c", "%c%u", "$x"};
    static const char *const rights_words[] = {"", "read", "write", "readwrite", "deny"};
    static const unsigned rights_bits[] = {3, 1, 2, 3, 4};
    unsigned right = dice_below(dice, 12) == 0 ? 4 : dice_below(dice, 4);
    bool is_pattern = dice_below(dice, 3) == 0;

    rule->section = is_pattern ? PATTERNS : section;
    rule->rights = rights_bits[right];
    do {
        make_levels(dice, rule->filter, is_pattern ? pattern_words : filter_words,
                    is_pattern ? ARRAY_LEN(pattern_words) : ARRAY_LEN(filter_words));
    } while (rule->filter[0] == '\0');
    snprintf(line, cap, "%s %s %s\n", is_pattern ? "pattern" : "topic",
             rights_words[right == 0 ? 3 : right], rule->filter);
}

/* Answers how many there are. */
static unsigned make_rules(struct dice *dice, struct naive_rule *rules, unsigned cap, char *text,
                           size_t text_cap)
{
    static const char *const headings[] = {"", "user u\n", "user v\n"};
    unsigned len = dice_below(dice, cap + 1);
    unsigned section = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        if (dice_below(dice, 5) == 0) {
            section = 1 + dice_below(dice, 2);
            strcat(text, headings[section]);
        }
        make_rule(dice, section, &rules[i], text + strlen(text), text_cap - strlen(text));
    }
    return len;
}

static void compare_rights(struct dice *dice, const struct acl *acl, const struct naive_rule *rules,
                           unsigned len, const char *text)
{
    static const char *const topic_words[] = {"a", "b", "", "$x", "u", "c", "ac", "cu", "v", "aa"};
    unsigned number = dice_below(dice, ARRAY_LEN(rule_names));
    struct naive_who who = {number < 3 ? number : 99, "c", rule_names[number]};
    char topic[64];
    unsigned expected;

    do {
        make_levels(dice, topic, topic_words, ARRAY_LEN(topic_words));
    } while (topic[0] == '\0');
    expected = naive_rights(rules, len, who, topic);
    if (rights_of(acl, "c", who.name, topic) != expected) {
        fail_msg("%s: %s of %s: not %u", text, topic, who.name ? who.name : "nobody", expected);
    }
}

static void test_random(void **state)
{
    struct dice dice = {11};

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct naive_rule rules[30];
        char text[4096];
        unsigned len = make_rules(&dice, rules, ARRAY_LEN(rules), text, sizeof(text));
        struct acl *acl = parse_good(text);

        for (unsigned i = 0; i < 60; i++) {
            compare_rights(&dice, acl, rules, len, text);
        }
        acl_free(acl);
    }
}

/* A filter is covered when every topic that it matches may be read, and by one rule. */
static void test_covered_is_readable(void **state)
{
    static const char *const words[] = {"a", "b", "", "+", "#", "$x"};
    static const char *const topic_words[] = {"a", "b", "", "$x", "q"};
    struct dice dice = {5};
    unsigned covered = 0;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        char rules[512] = "";
        char filter[64];
        struct acl *acl;
        struct acl_who who;

        for (unsigned i = 0; i < 3; i++) {
            do {
                make_levels(&dice, filter, words, ARRAY_LEN(words));
            } while (filter[0] == '\0');
            snprintf(rules + strlen(rules), sizeof(rules) - strlen(rules), "topic read %s\n",
                     filter);
        }
        acl = parse_good(rules);
        who = who_of(acl, "c", NULL);
        do {
            make_levels(&dice, filter, words, ARRAY_LEN(words));
        } while (filter[0] == '\0');
        for (unsigned i = 0; acl_covers(acl, &who, slice_of_text(filter)) && i < 30; i++) {
            char topic[64];

            covered += i == 0;
            do {
                make_levels(&dice, topic, topic_words, ARRAY_LEN(topic_words));
            } while (topic[0] == '\0');
            if (mqtt_filter_matches(slice_of_text(filter), slice_of_text(topic)) &&
                (acl_rights(acl, &who, slice_of_text(topic)) & ACL_READ) == 0) {
                fail_msg("%s covers %s, but not %s", rules, filter, topic);
            }
        }
        acl_free(acl);
    }
    assert_true(covered > 300);
}

static void test_no_memory(void **state)
{
    (void)state;
    expect_no_memory("topic a\nuser u\ntopic b/+/#\npattern c/%c/%u", parse_and_free, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_tls_names),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_pattern_without_a_name),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_covered_is_readable),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
