#include "access/files.h"

#include "base/memory.h"
#include "config/files.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

static int complain(const struct access_file *file, const char *path,
                    const struct report_place *place, const struct report *report, int verdict)
{
    switch ((enum files_verdict)verdict) {
    case FILES_DIRECTORY:
        report_error(report, place, "The %s '%s' is a directory.", file->name, path);
        break;
    case FILES_TOO_LARGE:
        report_error(report, place, "The %s '%s' is larger than %u bytes.", file->name, path,
                     FILES_SIZE_MAX);
        break;
    default:
        report_error(report, place, "Unable to open %s '%s'. %s.", file->name, path,
                     strerror(errno));
        break;
    }
    return ACCESS_FILE_UNREADABLE;
}

static void warn_of_mode(const struct access_file *file, const char *path,
                         const struct report_place *place, const struct report *report)
{
    struct stat status;

    if (stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
        report_warning(report, place, "Everybody on this machine may read the %s '%s'.", file->name,
                       path);
    }
}

int access_file_read(const struct access_file *file, const char *path,
                     const struct report_place *place, const struct report *report,
                     struct slice *text_out)
{
    char *text = NULL;
    size_t len = 0;
    int r = files_read(path, &text, &len);

    if (r > 0) {
        return complain(file, path, place, report, r);
    }
    if (r == 0) {
        warn_of_mode(file, path, place, report);
        *text_out = slice_of(text, len);
    }
    return r;
}

void access_file_free(struct slice text)
{
    char *bytes = (char *)(uintptr_t)text.data;

    if (bytes) {
        explicit_bzero(bytes, text.len);
        memory_free(bytes);
    }
}
