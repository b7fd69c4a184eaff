#include "app/systemd.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* To the microsecond: a moment before the manager's own would be one of the reload before. */
static uint64_t now_usec(void)
{
    struct timespec now;
    int r = clock_gettime(CLOCK_MONOTONIC, &now);

    assert(r == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void systemd_notify(enum systemd_state state)
{
    switch (state) {
    case SYSTEMD_READY: sd_notify(0, "READY=1"); break;
    case SYSTEMD_RELOADING:
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec());
        break;
    case SYSTEMD_STOPPING: sd_notify(0, "STOPPING=1"); break;
    }
}

void systemd_say(const char *text)
{
    sd_notifyf(0, "STATUS=%s", text);
}

int systemd_take_sockets(int *first_out, char ***names_out)
{
    *first_out = SD_LISTEN_FDS_START;
    *names_out = NULL;
    return sd_listen_fds_with_names(1, names_out);
}

uint64_t systemd_watchdog_ms(void)
{
    uint64_t usec;

    return sd_watchdog_enabled(0, &usec) > 0 ? MAX(usec / 1000, UINT64_C(1)) : 0;
}

void systemd_feed(void)
{
    sd_notify(0, "WATCHDOG=1");
}
