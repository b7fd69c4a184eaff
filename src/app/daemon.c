#include "app/daemon.h"

#include "app/broker.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a process in the background that gave no verdict has ended. */
static int status_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return EXIT_START;
        }
    }
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    fprintf(stderr, "Error: The broker was ended by signal %d before it served.\n",
            WTERMSIG(status));
    return EXIT_START;
}

static _Noreturn void end_with(pid_t child, int verdict)
{
    char byte;
    ssize_t len;

    do {
        len = read(verdict, &byte, 1);
    } while (len < 0 && errno == EINTR);
    /* The other process has the same buffers and will write them. */
    _exit(len == 1 ? EXIT_OK : status_of(child));
}

int daemon_fork(struct daemon *daemon)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return -errno;
    }
    fflush(NULL);
    child = fork();
    if (child < 0) {
        int error = errno;

        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    if (child > 0) {
        close(fds[1]);
        end_with(child, fds[0]);
    }
    close(fds[0]);
    daemon->verdict = fds[1];
    return 0;
}

static void empty_standard(const struct daemon *daemon)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0) {
        return;
    }
    dup2(null, STDIN_FILENO);
    if (!daemon->keeps_stdout) {
        dup2(null, STDOUT_FILENO);
    }
    if (!daemon->keeps_stderr) {
        dup2(null, STDERR_FILENO);
    }
    close(null);
}

void daemon_detach(struct daemon *daemon)
{
    ssize_t written;

    if (daemon->verdict < 0) {
        return;
    }
    setsid();
    empty_standard(daemon);
    written = write(daemon->verdict, "", 1);
    (void)written;
    close(daemon->verdict);
    daemon->verdict = -1;
}
