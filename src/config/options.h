#pragma once

/*
 * Options
 *
 * The table of everything that may stand in mosquitto.conf: every name that Mosquitto 2.1 knows and
 * ours. The reader, the defaults, the reference page, the fuzz dictionary and a test per row are
 * driven by it.
 */

#include "config/settings.h"

#include <stdio.h>

/* The longest text that a value may be, in bytes. */
#define OPTION_TEXT_MAX 65535

enum option_type {
    OPTION_BOOL,
    OPTION_INTEGER,
    OPTION_BYTES,
    OPTION_SECONDS,
    OPTION_STRING,
    OPTION_PATH,
    OPTION_CHOICE,
    OPTION_CUSTOM, /* a format of its own: see `parse` and the text */
    OPTION_BLOCK,  /* begins a block, to which the options behind it belong */
    OPTION_INCLUDE
};

/* How the field in the settings is stored; derived from the field's C type. */
enum option_storage {
    OPTION_STORE_NONE,
    OPTION_STORE_BOOL,
    OPTION_STORE_U8,
    OPTION_STORE_U16,
    OPTION_STORE_U32,
    OPTION_STORE_U64,
    OPTION_STORE_I32,
    OPTION_STORE_ENUM,
    OPTION_STORE_TEXT
};

/* Where an option may stand, and whom it concerns. */
enum option_scope {
    OPTION_GLOBAL,
    OPTION_LISTENER,         /* the latest `listener` of the file, else the default listener */
    OPTION_DEFAULT_LISTENER, /* the default listener, wherever it stands */
    OPTION_BRIDGE,
    OPTION_PLUGIN
};

/* When a changed value takes effect at a reload. */
enum option_reload {
    OPTION_NEVER,
    OPTION_LIVE,            /* at once, for everybody */
    OPTION_RELOAD_LISTENER, /* for new connections of the listener */
    OPTION_RELOAD_BRIDGE    /* when the bridge reconnects */
};

enum option_status {
    OPTION_LATER,    /* refused: not supported yet */
    OPTION_ONLY,     /* accepted with the value `only`; others are not supported yet */
    OPTION_ACCEPTED, /* accepted without effect, for the reason in `note`; warns unless `only` */
    OPTION_BUILT
};

struct report_place;

struct option_choice {
    const char *name;
    int value;
};

/* What a value is read into. */
struct option_target {
    struct settings *settings;
    struct listener_settings *listener; /* for options of a listener */
    struct arena *arena;                /* lives as long as the settings */
    bool is_first;                      /* no value of this option was read into it before */
    const char *rest;                   /* out: what stands behind the value; NULL or "": nothing */
    const char *complaint;              /* out: a sentence of its own for an invalid value */
    const char *reason;                 /* out: why the value is invalid, to add to the usual one */
};

/* Outcomes of reading a value. */
enum option_verdict {
    OPTION_OK,
    OPTION_INVALID,
    OPTION_UNSUPPORTED /* well-formed, but not supported yet */
};

typedef int option_parse_fn(struct option_target *target, const char *text);

/* Where a value is read from that is to be shown. */
struct option_source {
    const struct settings *settings;
    const struct listener_settings *listener; /* for options of a listener */
};

/* Writes a value of a format of its own as it would stand in the file; nothing for none. */
typedef void option_format_fn(const struct option_source *source, FILE *out);

struct option {
    const char *name;
    const char *alias_of; /* all else is then in the row of that name */
    enum option_type type;
    enum option_storage storage;
    size_t offset; /* of the field in the settings, or in the listener's */
    option_parse_fn *parse;
    option_format_fn *format; /* with `parse`, where there is no field */
    enum option_scope scope;
    enum option_reload reload;
    enum option_status status;
    const char *fallback; /* the default as it would be written; NULL: none */
    const char *only;     /* see option_status */
    int64_t min;
    int64_t max;                         /* of a text: its length; 0 means OPTION_TEXT_MAX */
    const struct option_choice *choices; /* ends with a NULL name */
    const char *deprecated_for;          /* what to write instead */
    const char *deprecated; /* a sentence to add to the notice that it is deprecated, or "" */
    const char *complaint;  /* about a number or a choice that is none, where not the usual one */
    const char *note;
    const char *refused;      /* why OPTION_LATER or OPTION_ONLY is not "yet" but for good */
    const char *better;       /* what Mosquitto does not do, or does worse */
    const char *missing;      /* what Mosquitto does and we do not yet, where `status` is not all */
    const char *per_listener; /* what it means with per_listener_settings: a listener's option */
    bool is_prefix : 1;       /* the name is only the beginning of the written one */
    bool is_ours : 1;         /* unknown to Mosquitto 2.1 */
    bool is_silent : 1;       /* OPTION_ACCEPTED: another option's warning is enough */
    bool repeats : 1;         /* each occurrence adds a value */
    bool replaces : 1; /* a text of which the last occurrence counts: else twice is an error */
    const char *doc;   /* one sentence */
};

extern const struct option options[];
extern const size_t option_len;

/* The row that a written name means, aliases and prefixes resolved; NULL: no such option. */
const struct option *option_find(struct slice name);

/*
 * Where an option was written for the last time, of the places of the settings or of a listener.
 * Line 0: nowhere.
 */
const struct report_place *option_place(const struct report_place *places, const char *name);

static inline size_t option_index(const struct option *option)
{
    return (size_t)(option - options);
}

/* Whether the value is a single word: what follows it on the line is not part of it. */
static inline bool option_is_word(const struct option *option)
{
    return option->type <= OPTION_SECONDS || option->type == OPTION_CHOICE;
}

static inline bool option_is_number(const struct option *option)
{
    return option->type >= OPTION_INTEGER && option->type <= OPTION_SECONDS;
}
