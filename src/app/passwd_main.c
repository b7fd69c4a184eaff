#include "access/password.h"
#include "app/passwd.h"

#include <getopt.h> /* NOLINT(misc-include-cleaner): getopt_long() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * nightjar-passwd: Mosquitto's mosquitto_passwd, with its options and its exit statuses. The file
 * is never seen half written, and two of these at once do not lose each other's work: see
 * app/passwd.h.
 */

#define ITERATIONS_MAX 100000000

/* What is asked for. */
struct request {
    const char *path;
    const char *username;
    const char *password; /* NULL: to be asked for */
    enum password_kind kind;
    struct password_cost cost;
    bool creates;
    bool deletes;
    bool updates;
    bool is_batch;
};

static void print_usage(FILE *out)
{
    fputs("nightjar-passwd keeps password files of nightjar and mosquitto.\n"
          "\n"
          "Usage: nightjar-passwd [-H HASH] [-I N] [-c | -D] FILE USER\n"
          "       nightjar-passwd [-H HASH] [-I N] [-c] -b FILE USER PASSWORD\n"
          "       nightjar-passwd [-H HASH] [-I N] -U FILE\n"
          "\n"
          " -b  take the password from the command line, where others may see it\n"
          " -c  make a new file in place of what is there; - writes to the standard output\n"
          " -D  delete the user\n"
          " -H  argon2id (the default), sha512-pbkdf2 or sha512; mosquitto before 2.1 does not\n"
          "     know argon2id\n"
          " -I  iterations of sha512-pbkdf2, or passes of argon2id\n"
          " -U  hash the passwords of a file that has them in plain text\n",
          out);
}

static bool find_kind(const char *name, enum password_kind *kind_out)
{
    static const struct {
        const char *name;
        enum password_kind kind;
    } kinds[] = {
        {"argon2id",      PASSWORD_ARGON2ID},
        {"sha512-pbkdf2", PASSWORD_PBKDF2  },
        {"sha512",        PASSWORD_SHA512  },
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *kind_out = kinds[i].kind;
            return true;
        }
    }
    fprintf(stderr, "Error: -H %s: argon2id, sha512-pbkdf2 or sha512.\n", name);
    return false;
}

static bool read_iterations(const char *text, uint32_t *iterations_out)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < 1 ||
        number > ITERATIONS_MAX) {
        fprintf(stderr, "Error: -I %s: a number from 1 to %u.\n", text, ITERATIONS_MAX);
        return false;
    }
    *iterations_out = (uint32_t)number;
    return true;
}

/* False: said. */
static bool read_options(int count, char **arguments, struct request *request)
{
    uint32_t iterations = 0;
    int letter;

    request->kind = PASSWORD_ARGON2ID;
    while ((letter = getopt(count, arguments, "bcDH:I:Uh")) != -1) {
        switch (letter) {
        case 'b': request->is_batch = true; break;
        case 'c': request->creates = true; break;
        case 'D': request->deletes = true; break;
        case 'U': request->updates = true; break;
        case 'H':
            if (!find_kind(optarg, &request->kind)) {
                return false;
            }
            break;
        case 'I':
            if (!read_iterations(optarg, &iterations)) {
                return false;
            }
            break;
        default: print_usage(letter == 'h' ? stdout : stderr); return false;
        }
    }
    request->cost = password_default_cost(request->kind);
    if (iterations > 0) {
        request->cost.iterations = iterations;
    }
    return true;
}

static bool read_arguments(int count, char **arguments, struct request *request)
{
    int wanted = request->updates ? 1 : request->is_batch ? 3 : 2;
    bool clash = request->creates + request->deletes + request->updates > 1 ||
                 (request->is_batch && (request->deletes || request->updates));

    if (clash) {
        fputs("Error: -c, -D and -U exclude each other, and -b is for a new password.\n", stderr);
        return false;
    }
    if (count - optind != wanted) {
        print_usage(stderr);
        return false;
    }
    request->path = arguments[optind];
    request->username = wanted > 1 ? arguments[optind + 1] : NULL;
    request->password = wanted > 2 ? arguments[optind + 2] : NULL;
    return true;
}

static int make_line(const struct request *request, const char *password, char **line_out)
{
    char text[PASSWORD_TEXT_CAP];
    int r = password_make(request->kind, &request->cost, slice_of_text(password), text);

    if (r < 0) {
        fprintf(stderr, "Error: Unable to hash the password: %s.\n", strerror(-r));
        return r;
    }
    r = asprintf(line_out, "%s:%s", request->username, text);
    return r < 0 ? -ENOMEM : 0;
}

static int set(const struct request *request)
{
    char password[PASSWD_WORD_CAP];
    struct passwd_change change = {
        .path = request->path, .username = request->username, .creates = request->creates};
    char *line = NULL;
    int r;

    if (!request->password && passwd_ask(password) < 0) {
        return EXIT_FAILURE;
    }
    r = make_line(request, request->password ? request->password : password, &line);
    explicit_bzero(password, sizeof(password));
    if (r < 0) {
        return EXIT_FAILURE;
    }
    if (request->creates && strcmp(request->path, "-") == 0) {
        puts(line);
    } else {
        change.line = line;
        r = passwd_change(&change);
    }
    free(line);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int hash(void *context, const char *password, char text[PASSWORD_TEXT_CAP])
{
    const struct request *request = context;

    return password_make(request->kind, &request->cost, slice_of_text(password), text);
}

static int run(struct request *request)
{
    struct passwd_change change = {.path = request->path, .username = request->username};

    if (request->username && !passwd_name_is_valid(request->username)) {
        return EXIT_FAILURE;
    }
    if (request->updates) {
        return passwd_update(request->path, hash, request) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (request->deletes) {
        return passwd_change(&change) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return set(request);
}

int main(int count, char **arguments)
{
    struct request request = {0};

    if (!read_options(count, arguments, &request) || !read_arguments(count, arguments, &request)) {
        return EXIT_FAILURE;
    }
    return run(&request);
}
