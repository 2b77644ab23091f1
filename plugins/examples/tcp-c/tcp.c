/* The smallest complete transport plugin in C: plain TCP, opened on the host's thread, the socket handed over. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "pgferry_transport.h"

/* One open that blocks; it looks at its flag every 20 ms. */
struct dial {
  pgferry_op op;
  atomic_int cancelled;
  struct dial *next;
};

struct pgferry_instance {
  const pgferry_host *host;
  pthread_mutex_t lock; /* guards dials */
  struct dial *dials;
};

static const pgferry_str NONE = {NULL, 0};
static pgferry_str text(const char *s) { return (pgferry_str){s, strlen(s)}; }

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Reads a string or a bare word of JSON at p into out, cut to fit; gives what follows it. */
static const char *token(const char *p, const char *end, char *out, size_t size) {
  int quoted = p < end && *p == '"';
  size_t n = 0;
  for (p += quoted; p < end && (quoted ? *p != '"' : !strchr(",} \t\r\n", *p)); p++) {
    if (quoted && *p == '\\' && p + 1 < end) p++;
    if (n + 1 < size) out[n++] = *p;
  }
  out[n] = 0;
  return p + (quoted && p < end);
}

static const char *skip(const char *p, const char *end, const char *set) {
  while (p < end && *p && strchr(set, *p)) p++;
  return p;
}

/* The value of a key in a flat object, which targets are on purpose; empty when it is not there. */
static void lookup(pgferry_str json, const char *key, char *out, size_t size) {
  const char *end = json.ptr + json.len, *p = skip(json.ptr, end, "{ \t\r\n");
  for (char found[64]; p < end && *p == '"';) {
    p = skip(token(p, end, found, sizeof found), end, ": \t\r\n");
    p = skip(token(p, end, out, size), end, ", \t\r\n");
    if (strcmp(found, key) == 0) return;
  }
  out[0] = 0;
}

/* Waits until the connect ends, is cancelled or late. A failure leaves its reason in errno. */
static pgferry_status finish(int fd, struct dial *d, long long until) {
  struct pollfd ready = {fd, POLLOUT, 0};
  int error = ETIMEDOUT;
  socklen_t len = sizeof error;
  while (!ready.revents && now_ms() < until) {
    if (d->cancelled) return PGFERRY_CANCELLED;
    if (poll(&ready, 1, 20) > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
  }
  errno = error;
  return error == ETIMEDOUT ? PGFERRY_TIMEOUT : error ? PGFERRY_UNREACHABLE : PGFERRY_OK;
}

/* Tries each address in turn. With PGFERRY_OK *fd is connected, else why says what happened. */
static pgferry_status connect_to(pgferry_str target, struct dial *d, int *fd, char *why, size_t size) {
  char host[256], port[8], ms[24];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
  lookup(target, "host", host, sizeof host);
  lookup(target, "port", port, sizeof port);
  lookup(target, "deadline_ms", ms, sizeof ms);
  long long deadline = now_ms() + atoll(ms);
  int failed = getaddrinfo(host, port, &hints, &list); /* can't be cancelled: its time-out is the resolver's */
  pgferry_status status = PGFERRY_UNREACHABLE;
  snprintf(why, size, "%s:%s: %s", host, port, failed ? gai_strerror(failed) : "no address");
  for (struct addrinfo *a = list; a && status != PGFERRY_OK && status != PGFERRY_CANCELLED; a = a->ai_next) {
    int s = socket(a->ai_family, SOCK_STREAM, 0);
    if (s < 0 || fcntl(s, F_SETFL, O_NONBLOCK) < 0) status = PGFERRY_INTERNAL;
    else if (connect(s, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) status = PGFERRY_UNREACHABLE;
    else status = finish(s, d, deadline);
    snprintf(why, size, "%s:%s: %s", host, port, status == PGFERRY_CANCELLED ? "cancelled" : strerror(errno));
    if (status == PGFERRY_OK) *fd = s;
    else if (s >= 0) close(s);
  }
  if (list) freeaddrinfo(list);
  return status;
}

static void tcp_open(pgferry_instance *i, pgferry_op op, pgferry_str target) {
  struct dial d = {.op = op}, **link = &i->dials;
  char why[512];
  int fd = PGFERRY_NO_SOCK;
  pthread_mutex_lock(&i->lock);
  d.next = i->dials, i->dials = &d;
  pthread_mutex_unlock(&i->lock);
  pgferry_status status = connect_to(target, &d, &fd, why, sizeof why);
  pthread_mutex_lock(&i->lock);
  while (*link != &d) link = &(*link)->next;
  *link = d.next;
  pthread_mutex_unlock(&i->lock);
  i->host->op_done(i->host->ctx, op, status, fd, status == PGFERRY_OK ? NONE : text(why), NONE);
}

static void tcp_cancel(pgferry_instance *i, pgferry_op op) {
  pthread_mutex_lock(&i->lock);
  for (struct dial *d = i->dials; d; d = d->next)
    if (d->op == op) d->cancelled = 1;
  pthread_mutex_unlock(&i->lock);
}

static pgferry_status tcp_create(const pgferry_host *h, pgferry_op op, pgferry_str config, pgferry_instance **out) {
  const char *end = config.ptr + config.len, *p = skip(config.ptr, end, " \t\r\n");
  p = p < end && *p == '{' ? skip(p + 1, end, " \t\r\n") : end;
  if (p == end || *p != '}' || skip(p + 1, end, " \t\r\n") != end) {
    h->op_done(h->ctx, op, PGFERRY_CONFIG, PGFERRY_NO_SOCK, text("nothing to configure here: give {}"), NONE);
    return PGFERRY_CONFIG;
  }
  if (!(*out = calloc(1, sizeof **out))) return PGFERRY_INTERNAL;
  (*out)->host = h;
  pthread_mutex_init(&(*out)->lock, NULL);
  return PGFERRY_OK;
}

static void tcp_destroy(pgferry_instance *i) {
  pthread_mutex_destroy(&i->lock);
  free(i);
}
static const char *tcp_schema(void) { return "{\"type\":\"object\",\"additionalProperties\":false}"; }

PGFERRY_ENTRY(tcp) {
  static const pgferry_plugin plugin = {
      sizeof plugin, PGFERRY_ABI_MAJOR, PGFERRY_ABI_MINOR, 0, 0, 0, 0, "tcp", "1.0.0",
      "plain TCP, as an example", tcp_schema, tcp_create, tcp_open, tcp_cancel, NULL, tcp_destroy};
  return &plugin;
}
