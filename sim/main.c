#include "sim/fail.h"
#include "sim/run.h"

#include <getopt.h> /* NOLINT(misc-include-cleaner): getopt_long() */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * nightjar-sim: one seed, watched, or many. Many run in a child process, which a failure ends; the
 * next child goes on behind the seed that failed. A seed that takes too long is a failure, too: in
 * time of its own, whatever else the machine does.
 */

#define SEED_SECONDS 30

/* What a child has reached, in memory that its parent sees. */
struct progress {
    uint64_t seed;
    uint64_t passed;
    uint64_t steps;
    uint64_t messages;
    uint64_t connections;
    bool is_done;
};

static int usage(void)
{
    fputs("Usage: nightjar-sim --seed N [-v]\n"
          "       nightjar-sim --seeds N [--first N] [--stop-at FAILURES]\n"
          "Runs the broker's workers, with chance in the seed's hands, and checks what its clients "
          "see.\n",
          stderr);
    return 2;
}

static void limit_time(void)
{
    static const struct itimerval limit = {.it_value.tv_sec = SEED_SECONDS};

    setitimer(ITIMER_PROF, &limit, NULL);
}

static struct run_result run_seed(uint64_t seed, bool prints)
{
    struct choice choice;
    struct run_params params;
    char name[40];

    snprintf(name, sizeof(name), "seed %llu", (unsigned long long)seed);
    sim_name_run(name);
    limit_time();
    choice_from_seed(&choice, seed);
    run_draw(&choice, &params);
    if (prints) {
        run_print(&params);
        fflush(stdout);
    }
    return run(&choice, &params);
}

static int run_one(uint64_t seed)
{
    struct run_result result = run_seed(seed, true);

    printf("seed %llu passed: %llu switches, %u messages, %u connections, digest %016llx\n",
           (unsigned long long)seed, (unsigned long long)result.steps, result.messages,
           result.connections, (unsigned long long)result.digest);
    return 0;
}

static NO_RETURN void run_child(struct progress *progress, uint64_t end)
{
    for (; progress->seed < end; progress->seed++) {
        struct run_result result = run_seed(progress->seed, false);

        progress->passed++;
        progress->steps += result.steps;
        progress->messages += result.messages;
        progress->connections += result.connections;
    }
    progress->is_done = true;
    _exit(0);
}

/* Everything up to the end, or to the next failure. */
static void run_some(struct progress *progress, uint64_t end)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child == 0) {
        run_child(progress, end);
    }
    while (waitpid(child, &status, 0) < 0) {
    }
    if (!progress->is_done) {
        printf("seed %llu FAILED%s; again: nightjar-sim --seed %llu -v\n",
               (unsigned long long)progress->seed,
               WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF ? " (takes too long)" : "",
               (unsigned long long)progress->seed);
    }
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_many(uint64_t first, uint64_t len, uint64_t failed_max)
{
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double began = seconds_now();
    uint64_t failed = 0;

    if (progress == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    progress->seed = first;
    while (!progress->is_done && failed < failed_max && progress->seed < first + len) {
        run_some(progress, first + len);
        if (!progress->is_done) {
            failed++;
            progress->seed++;
        }
    }
    printf("%llu messages, %llu connections, %llu switches, %.1f seeds a second\n",
           (unsigned long long)progress->messages, (unsigned long long)progress->connections,
           (unsigned long long)progress->steps,
           (double)(progress->passed + failed) / (seconds_now() - began));
    printf("%llu seeds passed, %llu failed\n", (unsigned long long)progress->passed,
           (unsigned long long)failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed",             required_argument, NULL, 's'},
        {"seeds",              required_argument, NULL, 'n'},
        {"first",                  required_argument, NULL, 'f'},
        {"stop-at",required_argument, NULL, 'x'},
        {0              },
    };
    uint64_t seed = 0;
    uint64_t len = 0;
    uint64_t first = 1;
    uint64_t failed_max = UINT64_MAX;
    int option;

    while ((option = getopt_long(argc, argv, "v", options, NULL)) >= 0) {
        switch (option) {
        case 's': seed = strtoull(optarg, NULL, 10); break;
        case 'n': len = strtoull(optarg, NULL, 10); break;
        case 'f': first = strtoull(optarg, NULL, 10); break;
        case 'x': failed_max = strtoull(optarg, NULL, 10); break;
        case 'v': sim_trace_on(); break;
        default: return usage();
        }
    }
    if (optind < argc || (seed == 0) == (len == 0)) {
        return usage();
    }
    return seed ? run_one(seed) : run_many(first, len, failed_max);
}
