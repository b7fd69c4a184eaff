#include "net/http_file.h"

/* There are no files. */
int http_file_read(const char *folder, const char *path, size_t size_max,
                   struct message **message_out)
{
    (void)folder;
    (void)path;
    (void)size_max;
    (void)message_out;
    return HTTP_FILE_NONE;
}
