/* pgferry transport plugins: the C contract, version 1.0.
 *
 * PROVISIONAL until plugins written by strangers have tried it: until then a version 1.x may still change.
 *
 * A transport opens the path from this machine to a database. All that changes owner across this border is ONE
 * CONNECTED SOCKET per open. No allocator, no buffer, no future and no object of either side crosses it.
 *
 * TRUST      A plugin is native code inside the process: it can read every credential the process holds, and a
 *            crash in it is a crash of the process. Nothing in this file protects one side from the other.
 * THREADING  The host calls create, open, probe and destroy on threads that may block, never on an event loop;
 *            cancel on a thread that no open can occupy. open, cancel and probe may run at the same time for one
 *            instance; create runs once before them and destroy once after everything else. Every host callback
 *            may be called from any thread and from inside any entry; none blocks, and none calls the plugin on the
 *            same stack, except that dial and secret may call their callback before they return.
 * OWNERSHIP  Strings are borrowed for the length of the call, in both directions: copy to keep. Nobody frees what
 *            the other side allocated. Sockets move. Each pointer below says the rest.
 * FORBIDDEN  exit, abort, setenv, chdir, umask, setlocale, changing signal handlers without chaining, closing
 *            descriptors of others, writing to stdout, fork without exec, an exception or panic leaving an entry.
 *
 * The library is libpgferry_transport_<name>.so (.dylib; pgferry_transport_<name>.dll), <name> is
 * [a-z][a-z0-9_]{0,31}, and it exports one symbol: pgferry_transport_<name>_v1. It is never unloaded.
 */
#ifndef PGFERRY_TRANSPORT_H
#define PGFERRY_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The major is in the symbol's name. A minor only appends fields at the ends of the two tables and adds fields to
 * the JSON texts, where both sides ignore what they do not know. */
#define PGFERRY_ABI_MAJOR 1
#define PGFERRY_ABI_MINOR 0

/* Whether the table behind `ptr` is long enough to hold `field`. Use it for every field newer than 1.0. */
#define PGFERRY_HAS(ptr, field) \
  ((size_t)((const char *)(&(ptr)->field + 1) - (const char *)(ptr)) <= (size_t)(ptr)->struct_size)

#if defined(_WIN32)
#define PGFERRY_EXPORT __declspec(dllexport)
#else
#define PGFERRY_EXPORT __attribute__((visibility("default")))
#endif

/* UTF-8, not NUL-terminated, one line when it is a message. NULL with 0 = absent.
 * OWNERSHIP: borrowed for the length of the call it is passed to. */
typedef struct pgferry_str {
  const char *ptr;
  size_t len;
} pgferry_str;

/* A connected SOCK_STREAM socket: int on POSIX, SOCKET on Windows; PGFERRY_NO_SOCK = none. */
typedef intptr_t pgferry_sock;
#define PGFERRY_NO_SOCK ((pgferry_sock)-1)

/* Names one open or probe (or the create) of one instance. Chosen by the host, never 0, never used twice.
 * A callback that takes one also takes 0 for "on behalf of no op". */
typedef uint64_t pgferry_op;

/* OWNERSHIP: the plugin's, from create to the end of destroy. Opaque to the host. */
typedef struct pgferry_instance pgferry_instance;

/* ---- status -------------------------------------------------------------------------------------------------
 * What the host does is in brackets. An unknown negative code counts as INTERNAL. Messages that go with a code
 * are one line, lower case, without a secret and without a dot at the end. */
typedef int32_t pgferry_status;
#define PGFERRY_OK 0             /* [takes the socket] */
#define PGFERRY_CONFIG (-1)      /* the configuration is wrong [disables the instance, no retry] */
#define PGFERRY_AUTH (-2)        /* our credentials were refused [SQLSTATE 28000, tries again for the next client] */
#define PGFERRY_DENIED (-3)      /* we are known but not allowed [as AUTH; the hint is shown] */
#define PGFERRY_UNREACHABLE (-4) /* nobody there [08001; tries again within the client's deadline] */
#define PGFERRY_TIMEOUT (-5)     /* no answer in time [08001, as UNREACHABLE] */
#define PGFERRY_THROTTLED (-6)   /* told to slow down [waits retry_after_ms, else backs off] */
#define PGFERRY_CANCELLED (-7)   /* the host asked for it [silent] */
#define PGFERRY_UNSUPPORTED (-8) /* this plugin cannot do that [as CONFIG] */
#define PGFERRY_PROTOCOL (-9)    /* the peer spoke nonsense [08P01, one retry] */
#define PGFERRY_INTERNAL (-10)   /* a fault of the plugin or a broken connection [08006] */
#define PGFERRY_PANIC (-11)      /* the plugin caught its own crash [08006; 3 in 60 s: DOWN for 30 s] */

/* ---- levels, states, metric kinds -------------------------------------------------------------------------- */
#define PGFERRY_LOG_OFF 0
#define PGFERRY_LOG_ERROR 1
#define PGFERRY_LOG_WARN 2
#define PGFERRY_LOG_INFO 3
#define PGFERRY_LOG_DEBUG 4
#define PGFERRY_LOG_TRACE 5

#define PGFERRY_STATE_UP 0       /* what instances share (a bastion, a session) works */
#define PGFERRY_STATE_DEGRADED 1 /* works, but not well */
#define PGFERRY_STATE_DOWN 2     /* lost; opens fail until it is back */

#define PGFERRY_METRIC_COUNTER 1   /* metric_record adds */
#define PGFERRY_METRIC_GAUGE 2     /* metric_record sets */
#define PGFERRY_METRIC_HISTOGRAM 3 /* metric_record observes one value, in seconds for times */

/* ---- answers of the host to dial and secret ------------------------------------------------------------------
 * Called exactly once per dial or secret, from any thread, possibly before dial or secret returned. The plugin
 * must not block in them.
 * OWNERSHIP: `ud` is the plugin's. The socket belongs to the plugin from the call on. `value` and `msg` are
 * borrowed for the call; the host wipes its copy of the value. */
typedef void (*pgferry_sock_cb)(void *ud, pgferry_status st, pgferry_sock s, pgferry_str msg);
typedef void (*pgferry_bytes_cb)(void *ud, pgferry_status st, pgferry_str value, pgferry_str msg);

/* ---- host -> plugin ------------------------------------------------------------------------------------------
 * One per instance. OWNERSHIP: the host's; the pointer is valid from the call of create until destroy returned
 * (until create returned, if that failed). No callback may be called after that. `ctx` is passed back as is. */
typedef struct pgferry_host {
  uint32_t struct_size; /* of the host's table, in bytes */
  uint16_t abi_major, abi_minor;
  void *ctx;

  /* Answers an op: exactly once for each open and probe, from any thread, possibly before open returned.
   * OWNERSHIP: with PGFERRY_OK the socket belongs to the host from this call on, whatever becomes of the op. Do not
   * close it, keep no duplicate, leave it in no poller. With an error pass PGFERRY_NO_SOCK.
   * A create that fails may call it once, with its own op, to say why in words. A create that succeeds does not.
   * detail_json, an object or absent. With OK: peer, via, session_id (strings). With an error: hint, aws_code,
   * request_id (strings), retry_after_ms (number). */
  void (*op_done)(void *ctx, pgferry_op op, pgferry_status st, pgferry_sock s, pgferry_str msg,
                  pgferry_str detail_json);

  /* Says why a stream ended, BEFORE its socket is closed. Needed whenever the end is not a clean one; for streams
   * the plugin pumps or serves (a handed-over socket is out of its hands). At most once for each op. */
  void (*stream_closed)(void *ctx, pgferry_op op, pgferry_status st, pgferry_str msg);

  /* Reports PGFERRY_STATE_* of what the instance's sessions share. */
  void (*state)(void *ctx, int32_t state, pgferry_str msg);

  /* The most talkative PGFERRY_LOG_* level that is kept. May change while running. */
  int32_t (*log_level)(void *ctx);

  /* fields_json: an object or absent. Never a secret. */
  void (*log)(void *ctx, int32_t level, pgferry_op op, pgferry_str msg, pgferry_str fields_json);

  /* A connected pair of stream sockets with buffers large enough to pump through; close-on-exec, blocking.
   * OWNERSHIP: both belong to the plugin; one of them is then given away with op_done. On failure none is made. */
  pgferry_status (*socketpair)(void *ctx, pgferry_sock out[2]);

  /* Opens a socket beneath this transport: through the instance named by `via`, else by the host's own dialler.
   * request_json: host (string), port (number), deadline_ms (number, from now).
   * Returns the dial's number, never 0. The callback comes exactly once, also when the dial was cancelled. */
  uint64_t (*dial)(void *ctx, pgferry_op op, pgferry_str request_json, pgferry_sock_cb cb, void *ud);

  /* Advisory and idempotent; the callback still comes (CANCELLED, or a socket when it was too late). */
  void (*dial_cancel)(void *ctx, uint64_t dial);

  /* Fetches a secret that the configuration grants to this instance; DENIED for any other name. After the name there
   * may be a line break and words for a person ("passphrase of key file /x"): then somebody at the program's terminal
   * is asked for a secret that is not granted, and the answer may take minutes, longer than any open. Ask for all
   * clients once and keep the answer; a host that cannot ask answers DENIED.
   * Reserved names: aws:credentials (the JSON of a credential_process) and aws:config (region, endpoint_url, proxy,
   * CA bundle). */
  void (*secret)(void *ctx, pgferry_op op, pgferry_str name, pgferry_bytes_cb cb, void *ud);

  /* Registers a metric, PGFERRY_METRIC_*; labels_json is an object of strings or absent. Its public name becomes
   * pgferry_plugin_<plugin>_<name>; counters end in _total and nothing else does. The same name and labels give the
   * same number; 0 = refused (the log says why). */
  uint64_t (*metric)(void *ctx, int32_t kind, pgferry_str name, pgferry_str help, pgferry_str labels_json);

  /* Cheap. Ignores the number 0. */
  void (*metric_record)(void *ctx, uint64_t metric, double value);
} pgferry_host;

/* ---- plugin -> host ------------------------------------------------------------------------------------------ */
#define PGFERRY_F_SPEAKS_POSTGRES 1ull /* the plugin is the PostgreSQL server itself: no TLS and no login beyond it */
#define PGFERRY_F_DIALS_VIA_HOST 2ull  /* all its tunnel sockets come from host->dial: `via` is allowed */

/* OWNERSHIP: static, with all it points to; the plugin's. Entries must not be NULL unless said so. */
typedef struct pgferry_plugin {
  uint32_t struct_size; /* sizeof(pgferry_plugin) */
  uint16_t abi_major, abi_minor;
  uint16_t min_host_minor; /* the oldest host minor it can work with: older hosts refuse it */
  uint16_t reserved;       /* 0 */
  uint32_t reserved2;      /* 0 */
  uint64_t flags;          /* PGFERRY_F_* */
  const char *name;        /* static, NUL-terminated; equal to <name> in the symbol */
  const char *version;     /* static, NUL-terminated */
  const char *about;       /* static, NUL-terminated; one line for a person */

  /* The JSON Schema of config_json. OWNERSHIP: static, NUL-terminated. The entry may be NULL. */
  const char *(*config_schema)(void);

  /* Makes an instance, without network I/O, in under a second. config_json is the instance's part of the
   * configuration, an object without secrets; refuse keys you do not know, with CONFIG and a text (op_done).
   * OWNERSHIP: *out is the plugin's until destroy; it is written with OK alone. `h` may be kept until then. */
  pgferry_status (*create)(const pgferry_host *h, pgferry_op op, pgferry_str config_json, pgferry_instance **out);

  /* Opens one path and answers `op`. May block until done, or return at once and answer from another thread.
   * target_json, an object: host (string), port (number), purpose ("session", "cancel" or "probe"),
   * deadline_ms (number: answer within that time from now), tcp_ms (number: limit for a TCP connect),
   * idle_tunnel_ms (number: how long a shared tunnel may outlive its last stream). Possibly absent:
   * database, user, client_label, cluster_arn, secret_arn, region (strings). Never a secret.
   * Ignore fields you do not know. */
  void (*open)(pgferry_instance *i, pgferry_op op, pgferry_str target_json);

  /* Asks to give up an open. Advisory and idempotent, may come for an op that was answered long ago; the op must
   * still be answered: CANCELLED, or OK when it was too late (the host closes that socket). */
  void (*cancel)(pgferry_instance *i, pgferry_op op);

  /* As open, but ends by saying whether an open would work: OK with PGFERRY_NO_SOCK. May be NULL. */
  void (*probe)(pgferry_instance *i, pgferry_op op, pgferry_str target_json);

  /* Ends the instance: returns within 5 s, with no thread of it left and no callback afterwards. */
  void (*destroy)(pgferry_instance *i);
} pgferry_plugin;

/* The one exported symbol. Gives the same pointer at every call. */
typedef const pgferry_plugin *(*pgferry_entry_v1)(void);
#define PGFERRY_ENTRY(name) PGFERRY_EXPORT const pgferry_plugin *pgferry_transport_##name##_v1(void)

#ifdef __cplusplus
}
#endif
#endif
