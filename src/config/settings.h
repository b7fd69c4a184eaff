#pragma once

/*
 * Settings
 *
 * What the configuration says, as one snapshot: immutable after config_read() handed it out,
 * counted, and all its memory in one arena. Any thread may read; settings_ref() and
 * settings_unref() may be called by any thread. A text that nobody set is NULL unless the table of
 * options has a default for it.
 */

#include "base/address.h"
#include "base/arena.h"
#include "base/log.h"

#include <stdatomic.h>

/* What log_dest chooses. */
enum {
    SETTINGS_LOG_TO_STDOUT = 1 << 0,
    SETTINGS_LOG_TO_STDERR = 1 << 1,
    SETTINGS_LOG_TO_FILE = 1 << 2,
    SETTINGS_LOG_TO_SYSLOG = 1 << 3,
    SETTINGS_LOG_TO_TOPICS = 1 << 4
};

struct report_place;

struct settings_process {
    const char *user;        /* to become when started as root */
    const char *pid_file;    /* NULL: none */
    uint16_t workers;        /* 0: as many as there are usable cores */
    uint16_t sys_interval_s; /* between updates of the topics below $SYS; 0: none */
};

struct settings_store {
    bool persistence;
    bool allow_memory_only; /* go without it all the same */
};

struct settings_log {
    unsigned destinations; /* SETTINGS_LOG_TO_*; 0: none */
    unsigned types;        /* bits of enum log_type */
    const char *file;      /* with SETTINGS_LOG_TO_FILE */
    bool timestamp;
    const char *timestamp_format; /* of strftime(); NULL: seconds since 1970 */
    bool connection_messages;
    int32_t facility; /* which of local0 to local7; -1: daemon */
    const char *syslog_path;
    enum log_format format;
    uint32_t repeat_limit; /* lines of one event within a second; 0: all */
    uint32_t buffer_size;
};

/* What becomes of a client of MQTT 5.0 that sends more at once than our Receive Maximum. */
enum settings_receive_excess { SETTINGS_RECEIVE_DISCONNECT, SETTINGS_RECEIVE_QUOTA };

/* What clients may have: all of them together, then each. */
struct settings_limits {
    int32_t global_max_clients;             /* sessions; -1: no limit */
    int32_t global_max_connections;         /* -1: no limit */
    int32_t max_pending_connections;        /* 0: no limit; -1: as many as the files allow */
    int32_t max_pending_headers_per_proxy;  /* 0: no limit; -1: by the one above */
    int32_t max_lingering_connections;      /* 0: no limit; -1: a part of what the files allow */
    uint32_t max_connections_per_address;   /* 0: no limit */
    uint32_t connect_rate_per_address;      /* a minute; 0: no limit */
    uint32_t max_failed_logins_per_address; /* within the window; 0: no limit */
    uint32_t failed_login_window_s;
    uint32_t failed_login_ban_s;
    uint64_t memory_limit;          /* bytes; 0: no limit */
    uint16_t max_inflight_messages; /* 0: no limit */
    uint64_t max_inflight_bytes;    /* of payload; 0: no limit */
    uint32_t max_queued_messages;   /* 0: no limit */
    uint64_t max_queued_bytes;      /* of payload; 0: no limit */
    bool queue_qos0_messages;
    bool upgrade_outgoing_qos;
    uint32_t max_packet_size;
    uint32_t message_size_limit; /* of payload; 0: no limit */
    enum settings_receive_excess receive_maximum_exceeded;
    uint16_t max_keepalive_s; /* 0: no limit */
    uint16_t connect_timeout_s;
    uint16_t linger_timeout_s; /* 0: nobody lingers */
    uint32_t max_linger_bytes;
    uint32_t packet_buffer_size; /* of which only the head of a request of HTTP needs one */
    uint16_t max_http_headers;
    uint64_t persistent_client_expiration_s; /* 0: never */
};

/* How clients are sent away by a drain. */
struct settings_drain {
    uint16_t delay_s;             /* between its announcement and the first who goes */
    uint32_t time_s;              /* from the first to the last */
    const char *server_reference; /* where they shall go; NULL: they are not told */
    bool server_moved;            /* for good */
};

struct settings_clients {
    bool allow_anonymous;            /* as each listener inherited it */
    bool per_listener;               /* the options about who may come in are the listeners' */
    bool allow_zero_length_clientid; /* as each listener inherited it */
    const char *auto_id_prefix;      /* as each listener inherited it */
    const char *clientid_prefixes;   /* NULL: any client id */
    bool retain_available;
    uint32_t retain_expiry_interval_min; /* between two sweeps; 0: none */
    bool allow_duplicate_messages;
    bool check_payload_format;
    bool check_retain_source;
};

/* The files that say who may do what, as each listener inherited them, and what they may ask for.
 */
struct settings_access {
    const char *password_file; /* NULL: any name will do */
    const char *acl_file;      /* NULL: everything may be done */
    const char *psk_file;      /* NULL: none */
    bool acl_deny_subscribe;   /* also SUBSCRIBE is asked about */
    uint16_t password_threads;
    uint32_t password_queue;
    uint32_t password_iterations_max;
    uint64_t password_memory_max; /* bytes */
};

/* What a listener speaks. */
enum settings_protocol {
    SETTINGS_PROTOCOL_MQTT,
    SETTINGS_PROTOCOL_AGENT,      /* HAProxy's agent-check: one line, and the end */
    SETTINGS_PROTOCOL_WEBSOCKETS, /* MQTT inside */
    SETTINGS_PROTOCOL_HTTP_API    /* health, figures, files */
};

enum settings_domain { SETTINGS_DOMAIN_ANY, SETTINGS_DOMAIN_IPV4, SETTINGS_DOMAIN_IPV6 };

/* Which versions of the PROXY header a listener expects in front of every connection. */
enum settings_proxy_version {
    SETTINGS_PROXY_OFF,
    SETTINGS_PROXY_V1,
    SETTINGS_PROXY_V2,
    SETTINGS_PROXY_ANY
};

/* What becomes of a connection from an address that no range trusts. */
enum settings_proxy_untrusted { SETTINGS_PROXY_REFUSE, SETTINGS_PROXY_DIRECT };

struct settings_proxy {
    enum settings_proxy_version version;
    bool is_v2; /* enable_proxy_protocol_v2 as written; `version` includes it */
    enum settings_proxy_untrusted untrusted;
    uint16_t timeout_s;
    bool requires_tls; /* of the client to the proxy */
    bool requires_crc;
    bool allows_slash;    /* in a common name that is to be a user name */
    uint16_t subject_tlv; /* the custom TLV that has the subject; 0: none */
    struct address_range *trusted;
    unsigned trusted_len; /* 0: everybody is trusted */
};

/* What a client's certificate is asked for: by TLS of our own, or by the PROXY header's word. */
struct settings_certificates {
    bool is_required;
    bool gives_username;         /* the common name is the user name */
    bool gives_subject_username; /* the subject is */
};

/* Of a listener that speaks HTTP, if only at first. */
struct settings_http {
    const char **origins; /* that web pages may be of, NULL behind the last; NULL: all may */
    unsigned origin_len;
    struct address_range *proxies; /* whose X-Forwarded-For is believed */
    unsigned proxy_len;
    const char *folder; /* of files to serve; NULL: none */
    uint64_t file_size_max;
};

enum settings_tls_version { SETTINGS_TLS_1_2, SETTINGS_TLS_1_3 };

/* Files and rules of a listener's TLS: it has none without a certificate or a hint. */
struct settings_tls {
    const char *certfile;
    const char *keyfile;
    const char *cafile;
    const char *capath;
    const char *crlfile;
    const char *ciphers;
    const char *ciphers_13;
    const char *psk_hint;              /* keys of psk_file are taken; NULL: none are */
    enum settings_tls_version version; /* the least */
    bool ignores_dates;                /* of certificates of clients */
};

/* What becomes of a message for a client whose queue is full. */
enum settings_queue_policy {
    SETTINGS_QUEUE_DROP_NEWEST,
    SETTINGS_QUEUE_DROP_OLDEST,
    SETTINGS_QUEUE_DISCONNECT
};

/* accept_versions: the bit of a version of MQTT, by its number on the wire. */
#define SETTINGS_VERSION(number) (1u << (number))

struct listener_settings {
    uint16_t port;            /* 0: a Unix socket at `unix_path` */
    bool is_loopback;         /* 127.0.0.1 and ::1, whichever the machine has; no bind_address */
    const char *bind_address; /* an address or a host name; NULL: all addresses */
    const char *unix_path;
    const char *bind_interface;
    enum settings_domain domain;
    enum settings_protocol protocol;
    int32_t max_connections; /* -1: no limit */
    uint32_t backlog;
    bool defer_accept;
    bool allow_anonymous;
    bool allow_zero_length_clientid;
    const char *auto_id_prefix;
    bool use_username_as_clientid;
    const char *password_file;       /* NULL: none */
    const char *acl_file;            /* NULL: none */
    const char *psk_file;            /* NULL: none */
    const char *mount_point;         /* NULL: none */
    unsigned accept_versions;        /* bits of SETTINGS_VERSION() */
    uint16_t proxy_idle_timeout_s;   /* of the proxy in front; 0: not known */
    uint8_t max_qos;                 /* that clients may use */
    uint16_t max_topic_alias;        /* that clients may use; 0: none */
    uint16_t max_topic_alias_broker; /* that we use; 0: none */
    enum settings_queue_policy queue_policy;
    struct settings_proxy proxy;
    struct settings_http http;
    struct settings_certificates certificates;
    struct settings_tls tls;
    const struct report_place *places; /* as in the settings; its beginning is that of `listener` */
};

struct settings {
    struct settings_process process;
    struct settings_store store;
    struct settings_log log;
    struct settings_limits limits;
    struct settings_clients clients;
    struct settings_drain drain;
    struct settings_access access;
    bool is_local_only; /* no listener is configured: loopback only, everybody may come in */
    struct listener_settings *listeners;
    unsigned listener_len;
    const struct report_place *places; /* where options were written: see option_place() */

    /* Private. */
    struct arena arena;
    atomic_uint refs;
};

/* A snapshot that holds the defaults, without listeners; its only reference is the caller's. */
int settings_new(struct settings **settings_out) MUST_CHECK;

/* Puts the defaults of the listener options into one that is not yet part of any snapshot. */
int settings_init_listener(struct listener_settings *listener, struct arena *arena) MUST_CHECK;

struct settings *settings_ref(struct settings *settings);
struct settings *settings_unref(struct settings *settings);

DEFINE_CLEANUP(struct settings *, settings_unref)
