#include "net/http_answer.h"

#include <stdio.h>

static const char *headers_of(enum http_status status)
{
    switch (status) {
    case HTTP_METHOD_NOT_ALLOWED: return "Allow: GET, HEAD\r\nConnection: close\r\n";
    case HTTP_UPGRADE_REQUIRED:
        return "Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n";
    default: return "Connection: close\r\n";
    }
}

size_t http_format_refusal(char answer[HTTP_REFUSAL_CAP], enum http_status status, const char *text)
{
    int len =
        snprintf(answer, HTTP_REFUSAL_CAP,
                 "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n"
                 "%s\n",
                 status, http_status_text(status), headers_of(status), strlen(text) + 1, text);

    assert(len > 0 && len < HTTP_REFUSAL_CAP);
    return (size_t)len;
}
