#include "app/systemd.h"
#include "base/log.h"

#include <stdlib.h>

void systemd_notify(enum systemd_state state)
{
    if (state == SYSTEMD_READY && getenv("NOTIFY_SOCKET")) {
        log_line(LOG_WARNING, "Warning: A service manager waits to be notified, but this program "
                              "was built without systemd.");
    }
}

void systemd_say(const char *text)
{
    (void)text;
}

int systemd_take_sockets(int *first_out, char ***names_out)
{
    *first_out = 0;
    *names_out = NULL;
    return 0;
}

uint64_t systemd_watchdog_ms(void)
{
    return 0;
}

void systemd_feed(void)
{
}
