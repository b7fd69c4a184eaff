#include "base/test.h"
#include "client/agent.h"

#include <string.h>

static void expect(unsigned full_permille, int32_t max_connections, const char *line)
{
    struct agent_report report = {DRAIN_NONE, full_permille, max_connections};
    char text[AGENT_TEXT_CAP];
    size_t len = agent_format(&report, text);

    assert_int_equal(len, strlen(line));
    assert_memory_equal(text, line, len);
}

static void test_lines(void **state)
{
    (void)state;
    expect(0, -1, "up ready 100%\n");
    expect(274, -1, "up ready 72%\n");
    expect(500, 2000, "up ready 50% maxconn:2000\n");
    expect(500, INT32_MAX, "up ready 50% maxconn:2147483647\n");
}

/* A weight of 0 would be a drain, and HAProxy takes maxconn:0 for no limit. */
static void test_never_nothing(void **state)
{
    (void)state;
    expect(989, -1, "up ready 1%\n");
    expect(1000, -1, "up ready 1%\n");
    expect(5000, 0, "up ready 1% maxconn:1\n");
}

/* Whatever there is room for. */
static void test_drains(void **state)
{
    static const char *const lines[] = {
        [DRAIN_ANNOUNCED] = "drain\n",
        [DRAIN_SENDING] = "drain\n",
        [DRAIN_LAST] = "drain\n",
        [DRAIN_OVER] = "down #drained\n",
    };

    (void)state;
    for (unsigned drain = DRAIN_ANNOUNCED; drain <= DRAIN_OVER; drain++) {
        struct agent_report report = {(enum drain_state)drain, 0, 100};
        char text[AGENT_TEXT_CAP];

        assert_int_equal(agent_format(&report, text), strlen(lines[drain]));
        assert_string_equal(text, lines[drain]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_never_nothing),
        cmocka_unit_test(test_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
