#include "app/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int process_open_standard(void)
{
    int fd = 0;

    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd < 0) {
        return -errno;
    }
    close(fd);
    return 0;
}

unsigned process_core_len(void)
{
    cpu_set_t cores;

    if (sched_getaffinity(0, sizeof(cores), &cores) < 0) {
        return 1;
    }
    return MAX((unsigned)CPU_COUNT(&cores), 1u);
}

unsigned long process_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

void process_tune_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
}

int process_write_pid(const char *path, uid_t uid, gid_t gid)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool is_new = fd >= 0;
    ssize_t written = 0;
    char text[32];
    int len;

    if (fd < 0 && errno == EEXIST) {
        fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    }
    if (fd < 0) {
        return -errno;
    }
    len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    written = write(fd, text, (size_t)len);
    /* Whatever was there before may be anybody's, and stays theirs. */
    if (is_new && uid != geteuid()) {
        int r = fchown(fd, uid, gid);

        (void)r; /* a folder may give files to nobody */
    }
    return close(fd) == 0 && written == len ? 0 : -EIO;
}

void process_remove_pid(const char *path)
{
    struct stat file;

    if (lstat(path, &file) < 0 || !(S_ISREG(file.st_mode) || S_ISLNK(file.st_mode))) {
        return;
    }
    if (unlink(path) < 0) {
        int r = truncate(path, 0);

        (void)r;
    }
}

int process_set_umask(void)
{
    const char *text = getenv("UMASK_SET");
    unsigned long mask;
    char *end;

    if (!text) {
        return PROCESS_OK;
    }
    mask = strtoul(text, &end, 8);
    if (*text < '0' || *text > '7' || *end != '\0' || mask > 0777) {
        return PROCESS_BAD_UMASK;
    }
    umask((mode_t)mask);
    return PROCESS_OK;
}
