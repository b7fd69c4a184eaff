#include "app/activation.h"

#include "app/systemd.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int look_at(struct activation *activation, unsigned index, int fd)
{
    int r = listener_inspect(fd, &activation->sockets[index]);

    if (r > 0) {
        log_line(
            LOG_ERROR,
            "Error: What the service manager has passed as '%s' (descriptor %d) is no listening "
            "stream socket.",
            activation->names[index], fd);
        return -EINVAL;
    }
    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to look at the socket '%s' of the service manager: %s.",
                 activation->names[index], strerror(-r));
    }
    return r;
}

int activation_take(struct activation *activation_out)
{
    int first;
    int r = systemd_take_sockets(&first, &activation_out->names);

    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to take the sockets of the service manager: %s.",
                 strerror(-r));
        return r;
    }
    activation_out->len = (unsigned)r;
    activation_out->sockets =
        memory_must_alloc_zero(MAX(activation_out->len, 1u), sizeof(*activation_out->sockets));
    r = 0;
    for (unsigned i = 0; i < activation_out->len && r == 0; i++) {
        r = look_at(activation_out, i, first + (int)i);
    }
    return r;
}

static void complain(const struct activation *activation, unsigned index)
{
    const struct listener_passed *socket = &activation->sockets[index];
    char text[ADDRESS_TEXT_CAP];

    if (socket->bound.family == ADDRESS_UNIX) {
        log_line(LOG_ERROR,
                 "Error: The socket '%s' of the service manager, at the path %s, belongs to no "
                 "listener.",
                 activation->names[index], socket->path);
        return;
    }
    address_format(&socket->bound, text);
    log_line(LOG_ERROR,
             "Error: The socket '%s' of the service manager, %s port %u, belongs to no listener.",
             activation->names[index], text, socket->bound.port);
}

int activation_check(const struct activation *activation)
{
    int r = 0;

    for (unsigned i = 0; i < activation->len; i++) {
        if (!activation->sockets[i].is_taken) {
            complain(activation, i);
            r = -EINVAL;
        }
    }
    return r;
}

void activation_deinit(struct activation *activation)
{
    for (unsigned i = 0; i < activation->len; i++) {
        free(activation->names[i]);
    }
    free(activation->names);
    memory_free(activation->sockets);
    *activation = (struct activation){0};
}
