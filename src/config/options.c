#include "config/options.h"

#include "config/custom.h" // IWYU pragma: keep (named by a macro that pastes)
#include "config/report.h"

/* The struct and the scope that the words of the table below stand for. */
#define OWNER_global           settings
#define OWNER_listener         listener_settings
#define OWNER_default_listener listener_settings
#define SCOPE_global           OPTION_GLOBAL
#define SCOPE_listener         OPTION_LISTENER
#define SCOPE_default_listener OPTION_DEFAULT_LISTENER
#define SCOPE_bridge           OPTION_BRIDGE
#define SCOPE_plugin           OPTION_PLUGIN

#define CHECKED(value, condition, text)            \
    ((value) + 0 * sizeof(struct {                 \
                   static_assert(condition, text); \
                   int unused;                     \
               }))

#define MEMBER(place, member) (((struct OWNER_##place *)0)->member)

#define NUMBER_STORAGE(field)             \
    _Generic((field), uint8_t             \
             : OPTION_STORE_U8, uint16_t  \
             : OPTION_STORE_U16, uint32_t \
             : OPTION_STORE_U32, uint64_t \
             : OPTION_STORE_U64, int32_t  \
             : OPTION_STORE_I32, default  \
             : OPTION_STORE_NONE)

#define FIELD(place, member, condition, text) \
    .scope = SCOPE_##place,                   \
    .offset = CHECKED(offsetof(struct OWNER_##place, member), condition, text)

#define IS_OF(place, member, c_type) \
    __builtin_types_compatible_p(typeof(MEMBER(place, member)), c_type)

#define BOOL(place, member)                            \
    .type = OPTION_BOOL, .storage = OPTION_STORE_BOOL, \
    FIELD(place, member, IS_OF(place, member, bool), "the field of a bool option must be bool")

#define NUMBER(kind, place, member, least, most)                                                   \
    .type = kind, .storage = NUMBER_STORAGE(MEMBER(place, member)), .min = (least), .max = (most), \
    FIELD(place, member, NUMBER_STORAGE(MEMBER(place, member)) != OPTION_STORE_NONE,               \
          "the field of a number must be uint16_t, uint32_t, uint64_t or int32_t")

#define TEXT(kind, place, member)                            \
    .type = kind, .storage = OPTION_STORE_TEXT,              \
    FIELD(place, member, IS_OF(place, member, const char *), \
          "the field of a text must be const char *")

#define CHOICE(place, member, c_type, table)                                            \
    .type = OPTION_CHOICE, .storage = OPTION_STORE_ENUM, .choices = (table),            \
    FIELD(place, member, IS_OF(place, member, c_type) && sizeof(c_type) == sizeof(int), \
          "the field of a choice must be of the enum that the row names")

/* Parsed and formatted by custom_parse_NAME() and custom_format_NAME(). */
#define CUSTOM(place, name)                                                      \
    .type = OPTION_CUSTOM, .scope = SCOPE_##place, .parse = custom_parse_##name, \
    .format = custom_format_##name

/* Without a field: nothing reads it yet. */
#define PLAIN(kind, place) .type = (kind), .scope = SCOPE_##place

#define BUILT(class) .status = OPTION_BUILT, .reload = (class)
#define LATER(class) .status = OPTION_LATER, .reload = (class)

/* Only this value so far. */
#define ONLY(class, value) .status = OPTION_ONLY, .reload = (class), .only = (value)

/* About state that is not kept: one warning about that is enough. */
#define UNKEPT                                                                       \
    .status = OPTION_ACCEPTED, .reload = OPTION_LIVE, .note = "nothing is kept yet", \
    .is_silent = true, .missing = "accepted, and nothing is kept"

/* Instead of "yet". */
#define NO_ENGINES "OpenSSL 3 has no engines to rely on, and keyfile is a file in PEM"

#define COUNT_MAX 2147483647

static const struct option_choice domain_choices[] = {
    {"ipv4",                SETTINGS_DOMAIN_IPV4},
    {"ipv6",                     SETTINGS_DOMAIN_IPV6},
    {0},
};

static const struct option_choice proxy_version_choices[] = {
    {"1",                SETTINGS_PROXY_V1},
    {"2",                  SETTINGS_PROXY_V2},
    {"any",SETTINGS_PROXY_ANY},
    {0             },
};

static const struct option_choice proxy_untrusted_choices[] = {
    {"refuse",               SETTINGS_PROXY_REFUSE},
    {"direct",                      SETTINGS_PROXY_DIRECT},
    {0},
};

static const struct option_choice log_format_choices[] = {
    {"text",    LOG_TEXT},
    {"json",         LOG_JSON},
    {0},
};

static const struct option_choice queue_policy_choices[] = {
    {"drop_newest",               SETTINGS_QUEUE_DROP_NEWEST},
    {"drop_oldest",                           SETTINGS_QUEUE_DROP_OLDEST},
    {"disconnect",SETTINGS_QUEUE_DISCONNECT},
    {0               },
};

static const struct option_choice receive_excess_choices[] = {
    {"disconnect",            SETTINGS_RECEIVE_DISCONNECT},
    {"quota",                       SETTINGS_RECEIVE_QUOTA},
    {0},
};

static const struct option_choice protocol_choices[] = {
    {"mqtt",                   SETTINGS_PROTOCOL_MQTT},
    {"agent",                        SETTINGS_PROTOCOL_AGENT},
    {"websockets",SETTINGS_PROTOCOL_WEBSOCKETS},
    {"http_api",             SETTINGS_PROTOCOL_HTTP_API},
    {0                       },
};

static const struct option_choice keyform_choices[] = {
    {"pem", 0},
    {"engine",     1},
    {0}
};
static const struct option_choice reload_choices[] = {
    {"lazy", 0},
    {"immediate",      1},
    {0}
};
static const struct option_choice tls_choices[] = {
    {"tlsv1.2",         SETTINGS_TLS_1_2},
    {"tlsv1.3",                 SETTINGS_TLS_1_3},
    {0}
};

static const struct option_choice start_choices[] = {
    {"automatic", 0},
    {"lazy",           1},
    {"once",2},
    {0     },
};

static const struct option_choice bridge_version_choices[] = {
    {"mqttv31", 0},
    {"mqttv311",         1},
    {"mqttv50",2},
    {0},
};

/*
 * In the order of the reference page: by subject. `fallback` is what holds when the option is not
 * written; for what is not built, it is what Mosquitto does.
 */
/* clang-format off */
const struct option options[] = {
    /* The process */
    { "user", TEXT(OPTION_STRING, global, process.user), BUILT(OPTION_NEVER), .fallback = "mosquitto",
      .better = "capabilities are given up for good",
      .doc = "The user to become when started as root." },
    { "pid_file", TEXT(OPTION_PATH, global, process.pid_file), BUILT(OPTION_NEVER),
      .doc = "A file to write the process id to; it is removed at the end." },
    { "include_dir", PLAIN(OPTION_INCLUDE, global), BUILT(OPTION_LIVE), .repeats = true,
      .doc = "A directory whose `*.conf` files are read, too, in alphabetical order; only in the top file." },
    { "workers", NUMBER(OPTION_INTEGER, global, process.workers, 0, 256), BUILT(OPTION_NEVER),
      .fallback = "0", .is_ours = true,
      .doc = "Threads that serve clients; 0 means one per usable core." },
    { "per_listener_settings", CUSTOM(global, per_listener), BUILT(OPTION_LIVE),
      .fallback = "false", .note = "once true, it stays",
      .doc = "Whether the options about who may come in belong to the listener that they stand behind; must stand before them; deprecated." },
    { "set_tcp_nodelay", PLAIN(OPTION_BOOL, global), .status = OPTION_ACCEPTED, .only = "true",
      .reload = OPTION_LIVE, .fallback = "true", .note = "it is always on",
      .better = "always on: what leaves together is one write anyhow",
      .doc = "Whether small packets are sent at once on TCP connections." },
    { "packet_buffer_size", NUMBER(OPTION_BYTES, global, limits.packet_buffer_size, 0, 65535),
      BUILT(OPTION_LIVE), .fallback = "4096",
      .better = "packets need none: one buffer of 16 KiB for each worker, none for each client",
      .doc = "The most bytes that the head of a request of HTTP may have, such as the one that WebSocket begins with; at least 256." },
    { "websockets_headers_size", .alias_of = "packet_buffer_size" },
    { "max_http_headers", NUMBER(OPTION_INTEGER, global, limits.max_http_headers, 1, 65535),
      BUILT(OPTION_LIVE), .fallback = "100", .is_ours = true,
      .doc = "The most headers that a request of HTTP may have." },
    { "memory_limit", NUMBER(OPTION_BYTES, global, limits.memory_limit, 0, INT64_MAX),
      BUILT(OPTION_LIVE), .fallback = "0",
      .better = "before it is reached, requests that need more are refused with a reason",
      .doc = "The most memory that the broker may take: a request that needs more is refused; 0 means no limit." },
    { "sys_interval", NUMBER(OPTION_SECONDS, global, process.sys_interval_s, 0, 65535),
      BUILT(OPTION_LIVE), .fallback = "10",
      .better = "also the topics of each kind of packet; exact with any number of workers",
      .doc = "Seconds between two updates of the topics below $SYS; 0 switches them off." },
    { "enable_control_api", PLAIN(OPTION_BOOL, global), ONLY(OPTION_LIVE, "false"), .fallback = "false",
      .doc = "Whether $CONTROL/broker/v1 answers." },

    /* Clients, sessions, queues */
    { "connect_timeout", NUMBER(OPTION_SECONDS, global, limits.connect_timeout_s, 1, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "10", .is_ours = true,
      .doc = "Seconds from accepting a connection within which CONNECT must have arrived." },
    { "global_max_clients", NUMBER(OPTION_INTEGER, global, limits.global_max_clients, -1, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "-1",
      .doc = "The most sessions, connected or not; -1 means no limit." },
    { "global_max_connections",
      NUMBER(OPTION_INTEGER, global, limits.global_max_connections, -1, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "-1",
      .doc = "The most open connections of all listeners together; -1 means no limit." },
    { "max_pending_connections",
      NUMBER(OPTION_INTEGER, global, limits.max_pending_connections, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .is_ours = true,
      .doc = "The most open connections on which CONNECT has not arrived, of all listeners together: above it the oldest is closed; 0 means no limit; without it, a quarter of the files that the process may open." },
    { "linger_timeout", NUMBER(OPTION_SECONDS, global, limits.linger_timeout_s, 0, 3600),
      BUILT(OPTION_LIVE), .fallback = "2", .is_ours = true,
      .doc = "Seconds that a connection which the broker has ended may stay half open, so that its peer can read why; 0 closes it at once, and what the peer still sends may then destroy that." },
    { "max_linger_bytes", NUMBER(OPTION_BYTES, global, limits.max_linger_bytes, 0, 1073741824),
      BUILT(OPTION_LIVE), .fallback = "16777216", .is_ours = true,
      .doc = "The most bytes that are read and thrown away from such a connection; with more it is closed." },
    { "max_lingering_connections",
      NUMBER(OPTION_INTEGER, global, limits.max_lingering_connections, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .is_ours = true,
      .doc = "The most such connections, of all listeners together: above it the oldest is closed; 0 means no limit; without it, a sixteenth of the files that the process may open." },
    { "max_pending_headers_per_proxy",
      NUMBER(OPTION_INTEGER, global, limits.max_pending_headers_per_proxy, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .is_ours = true,
      .doc = "The most open connections from one proxy (of IPv6: one /64; all that come by Unix sockets are one) whose PROXY header is not complete: above it new ones from there are refused; 0 means no limit; without it, a quarter of what max_pending_connections allows, but at least 128 for each worker." },
    { "max_connections_per_address",
      NUMBER(OPTION_INTEGER, global, limits.max_connections_per_address, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "0", .is_ours = true,
      .doc = "The most open connections from one address (of IPv6: one /64), where the client's own is known; 0 means no limit." },
    { "connect_rate_per_address",
      NUMBER(OPTION_INTEGER, global, limits.connect_rate_per_address, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "0", .is_ours = true,
      .doc = "New connections a minute from one address (of IPv6: one /64), where the client's own is known; a minute's worth may come at once; 0 means no limit." },
    { "max_failed_logins_per_address",
      NUMBER(OPTION_INTEGER, global, limits.max_failed_logins_per_address, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "0", .is_ours = true,
      .doc = "Logins from one address (of IPv6: one /64) that may fail within failed_login_window, where the client's own is known; then it is banned; 0 means no limit." },
    { "failed_login_window",
      NUMBER(OPTION_SECONDS, global, limits.failed_login_window_s, 1, 86400),
      BUILT(OPTION_LIVE), .fallback = "60", .is_ours = true,
      .doc = "Seconds within which failed logins of an address are counted together." },
    { "failed_login_ban", NUMBER(OPTION_SECONDS, global, limits.failed_login_ban_s, 1, 86400),
      BUILT(OPTION_LIVE), .fallback = "300", .is_ours = true,
      .doc = "Seconds for which an address is banned whose logins failed too often: its connections are closed before CONNECT." },
    { "drain_delay", NUMBER(OPTION_SECONDS, global, drain.delay_s, 0, 65535), BUILT(OPTION_LIVE),
      .fallback = "5", .is_ours = true,
      .doc = "Seconds from the announcement of a drain until the first client is sent away, in which load balancers hear of it." },
    { "drain_time", NUMBER(OPTION_SECONDS, global, drain.time_s, 0, 86400), BUILT(OPTION_LIVE),
      .fallback = "60", .is_ours = true,
      .doc = "Seconds over which a drain sends all clients away, evenly; 0 means all at once." },
    { "server_reference", TEXT(OPTION_STRING, global, drain.server_reference), BUILT(OPTION_LIVE),
      .max = 1024, .is_ours = true,
      .doc = "Where a drain tells clients of version 5 to go, as HOST or HOST:PORT and several with spaces between; without it they are not told." },
    { "server_moved", BOOL(global, drain.server_moved), BUILT(OPTION_LIVE), .fallback = "false",
      .is_ours = true,
      .doc = "Whether a drain tells them to go there for good (0x9D) instead of for now (0x9C)." },
    { "max_inflight_messages", NUMBER(OPTION_INTEGER, global, limits.max_inflight_messages, 0, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "20", .complaint = "max_inflight_messages must be <= 65535.",
      .doc = "Messages of QoS 1 and 2 that one client may have unacknowledged; 0 and 65535 mean no limit." },
    { "max_inflight_bytes", NUMBER(OPTION_BYTES, global, limits.max_inflight_bytes, 0, INT64_MAX),
      BUILT(OPTION_LIVE), .fallback = "0",
      .doc = "The same as max_inflight_messages in bytes of payload; 0 means no limit." },
    { "max_queued_messages", NUMBER(OPTION_INTEGER, global, limits.max_queued_messages, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "1000",
      .better = "`queue_policy` chooses which message is dropped",
      .doc = "Messages that wait for one client behind those in flight; 0 means no limit." },
    { "max_queued_bytes", NUMBER(OPTION_BYTES, global, limits.max_queued_bytes, 0, INT64_MAX),
      BUILT(OPTION_LIVE), .fallback = "0",
      .doc = "The same as max_queued_messages in bytes of payload; 0 means no limit." },
    { "queue_qos0_messages", BOOL(global, limits.queue_qos0_messages), BUILT(OPTION_LIVE),
      .fallback = "false",
      .doc = "Whether messages of QoS 0 are kept for durable clients that are away." },
    { "max_packet_size", NUMBER(OPTION_BYTES, global, limits.max_packet_size, 20, COUNT_MAX),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "2000000",
      .doc = "The largest packet that a client may send." },
    { "message_size_limit", NUMBER(OPTION_BYTES, global, limits.message_size_limit, 0, 268435455),
      BUILT(OPTION_LIVE), .fallback = "0",
      .better = "refused with 0x83, as the manual says; 0x95 may not stand in an acknowledgement",
      .doc = "The largest payload that is passed on, also of a will; 0 means no limit." },
    { "max_keepalive", NUMBER(OPTION_SECONDS, global, limits.max_keepalive_s, 0, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "0",
      .doc = "The longest keep-alive that a client may ask for; 0 means no limit." },
    { "persistent_client_expiration", CUSTOM(global, expiration), BUILT(OPTION_RELOAD_LISTENER),
      .better = "clients of version 5 are told the interval that counts",
      .doc = "How long a durable session outlives its connection: a count with s, h, d, w, m (30 days) or y behind it." },
    { "retain_available", BOOL(global, clients.retain_available), BUILT(OPTION_RELOAD_LISTENER), .fallback = "true",
      .doc = "Whether clients may publish retained messages." },
    { "retain_expiry_interval",
      NUMBER(OPTION_INTEGER, global, clients.retain_expiry_interval_min, 1, 10000000),
      BUILT(OPTION_LIVE),
      .doc = "Minutes between two sweeps for expired retained messages." },
    { "check_retain_source", BOOL(global, clients.check_retain_source), BUILT(OPTION_LIVE),
      .fallback = "false",
      .note = "the manual of Mosquitto says true, and its code false: here as there",
      .doc = "Whether a retained message is sent only while its publisher still may publish it." },
    { "allow_duplicate_messages", BOOL(global, clients.allow_duplicate_messages), BUILT(OPTION_LIVE),
      .fallback = "true", .deprecated = "The behaviour will default to true.",
      .better = "`false` also binds version 5: one copy, with the identifiers of all subscriptions",
      .doc = "Whether overlapping subscriptions of one client each get their own copy of a message." },
    { "upgrade_outgoing_qos", BOOL(global, limits.upgrade_outgoing_qos), BUILT(OPTION_LIVE),
      .fallback = "false",
      .doc = "Whether messages are delivered at the QoS of the subscription even if published below it." },
    { "clientid_prefixes", TEXT(OPTION_STRING, global, clients.clientid_prefixes), BUILT(OPTION_RELOAD_LISTENER),
      .deprecated = "",
      .doc = "Only client ids that begin so may connect." },
    { "receive_maximum_exceeded",
      CHOICE(global, limits.receive_maximum_exceeded, enum settings_receive_excess,
             receive_excess_choices),
      BUILT(OPTION_LIVE), .fallback = "disconnect", .is_ours = true,
      .doc = "Whether a client of MQTT 5.0 that sends more at once than our Receive Maximum is disconnected, or only the message that is too much refused (quota)." },
    { "check_payload_format", BOOL(global, clients.check_payload_format), BUILT(OPTION_LIVE),
      .fallback = "false", .is_ours = true,
      .doc = "Whether a message that says that its payload is text is refused when that is not valid UTF-8." },

    /* Keeping state */
    { "persistence", BOOL(global, store.persistence), BUILT(OPTION_LIVE), .fallback = "false",
      .note = "true needs allow_memory_only, since nothing is kept yet",
      .missing = "`true` is refused without `allow_memory_only true`, and nothing is kept",
      .doc = "Whether sessions and retained messages survive the end of the process." },
    { "retained_persistence", .alias_of = "persistence" },
    { "allow_memory_only", BOOL(global, store.allow_memory_only), BUILT(OPTION_LIVE),
      .fallback = "false", .is_ours = true,
      .doc = "Whether the broker starts although it is asked to keep state and can't." },
    { "persistence_file", PLAIN(OPTION_PATH, global), UNKEPT, .fallback = "mosquitto.db",
      .doc = "The name of the file that keeps the state." },
    { "persistence_location", PLAIN(OPTION_PATH, global), UNKEPT,
      .doc = "The directory for the kept state." },
    { "autosave_interval", PLAIN(OPTION_SECONDS, global), UNKEPT, .fallback = "1800", .min = 0,
      .max = COUNT_MAX,
      .doc = "Seconds between two snapshots of the state; 0 means only at the end." },
    { "autosave_on_changes", PLAIN(OPTION_BOOL, global), UNKEPT, .fallback = "false",
      .doc = "Whether autosave_interval counts changes instead of seconds." },

    /* Log */
    { "log_dest", CUSTOM(global, log_dest), BUILT(OPTION_LIVE), .fallback = "stderr",
      .repeats = true,
      .better = "a slow destination holds up no client",
      .missing = "`dlt` and `android` are refused",
      .doc = "Where the log goes: none, stdout, stderr, syslog, topic or `file` and a path." },
    { "log_type", CUSTOM(global, log_type), BUILT(OPTION_LIVE),
      .fallback = "error warning notice information", .repeats = true,
      .doc = "What is logged: debug, error, warning, notice, information, subscribe, unsubscribe, websockets, internal, none or all." },
    { "log_timestamp", BOOL(global, log.timestamp), BUILT(OPTION_LIVE), .fallback = "true",
      .doc = "Whether each line of the log begins with the time." },
    { "log_timestamp_format", TEXT(OPTION_STRING, global, log.timestamp_format), BUILT(OPTION_LIVE),
      .doc = "The form of that time as for strftime(3); without it, seconds since 1970." },
    { "log_facility", NUMBER(OPTION_INTEGER, global, log.facility, 0, 7), BUILT(OPTION_LIVE),
      .doc = "Which of local0 to local7 is the facility in syslog; without it, daemon." },
    { "log_syslog_path", TEXT(OPTION_PATH, global, log.syslog_path), BUILT(OPTION_LIVE),
      .fallback = "/dev/log", .max = 107, .is_ours = true,
      .doc = "The socket that `log_dest syslog` sends to." },
    { "log_format", CHOICE(global, log.format, enum log_format, log_format_choices), BUILT(OPTION_LIVE),
      .fallback = "text", .is_ours = true,
      .doc = "The form of a line: text as Mosquitto's, or one JSON object each." },
    { "log_repeat_limit", NUMBER(OPTION_INTEGER, global, log.repeat_limit, 0, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "100", .is_ours = true,
      .doc = "Lines within a second of one event (docs/events.md) above which more are only counted; 0 means all are written." },
    { "log_buffer_size", NUMBER(OPTION_BYTES, global, log.buffer_size, 16384, 1073741824),
      BUILT(OPTION_NEVER), .fallback = "1048576", .is_ours = true,
      .doc = "Bytes of log that wait while a destination is slow; what does not fit is lost and counted." },
    { "connection_messages", BOOL(global, log.connection_messages), BUILT(OPTION_LIVE),
      .fallback = "true",
      .doc = "Whether clients that come and go are logged." },
    { "websockets_log_level", PLAIN(OPTION_INTEGER, global), .status = OPTION_ACCEPTED, .only = "0",
      .reload = OPTION_LIVE, .fallback = "0", .min = 0, .max = COUNT_MAX,
      .note = "WebSockets are served without a library that has log levels of its own",
      .doc = "The log level of a WebSocket library." },

    /* Who may connect, publish and subscribe */
    { "allow_anonymous", BOOL(global, clients.allow_anonymous), BUILT(OPTION_LIVE), .fallback = "false",
      .per_listener = "listener_allow_anonymous",
      .doc = "Whether clients may come without a user name; true if no listener is configured." },
    { "listener_allow_anonymous", BOOL(listener, allow_anonymous), BUILT(OPTION_LIVE),
      .doc = "The same for one listener; without it, allow_anonymous holds." },
    { "allow_zero_length_clientid", BOOL(global, clients.allow_zero_length_clientid),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "true", .per_listener = "listener_allow_zero_length_clientid",
      .doc = "Whether clients may come without a client id and get one." },
    { "listener_allow_zero_length_clientid", BOOL(listener, allow_zero_length_clientid),
      BUILT(OPTION_RELOAD_LISTENER), .is_ours = true,
      .doc = "The same for one listener; without it, allow_zero_length_clientid holds." },
    { "auto_id_prefix", TEXT(OPTION_STRING, global, clients.auto_id_prefix), BUILT(OPTION_RELOAD_LISTENER),
      .fallback = "auto-", .max = 50, .deprecated_for = "listener_auto_id_prefix",
      .per_listener = "listener_auto_id_prefix",
      .doc = "What the client ids that the broker gives begin with." },
    { "listener_auto_id_prefix", TEXT(OPTION_STRING, listener, auto_id_prefix),
      BUILT(OPTION_RELOAD_LISTENER), .max = 50,
      .doc = "The same for one listener; without it, auto_id_prefix holds." },
    { "password_file", TEXT(OPTION_PATH, global, access.password_file), BUILT(OPTION_LIVE),
      .replaces = true, .per_listener = "listener_password_file",
      .better = "a bad file refuses a reload instead of ending the broker; no password is looked at by a thread that serves clients",
      .doc = "The file of user names and passwords: nobody comes in with another name." },
    { "listener_password_file", TEXT(OPTION_PATH, listener, password_file), BUILT(OPTION_LIVE),
      .replaces = true, .is_ours = true,
      .doc = "The same for one listener; without it, password_file holds." },
    { "password_threads", NUMBER(OPTION_INTEGER, global, access.password_threads, 1, 64),
      BUILT(OPTION_NEVER), .fallback = "2", .is_ours = true,
      .doc = "Threads that look at passwords, beside those that serve clients." },
    { "password_queue", NUMBER(OPTION_INTEGER, global, access.password_queue, 1, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "1000", .is_ours = true,
      .doc = "Passwords that may wait to be looked at; who comes then is refused as long as that is so." },
    { "password_iterations_max",
      NUMBER(OPTION_INTEGER, global, access.password_iterations_max, 1, COUNT_MAX),
      BUILT(OPTION_LIVE), .fallback = "1000000", .is_ours = true,
      .doc = "The most iterations that a stored password may ask for: a file that has more is refused." },
    { "password_memory_max", NUMBER(OPTION_BYTES, global, access.password_memory_max, 0, INT64_MAX),
      BUILT(OPTION_LIVE), .fallback = "268435456", .is_ours = true,
      .doc = "The most memory that a stored password may ask for: a file that has more is refused." },
    { "acl_file", TEXT(OPTION_PATH, global, access.acl_file), BUILT(OPTION_LIVE), .replaces = true,
      .per_listener = "listener_acl_file",
      .better = "as fast with 10,000 rules as with ten; a bad file refuses a reload instead of ending the broker; a name with `/` widens no pattern; patterns can also name the host that TLS was asked for and its protocol",
      .doc = "The file that says who may publish and read what." },
    { "listener_acl_file", TEXT(OPTION_PATH, listener, acl_file), BUILT(OPTION_LIVE),
      .replaces = true, .is_ours = true,
      .doc = "The same for one listener; without it, acl_file holds." },
    { "acl_deny_subscribe", BOOL(global, access.acl_deny_subscribe), BUILT(OPTION_LIVE),
      .fallback = "false", .is_ours = true,
      .doc = "Whether a subscription is refused that does not lie within what one rule of acl_file lets read; otherwise only the messages are." },
    { "psk_file", TEXT(OPTION_PATH, global, access.psk_file), BUILT(OPTION_LIVE), .replaces = true,
      .per_listener = "listener_psk_file",
      .doc = "The file of identities and pre-shared keys for TLS." },
    { "listener_psk_file", TEXT(OPTION_PATH, listener, psk_file), BUILT(OPTION_LIVE),
      .replaces = true, .is_ours = true,
      .doc = "The same for one listener; without it, psk_file holds." },
    { "plugin", PLAIN(OPTION_PATH, plugin), LATER(OPTION_NEVER), .repeats = true,
      .doc = "A plugin to load." },
    { "auth_plugin", .alias_of = "plugin" },
    { "global_plugin", PLAIN(OPTION_PATH, plugin), LATER(OPTION_NEVER), .repeats = true,
      .doc = "A plugin to load for all listeners, asked before the others." },
    { "plugin_load", PLAIN(OPTION_CUSTOM, plugin), LATER(OPTION_NEVER), .repeats = true,
      .doc = "A name and the path of a plugin to load under it, for plugin_use." },
    { "plugin_use", PLAIN(OPTION_STRING, listener), LATER(OPTION_NEVER), .repeats = true,
      .doc = "The name of a loaded plugin that this listener uses." },
    { "plugin_opt_", PLAIN(OPTION_STRING, plugin), LATER(OPTION_NEVER), .is_prefix = true,
      .repeats = true,
      .doc = "An option of the latest plugin, whose name follows the underscore." },
    { "auth_opt_", .alias_of = "plugin_opt_", .is_prefix = true },
    { "auth_plugin_deny_special_chars", PLAIN(OPTION_BOOL, global), LATER(OPTION_NEVER),
      .fallback = "true",
      .doc = "Whether plugins are not asked about names that contain +, # or /, which are then denied." },

    /* Listeners */
    { "listener", PLAIN(OPTION_BLOCK, listener), BUILT(OPTION_LIVE), .repeats = true,
      .better = "comes and goes at a reload; `listen_backlog` instead of 100",
      .doc = "Begins a listener: a port and perhaps an address or host name, or 0 and the path of a Unix socket." },
    { "port", NUMBER(OPTION_INTEGER, default_listener, port, 1, 65535), BUILT(OPTION_LIVE),
      .fallback = "1883", .deprecated_for = "listener",
      .doc = "The port of the default listener." },
    { "bind_address", TEXT(OPTION_STRING, default_listener, bind_address), BUILT(OPTION_LIVE),
      .deprecated_for = "listener",
      .doc = "The address of the default listener; without it, all addresses." },
    { "bind_interface", TEXT(OPTION_STRING, listener, bind_interface), BUILT(OPTION_NEVER),
      .max = 15,
      .doc = "The network interface that connections must come through." },
    { "socket_domain", CHOICE(listener, domain, enum settings_domain, domain_choices),
      BUILT(OPTION_NEVER), .complaint = "Invalid socket_domain value \"%s\" in configuration.",
      .doc = "Which kind of addresses a listener without address has; without it, both." },
    { "listen_backlog", NUMBER(OPTION_INTEGER, listener, backlog, 1, COUNT_MAX), BUILT(OPTION_NEVER),
      .fallback = "4096", .is_ours = true,
      .doc = "Connections that the kernel holds until they are accepted." },
    { "defer_accept", BOOL(listener, defer_accept), BUILT(OPTION_NEVER), .fallback = "false",
      .is_ours = true,
      .doc = "Whether the kernel holds a connection back until its first bytes have arrived." },
    { "protocol", CHOICE(listener, protocol, enum settings_protocol, protocol_choices),
      BUILT(OPTION_NEVER), .fallback = "mqtt",
      .better = "`agent` answers HAProxy's agent-check",
      .doc = "What the listener speaks: MQTT, the same inside WebSocket (websockets), HTTP for health, figures and files (http_api), or what HAProxy's agent-check asks (agent)." },
    { "accept_protocol_versions", CUSTOM(listener, versions),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "3,4,5",
      .doc = "Which of the MQTT versions 3, 4 and 5 are allowed, separated by commas." },
    { "max_connections", NUMBER(OPTION_INTEGER, listener, max_connections, -1, COUNT_MAX),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "-1",
      .doc = "The most connections of the listener; -1 means no limit." },
    { "max_qos", NUMBER(OPTION_INTEGER, listener, max_qos, 0, 2), BUILT(OPTION_RELOAD_LISTENER),
      .fallback = "2", .complaint = "max_qos must be between 0 and 2 inclusive.",
      .doc = "The highest QoS that clients may use." },
    { "maximum_qos", .alias_of = "max_qos" },
    { "max_topic_alias", NUMBER(OPTION_INTEGER, listener, max_topic_alias, 0, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "10",
      .complaint = "Invalid max_topic_alias value in configuration.",
      .doc = "Topic aliases that a client may use; 0 means none." },
    { "max_topic_alias_broker", NUMBER(OPTION_INTEGER, listener, max_topic_alias_broker, 0, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "10",
      .doc = "Topic aliases that the broker uses to a client that allows them; 0 means none." },
    { "mount_point", TEXT(OPTION_STRING, listener, mount_point), BUILT(OPTION_RELOAD_LISTENER),
      .parse = custom_parse_mount_point, .replaces = true,
      .better = "also for UNSUBSCRIBE and behind `$share/GROUP/`; one with wildcards is refused there, too",
      .doc = "A prefix that all topics of the listener's clients get." },
    { "use_username_as_clientid", BOOL(listener, use_username_as_clientid),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .doc = "Whether the user name takes the place of the client id." },
    { "queue_policy",
      CHOICE(listener, queue_policy, enum settings_queue_policy, queue_policy_choices),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "drop_newest", .is_ours = true,
      .doc = "What a full queue of a client does: drop_newest, drop_oldest, or disconnect the client, but one that came back not before it has got what waited." },
    { "http_dir", TEXT(OPTION_PATH, listener, http.folder), BUILT(OPTION_RELOAD_LISTENER),
      .better = "reloads; links that lead out of it and hidden files are not served",
      .doc = "A directory of files to serve by HTTP." },
    { "http_max_file_size", NUMBER(OPTION_BYTES, listener, http.file_size_max, 0, 1073741824),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "16777216", .is_ours = true,
      .doc = "The most bytes that a file in http_dir may have, or it is not served: it is read as a whole." },
    { "websockets_origin", CUSTOM(listener, websockets_origin),
      BUILT(OPTION_RELOAD_LISTENER), .repeats = true,
      .doc = "An origin from which web pages may connect, such as https://www.example.com; without it, any." },
    { "forwarded_for_trusted", CUSTOM(listener, forwarded_trusted),
      BUILT(OPTION_RELOAD_LISTENER), .is_ours = true, .repeats = true,
      .doc = "An address, a range as ADDRESS/BITS, or `unix`, whose X-Forwarded-For is believed: the address of the client, in the log and for limits, is then the one that it tells; without it, nobody's." },

    /* PROXY protocol */
    { "enable_proxy_protocol",
      CHOICE(listener, proxy.version, enum settings_proxy_version, proxy_version_choices),
      BUILT(OPTION_RELOAD_LISTENER),
      .better = "headers in any pieces and of any length, LOCAL, all TLVs, CRC32C checked; `any` takes both",
      .doc = "Which version of the PROXY protocol's header must begin every connection." },
    { "enable_proxy_protocol_v2", BOOL(listener, proxy.is_v2), BUILT(OPTION_RELOAD_LISTENER),
      .is_ours = true,
      .doc = "Another way to write enable_proxy_protocol 2." },
    { "proxy_protocol_trusted", CUSTOM(listener, proxy_trusted),
      BUILT(OPTION_RELOAD_LISTENER), .is_ours = true, .repeats = true,
      .doc = "An address, a range as ADDRESS/BITS, or `unix`, whose PROXY headers are believed; without it, everybody's." },
    { "proxy_protocol_untrusted",
      CHOICE(listener, proxy.untrusted, enum settings_proxy_untrusted, proxy_untrusted_choices),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "refuse", .is_ours = true,
      .doc = "Whether connections from other addresses are refused or served as clients without a header." },
    { "proxy_protocol_timeout", NUMBER(OPTION_SECONDS, listener, proxy.timeout_s, 1, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "5", .is_ours = true,
      .doc = "Seconds from accepting a connection within which the whole PROXY header must have arrived." },
    { "proxy_idle_timeout", NUMBER(OPTION_SECONDS, listener, proxy_idle_timeout_s, 0, 65535),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "0", .is_ours = true,
      .doc = "Seconds of silence after which the proxy in front ends a connection: clients of version 5 get a keep-alive of three quarters of it if theirs is longer, others a warning in the log; 0 means that it is not known." },
    { "proxy_protocol_v2_require_tls", BOOL(listener, proxy.requires_tls),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .better = "judged by the bit that says so, not by there being a TLV",
      .doc = "Whether clients must have come to the proxy by TLS." },
    { "proxy_protocol_v2_require_crc32c", BOOL(listener, proxy.requires_crc),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false", .is_ours = true,
      .doc = "Whether a header of version 2 that speaks of a client must have a checksum." },
    { "proxy_protocol_common_name_slash", BOOL(listener, proxy.allows_slash),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false", .is_ours = true,
      .doc = "Whether a common name that the PROXY header tells may be a user name with `/` in it, which is several levels where it stands in a topic; one with `+`, `#` or control characters never is." },
    { "proxy_protocol_subject_tlv",
      NUMBER(OPTION_INTEGER, listener, proxy.subject_tlv, 0xE0, 0xEF),
      BUILT(OPTION_RELOAD_LISTENER), .is_ours = true,
      .doc = "The custom TLV in which the proxy tells the subject of the client's certificate, such as 0xE1 for HAProxy's `set-proxy-v2-tlv-fmt(0xE1) %[ssl_c_s_dn]`; without it, the certificate itself is looked at." },

    /* TLS */
    { "cafile", TEXT(OPTION_PATH, listener, tls.cafile), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true, .better = "a reload takes over what it says",
      .doc = "The certificates of the authorities that may have signed those of clients." },
    { "capath", TEXT(OPTION_PATH, listener, tls.capath), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true, .better = "a reload takes over what it says",
      .doc = "A directory of such certificates." },
    { "certfile", TEXT(OPTION_PATH, listener, tls.certfile), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true,
      .doc = "The certificate of the listener." },
    { "keyfile", TEXT(OPTION_PATH, listener, tls.keyfile), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true,
      .doc = "The key of that certificate." },
    { "crlfile", TEXT(OPTION_PATH, listener, tls.crlfile), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true, .better = "a reload takes over what it says",
      .doc = "The list of revoked certificates." },
    { "ciphers", TEXT(OPTION_STRING, listener, tls.ciphers), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true, .better = "a reload takes over what it says",
      .doc = "The ciphers for TLS 1.2." },
    { "ciphers_tls1.3", TEXT(OPTION_STRING, listener, tls.ciphers_13), BUILT(OPTION_RELOAD_LISTENER),
      .replaces = true, .better = "a reload takes over what it says",
      .doc = "The cipher suites for TLS 1.3." },
    { "dhparamfile", PLAIN(OPTION_PATH, listener), .status = OPTION_ACCEPTED, .reload = OPTION_NEVER,
      .replaces = true, .note = "the parameters of Diffie-Hellman are chosen automatically",
      .doc = "Parameters of Diffie-Hellman." },
    { "disable_client_cert_date_checks", BOOL(listener, tls.ignores_dates),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .doc = "Whether expired certificates of clients are accepted." },
    { "require_certificate", BOOL(listener, certificates.is_required),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .doc = "Whether clients must have a certificate." },
    { "tls_version", CHOICE(listener, tls.version, enum settings_tls_version, tls_choices),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "tlsv1.2",
      .better = "a reload takes over what it says",
      .doc = "The lowest version of TLS that is allowed." },
    { "tls_engine", PLAIN(OPTION_STRING, listener), LATER(OPTION_NEVER),
      .refused = NO_ENGINES,
      .doc = "An OpenSSL engine." },
    { "tls_engine_kpass_sha1", PLAIN(OPTION_STRING, listener), LATER(OPTION_NEVER),
      .refused = NO_ENGINES,
      .doc = "The SHA-1 sum of the password of the engine's key." },
    { "tls_keyform", PLAIN(OPTION_CHOICE, listener), ONLY(OPTION_NEVER, "pem"), .fallback = "pem",
      .choices = keyform_choices, .refused = NO_ENGINES,
      .doc = "Whether keyfile is a file or a name of the engine." },
    { "use_identity_as_username", BOOL(listener, certificates.gives_username),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .doc = "Whether the common name of the client's certificate is the user name." },
    { "use_subject_as_username", BOOL(listener, certificates.gives_subject_username),
      BUILT(OPTION_RELOAD_LISTENER), .fallback = "false",
      .better = "behind a proxy as well",
      .doc = "Whether the whole subject of the client's certificate is the user name." },
    { "psk_hint", TEXT(OPTION_STRING, listener, tls.psk_hint), BUILT(OPTION_RELOAD_LISTENER),
      .better = "for TLS 1.3 as well, beside a certificate as well",
      .doc = "The hint that clients get with TLS by pre-shared keys, which it switches on." },

    /* Bridges */
    { "connection", PLAIN(OPTION_BLOCK, bridge), LATER(OPTION_RELOAD_BRIDGE), .repeats = true,
      .doc = "Begins a bridge of this name." },
    { "address", PLAIN(OPTION_CUSTOM, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The brokers to connect to: host names or addresses, each perhaps with a colon and a port." },
    { "addresses", .alias_of = "address" },
    { "topic", PLAIN(OPTION_CUSTOM, bridge), LATER(OPTION_RELOAD_BRIDGE), .repeats = true,
      .doc = "What the bridge passes on: a filter, a direction, a QoS, a local and a remote prefix." },
    { "bridge_protocol_version", PLAIN(OPTION_CHOICE, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "mqttv311", .choices = bridge_version_choices,
      .doc = "The version of MQTT that the bridge speaks." },
    { "bridge_reload_type", PLAIN(OPTION_CHOICE, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "lazy", .choices = reload_choices,
      .doc = "Whether changes wait for the next connection of the bridge." },
    { "start_type", PLAIN(OPTION_CHOICE, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "automatic", .choices = start_choices,
      .doc = "When the bridge connects." },
    { "restart_timeout", PLAIN(OPTION_CUSTOM, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "5 30",
      .doc = "Seconds until the bridge connects again: a number, or the least and the most." },
    { "idle_timeout", PLAIN(OPTION_SECONDS, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "60",
      .min = 1, .max = 65535,
      .doc = "Seconds without messages until a lazy bridge disconnects." },
    { "threshold", PLAIN(OPTION_INTEGER, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "10",
      .min = 1, .max = COUNT_MAX,
      .doc = "Waiting messages that make a lazy bridge connect." },
    { "round_robin", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "false",
      .doc = "Whether the addresses take turns instead of the first being preferred." },
    { "keepalive_interval", PLAIN(OPTION_SECONDS, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "60", .min = 5, .max = 65535,
      .doc = "The keep-alive of the bridge." },
    { "cleansession", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "false",
      .doc = "Whether the remote broker forgets the bridge between two connections." },
    { "local_cleansession", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "Whether this broker forgets the bridge between two connections; without it, as cleansession." },
    { "remote_clientid", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The client id at the remote broker." },
    { "clientid", .alias_of = "remote_clientid" },
    { "remote_username", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The user name at the remote broker." },
    { "username", .alias_of = "remote_username" },
    { "remote_password", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The password at the remote broker." },
    { "password", .alias_of = "remote_password" },
    { "local_clientid", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The client id of the bridge at this broker." },
    { "local_username", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The user name of the bridge at this broker." },
    { "local_password", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The password of the bridge at this broker." },
    { "notifications", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "true",
      .doc = "Whether the state of the bridge is published." },
    { "notifications_local_only", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "false",
      .doc = "Whether only this broker gets to know that state." },
    { "notification_topic", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The topic of that state." },
    { "try_private", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE), .fallback = "true",
      .doc = "Whether the bridge tells the remote broker that it is one." },
    { "bridge_attempt_unsubscribe", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "true",
      .doc = "Whether the bridge unsubscribes at each connection from topics that only go out." },
    { "bridge_bind_address", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The address that the bridge connects from." },
    { "bridge_max_packet_size", PLAIN(OPTION_BYTES, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "0", .min = 0, .max = COUNT_MAX,
      .doc = "The largest packet that the bridge accepts; 0 means no limit." },
    { "bridge_max_topic_alias", PLAIN(OPTION_INTEGER, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "10", .min = 0, .max = 65535,
      .doc = "Topic aliases that the remote broker may use." },
    { "bridge_outgoing_retain", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "true",
      .doc = "Whether messages to the remote broker keep their retain flag." },
    { "bridge_receive_maximum", PLAIN(OPTION_INTEGER, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .min = 1, .max = 65535,
      .doc = "Messages that the remote broker may have unacknowledged; without it, max_inflight_messages." },
    { "bridge_session_expiry_interval", PLAIN(OPTION_SECONDS, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "0", .min = 0, .max = UINT32_MAX,
      .doc = "Seconds that the session at the remote broker outlives its connection; 4294967295 means for ever." },
    { "bridge_tcp_keepalive", PLAIN(OPTION_CUSTOM, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The keep-alive of TCP: idle seconds, seconds between probes, and their number." },
    { "bridge_tcp_user_timeout", PLAIN(OPTION_INTEGER, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .min = 0, .max = COUNT_MAX,
      .doc = "Milliseconds after which unacknowledged data breaks the connection." },
    { "bridge_cafile", PLAIN(OPTION_PATH, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The certificates of the authorities that may have signed the remote broker's." },
    { "bridge_capath", PLAIN(OPTION_PATH, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "A directory of such certificates." },
    { "bridge_certfile", PLAIN(OPTION_PATH, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The certificate of the bridge." },
    { "bridge_keyfile", PLAIN(OPTION_PATH, bridge), LATER(OPTION_RELOAD_BRIDGE), .replaces = true,
      .doc = "The key of that certificate." },
    { "bridge_tls_use_os_certs", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "false",
      .doc = "Whether the authorities that the system trusts are trusted." },
    { "bridge_alpn", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The protocol to name while TLS is set up." },
    { "bridge_insecure", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "false",
      .doc = "Whether the name in the remote broker's certificate may be wrong." },
    { "bridge_require_ocsp", PLAIN(OPTION_BOOL, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "false",
      .doc = "Whether the remote broker must prove that its certificate is not revoked." },
    { "bridge_tls_version", PLAIN(OPTION_CHOICE, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .fallback = "tlsv1.2", .choices = tls_choices,
      .doc = "The lowest version of TLS that the bridge accepts." },
    { "bridge_ciphers", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The ciphers of the bridge for TLS 1.2." },
    { "bridge_ciphers_tls1.3", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The cipher suites of the bridge for TLS 1.3." },
    { "bridge_identity", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The identity of the bridge with TLS by pre-shared keys." },
    { "bridge_psk", PLAIN(OPTION_STRING, bridge), LATER(OPTION_RELOAD_BRIDGE),
      .doc = "The pre-shared key of the bridge." },

    /* What was removed */
    { "retry_interval", PLAIN(OPTION_STRING, global), .status = OPTION_ACCEPTED,
      .reload = OPTION_NEVER, .replaces = true,
      .note = "messages are sent again only when a client comes back",
      .doc = "Seconds until an unacknowledged message is sent again." },
};
/* clang-format on */

const size_t option_len = ARRAY_LEN(options);

static bool has_name(const struct option *option, struct slice name)
{
    size_t len = strlen(option->name);

    if (option->is_prefix ? name.len < len : name.len != len) {
        return false;
    }
    return memcmp(option->name, name.data, len) == 0;
}

const struct option *option_find(struct slice name)
{
    for (size_t i = 0; i < option_len; i++) {
        if (has_name(&options[i], name)) {
            const char *alias_of = options[i].alias_of;

            return alias_of ? option_find(slice_of_text(alias_of)) : &options[i];
        }
    }
    return NULL;
}

const struct report_place *option_place(const struct report_place *places, const char *name)
{
    static const struct report_place nowhere = {0};
    const struct option *option = option_find(slice_of_text(name));

    assert(option);
    return places ? &places[option_index(option)] : &nowhere;
}
