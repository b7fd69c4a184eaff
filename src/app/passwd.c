#include "app/passwd.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "config/files.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define USERNAME_MAX 65535

/* A file that is being changed. */
struct edit {
    const char *path;
    int fd;           /* of what is there, locked */
    struct stat file; /* of it */
    char *text;       /* all of it */
    size_t len;
    char next_path[PATH_MAX + 8];
    FILE *next; /* what takes its place */
};

static int fail(const char *what, const char *path, int r)
{
    fprintf(stderr, "Error: Unable to %s '%s'. %s.\n", what, path, strerror(-r));
    return r;
}

/* The file */

/* The file that the lock is on may have been replaced while it was waited for. */
static bool is_still_there(const struct edit *edit)
{
    struct stat now;

    return stat(edit->path, &now) == 0 && now.st_ino == edit->file.st_ino &&
           now.st_dev == edit->file.st_dev;
}

static int lock(struct edit *edit, bool creates)
{
    do {
        int flags = O_RDWR | O_CLOEXEC | (creates ? O_CREAT : 0);

        if (edit->fd >= 0) {
            close(edit->fd);
        }
        edit->fd = open(edit->path, flags, 0600);
        if (edit->fd < 0) {
            return fail("open password file", edit->path, -errno);
        }
        if (flock(edit->fd, LOCK_EX) < 0 || fstat(edit->fd, &edit->file) < 0) {
            return fail("lock password file", edit->path, -errno);
        }
    } while (!is_still_there(edit));
    if (!S_ISREG(edit->file.st_mode)) {
        return fail("change", edit->path, -EINVAL);
    }
    return 0;
}

static int read_text(struct edit *edit)
{
    int r = files_read(edit->path, &edit->text, &edit->len);

    if (r > 0) {
        r = r == FILES_TOO_LARGE ? -EFBIG : -errno;
    }
    if (r == 0 && memchr(edit->text, '\0', edit->len)) {
        r = -EILSEQ;
    }
    return r < 0 ? fail("read password file", edit->path, r) : 0;
}

/* Beside the file that the name stands for, so that a link stays one. */
static int open_next(struct edit *edit)
{
    char real[PATH_MAX];
    int fd;

    if (!realpath(edit->path, real)) {
        return fail("find", edit->path, -errno);
    }
    snprintf(edit->next_path, sizeof(edit->next_path), "%s.XXXXXX", real);
    fd = mkostemp(edit->next_path, O_CLOEXEC);
    edit->next = fd < 0 ? NULL : fdopen(fd, "w");
    if (!edit->next) {
        int r = -errno;

        if (fd >= 0) {
            close(fd);
            unlink(edit->next_path);
        }
        return fail("write beside", edit->path, r);
    }
    if (fchown(fd, edit->file.st_uid, edit->file.st_gid) < 0 ||
        fchmod(fd, edit->file.st_mode & 07777) < 0) {
        return fail("keep the owner of", edit->path, -errno);
    }
    return 0;
}

static int edit_open(struct edit *edit, const char *path, bool creates)
{
    int r;

    *edit = (struct edit){.path = path, .fd = -1};
    r = lock(edit, creates);
    if (r == 0) {
        r = read_text(edit);
    }
    return r == 0 ? open_next(edit) : r;
}

static int sync_folder(const char *path)
{
    char folder[PATH_MAX + 8];
    char *slash;
    int fd;
    int r;

    snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    assert(slash);
    slash[slash == folder] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return r;
}

static int commit(struct edit *edit)
{
    char path[PATH_MAX + 8];
    size_t len = strlen(edit->next_path) - strlen(".XXXXXX");

    snprintf(path, sizeof(path), "%.*s", (int)len, edit->next_path);
    if (fflush(edit->next) != 0 || fsync(fileno(edit->next)) < 0 ||
        rename(edit->next_path, path) < 0) {
        return fail("write password file", edit->path, -errno);
    }
    fclose(TAKE(edit->next));
    return sync_folder(path);
}

/* The file is as it was unless the edit was committed. */
static void edit_close(struct edit *edit)
{
    if (edit->next) {
        fclose(edit->next);
        unlink(edit->next_path);
    }
    if (edit->text) {
        explicit_bzero(edit->text, edit->len);
        memory_free(edit->text);
    }
    if (edit->fd >= 0) {
        close(edit->fd);
    }
}

/* Its lines */

/* Takes the next one off, with its end. */
static struct slice take_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->len);
    struct slice line = end ? slice_of(text->data, (size_t)(end - text->data) + 1) : *text;

    *text = slice_skip(*text, line.len);
    return line;
}

static struct slice trim(struct slice line)
{
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r')) {
        line.len--;
    }
    return line;
}

/* What stands before the colon; a comment and a line without one have no name. */
static bool find_name(struct slice line, struct slice *name_out)
{
    const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;

    if (!colon || line.data[0] == '#') {
        return false;
    }
    *name_out = slice_of(line.data, (size_t)(colon - line.data));
    return true;
}

static void put(struct edit *edit, struct slice line)
{
    fwrite(line.data, 1, line.len, edit->next);
    if (line.len > 0 && line.data[line.len - 1] != '\n') {
        fputc('\n', edit->next);
    }
}

/* Puts the user's line where it was, or behind all others. Whether the user was there. */
static bool replace(struct edit *edit, const struct passwd_change *change)
{
    struct slice text = slice_of(edit->text, change->creates ? 0 : edit->len);
    bool is_found = false;

    while (text.len > 0) {
        struct slice line = take_line(&text);
        struct slice name;

        if (!find_name(trim(line), &name) ||
            !slice_is_equal(name, slice_of_text(change->username))) {
            put(edit, line);
        } else if (!is_found) {
            is_found = true;
            put(edit, slice_of_text(change->line ? change->line : ""));
        }
    }
    if (!is_found && change->line) {
        put(edit, slice_of_text(change->line));
    }
    return is_found;
}

int passwd_change(const struct passwd_change *change)
{
    struct edit edit;
    int r = edit_open(&edit, change->path, change->creates);

    if (r == 0 && !replace(&edit, change) && !change->line) {
        fprintf(stderr, "Warning: User %s not found in password file.\n", change->username);
        r = -ENOENT;
    }
    if (r == 0) {
        r = commit(&edit);
    }
    edit_close(&edit);
    return r;
}

static int update_line(struct edit *edit, struct slice line, unsigned number, passwd_hash_fn *hash,
                       void *context)
{
    struct slice name;
    char text[PASSWORD_TEXT_CAP];
    char *password;
    int r;

    assert(edit->next);
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#') {
        fprintf(edit->next, "%.*s\n", (int)line.len, (const char *)line.data);
        return 0;
    }
    if (!find_name(line, &name) || name.len == 0 || name.len + 1 == line.len) {
        fprintf(stderr, "Error: Corrupt password file at line %u.\n", number);
        return -EINVAL;
    }
    password = strndup((const char *)line.data + name.len + 1, line.len - name.len - 1);
    if (!password) {
        return -ENOMEM;
    }
    r = hash(context, password, text);
    explicit_bzero(password, strlen(password));
    free(password);
    if (r == 0) {
        fprintf(edit->next, "%.*s:%s\n", (int)name.len, (const char *)name.data, text);
    }
    return r;
}

int passwd_update(const char *path, passwd_hash_fn *hash, void *context)
{
    struct edit edit;
    struct slice text;
    unsigned number = 0;
    int r = edit_open(&edit, path, false);

    text = slice_of(edit.text, r == 0 ? edit.len : 0);
    while (r == 0 && text.len > 0) {
        struct slice line = take_line(&text);

        r = update_line(&edit, line, ++number, hash, context);
    }
    if (r == 0) {
        r = commit(&edit);
    }
    edit_close(&edit);
    return r;
}

/* Typing */

/* What the terminal was like, for the case that somebody gives up in between. */
static struct termios before;

static void restore(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    signal(number, SIG_DFL);
    raise(number);
}

static void hide(bool hides)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct termios quiet = before;

    quiet.c_lflag &= ~(tcflag_t)ECHO;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        signal(signals[i], hides ? restore : SIG_DFL);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, hides ? &quiet : &before);
}

static int ask_once(const char *prompt, char password[PASSWD_WORD_CAP])
{
    bool is_there;
    size_t len;

    fputs(prompt, stdout);
    fflush(stdout);
    is_there = fgets(password, PASSWD_WORD_CAP, stdin) != NULL;
    putchar('\n');
    len = is_there ? strcspn(password, "\r\n") : 0;
    if (len == 0 || len == PASSWD_WORD_CAP - 1) {
        fputs("Error: Empty password, or one that is too long.\n", stderr);
        return -EINVAL;
    }
    password[len] = '\0';
    return 0;
}

static int ask_twice(char password[PASSWD_WORD_CAP])
{
    static char again[PASSWD_WORD_CAP];
    int r = ask_once("Password: ", password);

    if (r == 0) {
        r = ask_once("Reenter password: ", again);
    }
    if (r == 0 && strcmp(password, again) != 0) {
        fputs("Error: Passwords do not match.\n", stderr);
        r = -EINVAL;
    }
    explicit_bzero(again, sizeof(again));
    return r;
}

int passwd_ask(char password[PASSWD_WORD_CAP])
{
    bool is_typed = tcgetattr(STDIN_FILENO, &before) == 0;
    int r;

    if (is_typed) {
        hide(true);
    }
    r = ask_twice(password);
    if (is_typed) {
        hide(false);
    }
    return r;
}

bool passwd_name_is_valid(const char *username)
{
    struct slice name = slice_of_text(username);

    if (strchr(username, ':')) {
        fputs("Error: Username must not contain the ':' character.\n", stderr);
        return false;
    }
    if (name.len == 0 || name.len > USERNAME_MAX || !utf8_is_valid(name) || username[0] == '#' ||
        strpbrk(username, "\r\n")) {
        fputs("Error: A user name that can't stand in a password file: it is empty, too long, not "
              "UTF-8, has control characters, or begins with '#'.\n",
              stderr);
        return false;
    }
    return true;
}
