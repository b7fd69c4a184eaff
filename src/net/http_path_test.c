#include "base/test.h"
#include "net/http_path.h"

#include <stdlib.h>

static const struct {
    const char *path;
    const char *decoded; /* NULL: refused */
} cases[] = {
    {"/",              ""        },
    {"/a",             "a"       },
    {"/a/b.html",      "a/b.html"},
    {"/a/",            "a/"      },
    {"/a%20b%2Fc",     "a b/c"   },
    {"/%c3%a4",        "\xc3\xa4"},
    {"/a..b/c.",       "a..b/c." },
    {"",               NULL      },
    {"a",              NULL      },
    {"//a",            NULL      },
    {"/a//b",          NULL      },
    {"/a/%2fb",        NULL      },
    {"/.",             NULL      },
    {"/..",            NULL      },
    {"/../a",          NULL      },
    {"/a/../b",        NULL      },
    {"/a/..",          NULL      },
    {"/%2e%2e/a",      NULL      },
    {"/a/%2E./b",      NULL      },
    {"/.htpasswd",     NULL      },
    {"/a/.git/config", NULL      },
    {"/%2ehtpasswd",   NULL      },
    {"/%00",           NULL      },
    {"/a%0a",          NULL      },
    {"/%7f",           NULL      },
    {"/%",             NULL      },
    {"/%4",            NULL      },
    {"/%4g",           NULL      },
    {"/%%41",          NULL      },
    {"/%252e%252e/",   "%2e%2e/" },
};

static void paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice copy = bytes_copy(slice_of_text(cases[i].path));
        char decoded[HTTP_PATH_CAP];
        bool is_good = http_path_decode(copy, decoded);

        assert_int_equal(is_good, cases[i].decoded != NULL);
        if (is_good) {
            assert_string_equal(decoded, cases[i].decoded);
        }
        bytes_free(copy);
    }
}

static void a_long_path(void **state)
{
    char path[HTTP_PATH_CAP + 2];
    char decoded[HTTP_PATH_CAP];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    assert_true(http_path_decode(slice_of(path, HTTP_PATH_CAP), decoded));
    assert_int_equal(strlen(decoded), HTTP_PATH_CAP - 1);
    assert_false(http_path_decode(slice_of(path, HTTP_PATH_CAP + 1), decoded));
}

static void types(void **state)
{
    (void)state;
    assert_string_equal(http_path_type("a/index.html"), "text/html; charset=utf-8");
    assert_string_equal(http_path_type("mqtt.min.js"), "text/javascript; charset=utf-8");
    assert_string_equal(http_path_type("a.svg"), "image/svg+xml");
    assert_string_equal(http_path_type("html"), "application/octet-stream");
    assert_string_equal(http_path_type(""), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(a_long_path),
        cmocka_unit_test(types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
