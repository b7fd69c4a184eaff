#include "base/test.h"
#include "net/http_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A folder `top` with files and links, and `secret` beside it:
 *
 *   top/a                  "hello"
 *   top/in/b               ""
 *   top/in/to_a            -> ../a
 *   top/out                -> ../secret
 *   top/away               -> .. (a folder)
 *   top/absolute           -> the absolute path of top/a
 *   top/loop               -> loop
 *   top/pipe               a pipe
 */

static char parent[] = "/tmp/http_file_test.XXXXXX";

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(parent) || chdir(parent) < 0 || mkdir("top", 0700) < 0 ||
        mkdir("top/in", 0700) < 0 || mkfifo("top/pipe", 0600) < 0) {
        return -1;
    }
    write_file("secret", "secret");
    write_file("top/a", "hello");
    write_file("top/in/b", "");
    return symlink("../a", "top/in/to_a") || symlink("../secret", "top/out") ||
           symlink("..", "top/away") || symlink("/etc/passwd", "top/absolute") ||
           symlink("loop", "top/loop");
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", parent);
    return system(command);
}

static const struct {
    const char *path;
    int verdict;
    const char *text;
} cases[] = {
    {"a",               HTTP_FILE_READ,   "hello"},
    {"in/b",            HTTP_FILE_READ,   ""     },
    {"in/to_a",         HTTP_FILE_READ,   "hello"},
    {"",                HTTP_FILE_FOLDER, NULL   },
    {"in",              HTTP_FILE_FOLDER, NULL   },
    {"in/",             HTTP_FILE_FOLDER, NULL   },
    {"none",            HTTP_FILE_NONE,   NULL   },
    {"a/b",             HTTP_FILE_NONE,   NULL   },
    {"out",             HTTP_FILE_NONE,   NULL   },
    {"away/secret",     HTTP_FILE_NONE,   NULL   },
    {"absolute",        HTTP_FILE_NONE,   NULL   },
    {"loop",            HTTP_FILE_NONE,   NULL   },
    {"pipe",            HTTP_FILE_NONE,   NULL   },
    {"../secret",       HTTP_FILE_NONE,   NULL   },
    {"in/../../secret", HTTP_FILE_NONE,   NULL   },
    {"/etc/passwd",     HTTP_FILE_NONE,   NULL   },
};

static void what_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message *message = NULL;

        assert_int_equal(http_file_read("top", cases[i].path, 100, &message), cases[i].verdict);
        assert_int_equal(message != NULL, cases[i].text != NULL);
        if (message) {
            assert_true(slice_is_equal(message_payload(message), slice_of_text(cases[i].text)));
            message_unref(message);
        }
    }
}

static void how_large_it_may_be(void **state)
{
    struct message *message;

    (void)state;
    assert_int_equal(http_file_read("top", "a", 4, &message), HTTP_FILE_TOO_LARGE);
    assert_int_equal(http_file_read("top", "a", 5, &message), HTTP_FILE_READ);
    message_unref(message);
    assert_int_equal(http_file_read("nowhere", "a", 5, &message), HTTP_FILE_NONE);
}

static void without_memory(void **state)
{
    struct message *message;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(http_file_read("top", "a", 5, &message), -ENOMEM);
    memory_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(how_large_it_may_be),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
