#include "base/failpoint.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * This source is compiled as all others are: its own calls are in parentheses, so that they are no
 * points. Where the file can't be had no point fails; the tests see that no table was written.
 */

/* Made by the linker of what the sources have put into the section. */
extern struct failpoint *__start_failpoints[];
extern struct failpoint *__stop_failpoints[];

static struct failpoint_table *table;

struct failpoint_table *failpoint_table(void)
{
    return table;
}

static struct failpoint_row *row_at(uint32_t index)
{
    return (struct failpoint_row *)(table + 1) + index;
}

static bool is_meant(const struct failpoint *point, uint32_t armed)
{
    return armed == point->index || armed == FAILPOINT_ANY ||
           (armed == FAILPOINT_MEMORY && point->allocates);
}

bool failpoint_fails(const struct failpoint *point, int error)
{
    struct failpoint_row *row;
    uint32_t passed;
    uint32_t first;

    if (!table) {
        return false;
    }
    row = row_at(point->index);
    atomic_fetch_add(&row->hits, 1);
    if (likely(!is_meant(point, atomic_load(&table->armed)))) {
        return false;
    }
    passed = atomic_fetch_add(&table->passed, 1) + 1;
    first = atomic_load(&table->first);
    if (passed < first || passed - first >= atomic_load(&table->times)) {
        return false;
    }
    atomic_fetch_add(&row->failed, 1);
    atomic_fetch_add(&table->failed, 1);
    errno = error;
    return true;
}

static bool is_same_place(const struct failpoint *a, const struct failpoint *b)
{
    return a->line == b->line && strcmp(a->call, b->call) == 0 && strcmp(a->file, b->file) == 0;
}

/* Gives the points their indexes, the same one where one place is there several times. */
static uint32_t number_points(void)
{
    uint32_t len = 0;

    for (struct failpoint **point = __start_failpoints; point < __stop_failpoints; point++) {
        struct failpoint **other = __start_failpoints;

        while (!is_same_place(*other, *point)) {
            other++;
        }
        (*point)->allocates = (strncmp((*point)->call, "memory_", 7) == 0 &&
                               strncmp((*point)->call, "memory_must_", 12) != 0) ||
                              strncmp((*point)->call, "spares_", 7) == 0;
        (*point)->index = other == point ? len++ : (*other)->index;
    }
    return len;
}

static void name_point(const struct failpoint *point)
{
    struct failpoint_row *row = row_at(point->index);
    const char *file = strstr(point->file, "src/");

    snprintf(row->name, sizeof(row->name), "%s:%u %s %s", file ? file + 4 : point->file,
             point->line, point->function, point->call);
}

static struct failpoint_table *map_file(const char *path, size_t size)
{
    int fd = (open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *mapped = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* A file that is there already says what is to fail from the start on. */
static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("NIGHTJAR_FAILPOINTS");
    uint32_t len = number_points();

    table = path ? map_file(path, sizeof(*table) + len * sizeof(struct failpoint_row)) : NULL;
    if (!table) {
        return;
    }
    if (memcmp(table->magic, FAILPOINT_MAGIC, sizeof(table->magic)) != 0) {
        memcpy(table->magic, FAILPOINT_MAGIC, sizeof(table->magic));
        table->armed = FAILPOINT_NONE;
    }
    table->len = len;
    table->row_size = sizeof(struct failpoint_row);
    for (struct failpoint **point = __start_failpoints; point < __stop_failpoints; point++) {
        name_point(*point);
    }
}
