/*
 * Any text as an ACL file: up to a zero byte, and behind that topics to ask about. The first byte
 * lets an allocation fail. Whatever comes, the answer is rules that grant no more than those for
 * everything would, a reported refusal, or -ENOMEM.
 */

#include "access/acl.h"

#include "fuzz.h"
#include "mqtt/topics.h"

#define NAME_LEN 4

static void on_line(void *context, enum log_type type, const char *text)
{
    unsigned *errors = context;

    assert(!strchr(text, '\n'));
    *errors += type == LOG_ERROR;
}

static void ask(const struct acl *acl, const struct acl_who *who, struct slice text)
{
    if (mqtt_topic_is_valid(text)) {
        unsigned rights = acl_rights(acl, who, text);

        assert((rights & ~(unsigned)ACL_ALL) == 0);
        /* A topic is a filter for itself. */
        assert(acl_covers(acl, who, text) == ((rights & ACL_READ) != 0));
    }
    if (mqtt_filter_is_valid(text)) {
        (void)acl_covers(acl, who, text);
    }
}

static void look_up(const struct acl *acl, size_t number, const struct acl_tls *tls,
                    struct acl_who *who_out)
{
    static const char *const names[NAME_LEN] = {NULL, "u", "#", "a/b"};
    struct slice name = slice_of_text(names[number] ? names[number] : "");

    acl_look_up(acl, slice_of_text(number % 2 ? "c" : "c/d"), names[number] ? &name : NULL, tls,
                who_out);
}

/* What can't stand in a pattern is as good as nothing; a host name has no case. */
static void ask_with_tls(const struct acl *acl, size_t number, struct slice text)
{
    static const char *const unfit[] = {"", "#", "+", "a/b", "/", "a#", "a+"};
    struct acl_tls tls = {slice_of_text("a.B"), slice_of_text("m")};
    struct acl_tls small = {slice_of_text("a.b"), slice_of_text("m")};
    struct acl_who who;
    struct acl_who other;

    look_up(acl, number, &tls, &who);
    look_up(acl, number, &small, &other);
    ask(acl, &who, text);
    assert(acl_rights(acl, &who, text) == acl_rights(acl, &other, text));
    look_up(acl, number, NULL, &who);
    for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
        tls = (struct acl_tls){slice_of_text(unfit[i]), slice_of_text(unfit[i])};
        look_up(acl, number, &tls, &other);
        assert(acl_rights(acl, &who, text) == acl_rights(acl, &other, text));
    }
}

static void ask_all(const struct acl *acl, struct slice topics)
{
    while (topics.len > 0) {
        const uint8_t *end = memchr(topics.data, '\n', topics.len);
        struct slice line = slice_of(topics.data, end ? (size_t)(end - topics.data) : topics.len);

        for (size_t i = 0; i < NAME_LEN && line.len > 0; i++) {
            struct acl_who who;

            look_up(acl, i, NULL, &who);
            ask(acl, &who, line);
            if (mqtt_topic_is_valid(line)) {
                ask_with_tls(acl, i, line);
            }
        }
        topics = slice_skip(topics, line.len + (end ? 1 : 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned errors = 0;
    struct report report = {.on_line = on_line, .context = &errors};
    struct acl_request request = {.path = "rules", .report = &report};
    const uint8_t *end;
    struct acl *acl = NULL;
    size_t len;
    int r;

    if (size == 0) {
        return 0;
    }
    end = memchr(data + 1, '\0', size - 1);
    len = end ? (size_t)(end - data) - 1 : size - 1;
    request.text = fuzz_copy(slice_of(data + 1, len));
    memory_fail_after(data[0]);
    r = acl_parse(&request, &acl);
    memory_fail_after(0);
    if (r == ACL_OK) {
        assert(errors == 0);
        ask_all(acl, end ? slice_of(end + 1, size - len - 2) : slice_of_text("a/b"));
    } else {
        assert(r == -ENOMEM || errors > 0);
        assert(!acl);
    }
    acl_free(acl);
    fuzz_free(request.text);
    return 0;
}
