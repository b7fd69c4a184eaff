#pragma once

/*
 * Hub
 *
 * One worker's clients and what they share: the read buffer, the pool of output, the listening
 * sockets, the lists of those that have something to write or are to be closed.
 */

#include "base/mpsc.h"
#include "client/door.h"
#include "client/image.h"
#include "client/roster.h"
#include "client/server.h"
#include "client/server_listener.h"
#include "core/shard.h"
#include "loop/worker.h"
#include "net/output.h"
#include "net/stream.h"

struct client;
struct server;

/* Packets that fit are parsed in place; the tail of an incomplete one is kept. */
#define HUB_READ_CAP 16384

/* The most of an incomplete packet that is put in front of what is read next. */
#define HUB_TAIL_MAX (HUB_READ_CAP / 2)

static_assert(HUB_READ_CAP <= STREAM_READ_MAX, "one read is opened at once");

/* Timers of this folder, beside those of core. */
enum hub_timer { HUB_TIMER_CLIENT = SHARD_TIMER_CLIENT, HUB_TIMER_LISTENER, HUB_TIMER_RESERVE };

/* One listening descriptor, which all workers watch, as one of them sees it. Owner: its worker. */
struct hub_listener {
    uint8_t source; /* SOURCE_LISTENER */
    bool is_polled;
    uint8_t unread_len;  /* connections to come that are not read at once, see client/client.c */
    uint8_t unread_next; /* so many it becomes, if the next that is read has sent nothing */
    int fd;
    struct server_listener *shared; /* for whoever comes now */
    struct hub *hub;
    struct wheel_timer timer; /* to look again when descriptors had run out */
    struct list_link in_hub;
};

/* Memory that grows to what was asked of it, and is used again. */
struct scratch {
    uint8_t *bytes;
    size_t cap;
};

/* Owner: its worker. */
struct hub {
    struct server *server;
    const struct settings *settings; /* that hold now, on this worker */
    struct shard *shard;
    struct metrics *metrics; /* the worker's */
    struct worker *worker;
    struct list_link clients;
    struct list_link pending;   /* those without a CONNECT, oldest first: in no other list of all */
    struct list_link lingering; /* those that linger, oldest first: in no other list of all */
    uint32_t pending_len;
    uint32_t lingering_len;
    uint32_t pending_closed;     /* since it last began to accept, to make way for others */
    struct list_link *listed;    /* where a survey goes on in them; NULL: none is under way */
    struct list_link *rechecked; /* where a reload looks at them again; NULL: nowhere */
    struct list_link *drained;   /* where a drain goes on in them; NULL: at their beginning */
    double owed;                 /* clients that a drain should have sent away by now */
    struct list_link put_off;    /* inputs that the budget did not reach */
    struct list_link arriving; /* connections behind earlier ones with their id that are put off */
    struct list_link handshakes; /* client_pause of those whose next step may be one */
    bool has_shaken_hands;       /* in this iteration: the next one has to wait */
    struct list_link dirty;
    struct list_link closing;
    struct mpsc answered; /* verifications, by the verifier's threads */
    struct rosters rosters;
    struct table open_pubrecs; /* that wait for the store, by session and packet id */
    struct output_pool pool;
    struct image image;
    unsigned chunk_mark; /* chunks in outputs when all that could be written was */
    struct list_link listeners;
    struct refusing refusing;
    uint64_t drawn;         /* state of the generator of client ids */
    struct scratch scratch; /* properties that are put together anew */
    struct scratch name;    /* a topic or filter behind its mount point */
    uint8_t *stage_room;    /* of hub_stage_io(); NULL until a connection has stages */
    uint8_t buffer[HUB_READ_CAP];
};

/* Its shard is known to the others at once: without memory for the rest it is there, to be freed as
 * one that is whole, or NULL. */
int hub_new(struct server *server, struct worker_group *group, struct core *core, unsigned number,
            struct hub **hub_out) MUST_CHECK;

/* The end, for all workers before the next step: lets go of what is on its way to it. */
void hub_free_worker(struct hub *hub);
struct hub *hub_free(struct hub *hub);

/* -ENOMEM. Nothing watches the descriptor yet; it stays the caller's. */
int hub_listener_new(struct hub *hub, int fd, struct server_listener *shared,
                     struct hub_listener **listener_out) MUST_CHECK;
struct hub_listener *hub_listener_free(struct hub_listener *listener);

/* Before the worker runs: watches a descriptor. -errno. */
int hub_listen(struct hub *hub, int fd, struct server_listener *shared) MUST_CHECK;

/* The same for one that was made. Where the kernel has no memory for that now, it is tried again
 * each second. */
void hub_add_listener(struct hub *hub, struct hub_listener *listener);

/* Stops watching and frees it. */
void hub_remove_listener(struct hub_listener *listener);

/* The listener as it is for whoever comes now; NULL: it is closed. */
struct server_listener *hub_find_listener(const struct hub *hub,
                                          const struct server_listener *listener);

/* A descriptor was closed here, or memory freed: a listener that had run out may go on. */
void hub_on_descriptor(struct hub *hub);

/* A client is no more of this hub's, or is about to be freed. */
void hub_unlist(struct hub *hub, struct client *client);

/* So many more of what the worker and the listener both count (metrics/metrics.def). */
void hub_count(struct hub *hub, const struct server_listener *listener, unsigned metric,
               uint32_t len);

/* A connection of this listener has ended. */
void hub_give_place(struct hub *hub, const struct server_listener *listener);

/* At least `size` bytes that last until the next call; NULL without memory. */
uint8_t *hub_scratch(struct hub *hub, size_t size);

/* The same, and apart from it, for the name that mount_topic() and mount_filter() make. */
uint8_t *hub_name(struct hub *hub, size_t size);

/* What stages work with; room of HUB_TAIL_MAX is in front of `plain`. False: no memory. */
bool hub_stage_io(struct hub *hub, struct stage_io *io_out);

/* Looks at all clients again, in slices: who would not be let in any more is disconnected. */
void hub_recheck(struct hub *hub);

/* Writes all dirty outputs now, after their posts: when this iteration put too much into them. */
void hub_flush(struct hub *hub);

/* A random number that is not secret. */
uint64_t hub_draw(struct hub *hub);

struct worker_group *server_group(const struct server *server);
struct hub *server_hub(const struct server *server, unsigned worker);
unsigned server_worker_len(const struct server *server);

/* What a reload replaces as a whole. Owner: main. */
struct server_snapshot {
    struct settings *settings;
    struct server_listener **listeners; /* one for each of the settings' */
    unsigned listener_len;
};

/* Puts it in the place of what holds, which it gets. Main. */
void server_swap(struct server *server, struct server_snapshot *snapshot);
void server_snapshot_deinit(struct server_snapshot *snapshot);

/* Main. */
struct server_listener *server_get_listener(const struct server *server, unsigned index);

/* What these settings are for core. */
struct core_limits server_core_limits(const struct server *server, const struct settings *settings);

_Atomic uint32_t *server_connection_len(struct server *server);
struct door *server_door(struct server *server);
struct verifier *server_verifier(const struct server *server);
struct core *server_core(const struct server *server);
const struct settings *server_settings(const struct server *server);
