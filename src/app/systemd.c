#include "app/systemd.h"

#include "loop/clock.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

void systemd_notify(enum systemd_state state)
{
    switch (state) {
    case SYSTEMD_READY: sd_notify(0, "READY=1"); break;
    case SYSTEMD_RELOADING:
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ms() * 1000);
        break;
    case SYSTEMD_STOPPING: sd_notify(0, "STOPPING=1"); break;
    }
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
