#include "net/http_path.h"

#include "base/text.h"

/* One character, taken off the front; -1: broken. */
static int take_character(struct slice *path)
{
    uint8_t byte = path->data[0];
    int high;
    int low;

    if (byte != '%') {
        *path = slice_skip(*path, 1);
        return byte;
    }
    if (path->len < 3) {
        return -1;
    }
    high = text_hex_digit(path->data[1]);
    low = text_hex_digit(path->data[2]);
    *path = slice_skip(*path, 3);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool http_path_decode(struct slice path, char decoded[HTTP_PATH_CAP])
{
    bool begins_part = true;
    size_t len = 0;

    if (path.len == 0 || path.data[0] != '/') {
        return false;
    }
    path = slice_skip(path, 1);
    while (path.len) {
        int character = take_character(&path);

        if (character < ' ' || character == 0x7F || len + 1 == HTTP_PATH_CAP ||
            (begins_part && (character == '.' || character == '/'))) {
            return false;
        }
        decoded[len++] = (char)character;
        begins_part = character == '/';
    }
    decoded[len] = '\0';
    return true;
}

const char *http_path_type(const char *path)
{
    static const struct {
        const char *end;
        const char *type;
    } types[] = {
        {".html",        "text/html; charset=utf-8"      },
        {".htm",         "text/html; charset=utf-8"      },
        {".css",         "text/css; charset=utf-8"       },
        {".js",          "text/javascript; charset=utf-8"},
        {".mjs",         "text/javascript; charset=utf-8"},
        {".json",        "application/json"              },
        {".map",         "application/json"              },
        {".webmanifest", "application/manifest+json"     },
        {".wasm",        "application/wasm"              },
        {".xml",         "application/xml"               },
        {".txt",         "text/plain; charset=utf-8"     },
        {".md",          "text/plain; charset=utf-8"     },
        {".svg",         "image/svg+xml"                 },
        {".png",         "image/png"                     },
        {".jpg",         "image/jpeg"                    },
        {".jpeg",        "image/jpeg"                    },
        {".gif",         "image/gif"                     },
        {".webp",        "image/webp"                    },
        {".ico",         "image/vnd.microsoft.icon"      },
        {".woff",        "font/woff"                     },
        {".woff2",       "font/woff2"                    },
        {".pdf",         "application/pdf"               },
    };
    size_t len = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t end_len = strlen(types[i].end);

        if (len >= end_len && strcmp(path + len - end_len, types[i].end) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}
