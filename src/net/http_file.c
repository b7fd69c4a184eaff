#include "net/http_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel walks the path, and no step of it leads out of the folder: neither dots nor links. A
 * pipe must not be waited for. */
static int open_below(int folder, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

static bool is_none(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM || r == -EXDEV ||
           r == -ELOOP || r == -ENAMETOOLONG || r == -ENXIO || r == -ENODEV;
}

/* A file that shrinks meanwhile is as long as what was read. */
static int read_all(int fd, size_t size, struct message **message_out)
{
    struct message *room = message_room_new(size + 1);
    struct message_parts parts = {.expires_at = MESSAGE_NEVER};
    size_t len = 0;
    ssize_t part = 1;

    if (!room) {
        return -ENOMEM;
    }
    while (len < size && part != 0) {
        part = read(fd, room->data + 1 + len, size - len);
        if (part < 0 && errno != EINTR) {
            int r = -errno;

            message_room_free(room);
            return r;
        }
        len += part > 0 ? (size_t)part : 0;
    }
    room->data[0] = 'f';
    parts.topic = slice_of(room->data, 1);
    parts.payload = slice_of(room->data + 1, len);
    *message_out = message_adopt(room, &parts, 0);
    return HTTP_FILE_READ;
}

static int read_file(int fd, size_t size_max, struct message **message_out)
{
    struct stat file;

    if (fstat(fd, &file) < 0) {
        return -errno;
    }
    if (S_ISDIR(file.st_mode)) {
        return HTTP_FILE_FOLDER;
    }
    if (!S_ISREG(file.st_mode)) {
        return HTTP_FILE_NONE;
    }
    if (file.st_size < 0 || (uint64_t)file.st_size > size_max) {
        return HTTP_FILE_TOO_LARGE;
    }
    return read_all(fd, (size_t)file.st_size, message_out);
}

int http_file_read(const char *folder, const char *path, size_t size_max,
                   struct message **message_out)
{
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd;
    int r;

    if (at < 0) {
        r = -errno;
        return is_none(r) ? HTTP_FILE_NONE : r;
    }
    fd = open_below(at, *path ? path : ".");
    close(at);
    if (fd < 0) {
        return is_none(fd) ? HTTP_FILE_NONE : fd;
    }
    r = read_file(fd, size_max, message_out);
    close(fd);
    return r;
}
