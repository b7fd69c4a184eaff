#include "config/files.h"

#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct buffer {
    char *text;
    size_t len;
    size_t cap; /* without the terminator */
};

static int grow(struct buffer *buffer)
{
    size_t cap = MAX(buffer->cap * 2, 4096u);
    char *text;

    if (buffer->len >= FILES_SIZE_MAX) {
        return FILES_TOO_LARGE;
    }
    text = memory_resize(buffer->text, cap + 1);
    if (!text) {
        return -ENOMEM;
    }
    buffer->text = text;
    buffer->cap = cap;
    return 0;
}

static int read_all(int fd, struct buffer *buffer)
{
    for (;;) {
        ssize_t len;
        int r = buffer->len == buffer->cap ? grow(buffer) : 0;

        if (r != 0) {
            return r;
        }
        len = read(fd, buffer->text + buffer->len, buffer->cap - buffer->len);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len < 0) {
            return errno == EISDIR ? FILES_DIRECTORY : FILES_UNREADABLE;
        }
        if (len == 0) {
            buffer->text[buffer->len] = '\0';
            return 0;
        }
        buffer->len += (size_t)len;
    }
}

int files_read(const char *path, char **text_out, size_t *len_out)
{
    struct buffer buffer = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error;
    int r;

    if (fd < 0) {
        return FILES_UNREADABLE;
    }
    r = read_all(fd, &buffer);
    error = errno;
    close(fd);
    errno = error;
    if (r != 0) {
        memory_free(buffer.text);
        return r;
    }
    *text_out = buffer.text;
    *len_out = buffer.len;
    return 0;
}

static bool is_configuration(const char *name)
{
    static const char suffix[] = ".conf";
    size_t len = strlen(name);

    return len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0;
}

static int to_upper(unsigned char byte)
{
    return byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte;
}

static int compare_paths(const void *a, const void *b)
{
    const unsigned char *x = *(const unsigned char *const *)a;
    const unsigned char *y = *(const unsigned char *const *)b;

    while (*x && *x == *y) {
        x++;
        y++;
    }
    if (to_upper(*x) != to_upper(*y)) {
        return to_upper(*x) - to_upper(*y);
    }
    return *x - *y;
}

static int add_path(struct files_list *list, struct arena *arena, const char *directory,
                    const char *name)
{
    size_t directory_len = strlen(directory);
    const char *slash = directory_len > 0 && directory[directory_len - 1] == '/' ? "" : "/";
    size_t size = directory_len + strlen(name) + 2;
    char *path = arena_alloc(arena, size);

    if (!path) {
        return -ENOMEM;
    }
    snprintf(path, size, "%s%s%s", directory, slash, name);
    if ((list->len & (list->len - 1)) == 0) {
        const char **larger =
            arena_alloc_array(arena, list->len == 0 ? 1 : 2 * list->len, sizeof(*larger));

        if (!larger) {
            return -ENOMEM;
        }
        if (list->len > 0) {
            memcpy(larger, list->paths, list->len * sizeof(*larger));
        }
        list->paths = larger;
    }
    list->paths[list->len++] = path;
    return 0;
}

static int add_all(struct files_list *list, struct arena *arena, const char *directory, DIR *stream)
{
    for (;;) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(stream);
        if (!entry) {
            return errno == 0 ? 0 : FILES_UNREADABLE;
        }
        if (is_configuration(entry->d_name)) {
            int r = add_path(list, arena, directory, entry->d_name);

            if (r < 0) {
                return r;
            }
        }
    }
}

int files_find(const char *directory, struct arena *arena, struct files_list *list_out)
{
    DIR *stream = opendir(directory);
    int error;
    int r;

    *list_out = (struct files_list){0};
    if (!stream) {
        return FILES_UNREADABLE;
    }
    r = add_all(list_out, arena, directory, stream);
    error = errno;
    closedir(stream);
    errno = error;
    if (r == 0 && list_out->len > 1) {
        qsort(list_out->paths, list_out->len, sizeof(*list_out->paths), compare_paths);
    }
    return r;
}
