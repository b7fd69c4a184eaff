#include "app/process.h"

#include "base/log.h"

#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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

int process_write_pid(const char *path)
{
    FILE *file = fopen(path, "we");
    int written;

    if (!file) {
        return -errno;
    }
    written = fprintf(file, "%ld\n", (long)getpid());
    return fclose(file) == 0 && written > 0 ? 0 : -EIO;
}

static int become(const struct passwd *entry)
{
    if (initgroups(entry->pw_name, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 ||
        setuid(entry->pw_uid) < 0) {
        return -errno;
    }
    return 0;
}

int process_become(const char *user)
{
    const struct passwd *entry;

    if (geteuid() != 0 || !user) {
        return 0;
    }
    if (strcmp(user, "root") == 0) {
        log_line(LOG_WARNING, "Warning: Running as root: use an ordinary user in production.");
        return 0;
    }
    entry = getpwnam(user);
    if (!entry && strcmp(user, "mosquitto") == 0) {
        entry = getpwnam("nobody");
    }
    if (!entry) {
        return -ENOENT;
    }
    return become(entry);
}

void process_block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

int process_wait_signal(void)
{
    sigset_t all;
    int number = 0;

    sigfillset(&all);
    while (sigwait(&all, &number) != 0) {
    }
    return number;
}
