#pragma once

/*
 * Contracts
 *
 * Whether a broken contract ends the process: the function runs in a child of its own, whose last
 * words nobody hears.
 */

#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static inline UNUSED bool is_deadly(void (*function)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

        /* cmocka would take an abort for a failed test. */
        signal(SIGABRT, SIG_DFL);
        dup2(nowhere, STDERR_FILENO);
        alarm(10);
        function();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
