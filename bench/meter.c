#include "bench/meter.h"

#include "bench/tool.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of a file of the thread; NULL: it has gone meanwhile. */
static FILE *open_thread(pid_t pid, const char *id, const char *name)
{
    char path[320];

    snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, id, name);
    return fopen(path, "re");
}

static uint64_t read_sleeps(pid_t pid, const char *id)
{
    FILE *file = open_thread(pid, id, "status");
    uint64_t sleeps = 0;
    char line[128];

    if (!file) {
        return 0;
    }
    while (fgets(line, sizeof(line), file) &&
           sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &sleeps) != 1) {
    }
    fclose(file);
    return sleeps;
}

static void read_thread(pid_t pid, const char *id, struct meter *meter)
{
    struct meter_thread thread = {.id = atoi(id)};
    FILE *file = open_thread(pid, id, "schedstat");

    if (!file) {
        return;
    }
    if (fscanf(file, "%" SCNu64, &thread.cpu_ns) == 1) {
        meter->cpu_ns += thread.cpu_ns;
        meter->sleeps += read_sleeps(pid, id);
        if (meter->thread_len < METER_THREADS) {
            meter->threads[meter->thread_len++] = thread;
        }
    }
    fclose(file);
}

static void read_threads(pid_t pid, struct meter *meter)
{
    char path[64];
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    folder = opendir(path);
    if (!folder) {
        tool_die("the broker (process %d) is gone", (int)pid);
    }
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] != '.') {
            read_thread(pid, entry->d_name, meter);
        }
    }
    closedir(folder);
}

static void read_ticks(pid_t pid, struct meter *meter)
{
    char path[64];
    char line[1024] = {0};
    const char *rest;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file) {
        tool_die("the broker (process %d) is gone", (int)pid);
    }
    /* The name in brackets may hold anything: count the fields from its end. */
    rest = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                        &meter->user_ticks, &meter->kernel_ticks) != 2) {
        tool_die("can't read %s", path);
    }
}

void meter_read(pid_t pid, struct meter *meter_out)
{
    struct timespec own;

    *meter_out = (struct meter){0};
    if (pid) {
        read_ticks(pid, meter_out);
        read_threads(pid, meter_out);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    meter_out->own_ns = (uint64_t)own.tv_sec * NS_PER_SECOND + (uint64_t)own.tv_nsec;
    meter_out->at_ns = tool_now_ns();
}

static uint64_t thread_before(const struct meter *meter, int id)
{
    for (unsigned i = 0; i < meter->thread_len; i++) {
        if (meter->threads[i].id == id) {
            return meter->threads[i].cpu_ns;
        }
    }
    return 0;
}

static double busiest_share(const struct meter *from, const struct meter *to)
{
    uint64_t most_ns = 0;

    for (unsigned i = 0; i < to->thread_len; i++) {
        most_ns = MAX(most_ns, to->threads[i].cpu_ns - thread_before(from, to->threads[i].id));
    }
    return to->cpu_ns > from->cpu_ns ? (double)most_ns / (double)(to->cpu_ns - from->cpu_ns) : 0;
}

struct meter_span meter_between(const struct meter *from, const struct meter *to)
{
    uint64_t user = to->user_ticks - from->user_ticks;
    uint64_t kernel = to->kernel_ticks - from->kernel_ticks;
    double user_share = user + kernel ? (double)user / (double)(user + kernel) : 0;
    double cpu_us = (double)(to->cpu_ns - from->cpu_ns) / 1e3;
    uint64_t wall_ns = to->at_ns - from->at_ns;

    return (struct meter_span){
        .seconds = (double)wall_ns / 1e9,
        .cpu_us = cpu_us,
        .user_us = cpu_us * user_share,
        .kernel_us = cpu_us * (1 - user_share),
        .own_share = wall_ns ? (double)(to->own_ns - from->own_ns) / (double)wall_ns : 0,
        .sleeps = (double)(to->sleeps - from->sleeps),
        .busiest_share = busiest_share(from, to),
    };
}

uint64_t meter_resident_bytes(pid_t pid)
{
    char path[64];
    uint64_t pages = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "re");
    if (!file || fscanf(file, "%*u %" SCNu64, &pages) != 1) {
        tool_die("can't read %s", path);
    }
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
