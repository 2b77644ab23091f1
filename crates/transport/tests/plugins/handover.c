/* A well-behaved transport: connects, and hands its own socket over. Its open blocks, and can be cancelled. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pgferry_transport.h"

struct dial {
  pgferry_op op;
  int wake[2];
  struct dial *next;
};

struct pgferry_instance {
  const pgferry_host *host;
  pthread_mutex_t lock;
  struct dial *dials;
};

static pgferry_str str(const char *text) {
  pgferry_str s = {text, text ? strlen(text) : 0};
  return s;
}

static void done(pgferry_instance *i, pgferry_op op, pgferry_status st, pgferry_sock s, const char *msg) {
  i->host->op_done(i->host->ctx, op, st, s, str(msg), str(NULL));
}

static int field(pgferry_str json, const char *key, char *out, size_t room) {
  char pattern[40];
  int n = snprintf(pattern, sizeof pattern, "\"%s\":", key);
  const char *at = memmem(json.ptr, json.len, pattern, (size_t)n), *end = json.ptr + json.len;
  if (!at) return -1;
  at += n;
  if (at < end && *at == '"') at++;
  size_t length = 0;
  while (at < end && !strchr("\",}", *at) && length + 1 < room) out[length++] = *at++;
  out[length] = 0;
  return 0;
}

/* Waits for the connect, the deadline or a cancel, whichever comes first. */
static pgferry_status settle(int s, int wake, int limit_ms) {
  struct pollfd fds[2] = {{.fd = s, .events = POLLOUT}, {.fd = wake, .events = POLLIN}};
  int n = poll(fds, 2, limit_ms), error = 0;
  socklen_t size = sizeof error;
  if (n == 0) return PGFERRY_TIMEOUT;
  if (fds[1].revents) return PGFERRY_CANCELLED;
  getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error ? PGFERRY_UNREACHABLE : PGFERRY_OK;
}

static pgferry_status reach(pgferry_str target, int wake, int *s) {
  char host[256], port[8], limit[24];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  if (field(target, "host", host, sizeof host) || field(target, "port", port, sizeof port)) return PGFERRY_PROTOCOL;
  if (field(target, "deadline_ms", limit, sizeof limit)) strcpy(limit, "10000");
  if (getaddrinfo(host, port, &hints, &found) != 0) return errno = EHOSTUNREACH, PGFERRY_UNREACHABLE;
  *s = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int rc = connect(*s, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  if (rc != 0 && errno != EINPROGRESS) return PGFERRY_UNREACHABLE;
  return settle(*s, wake, atoi(limit));
}

static void forget(pgferry_instance *i, struct dial *d) {
  pthread_mutex_lock(&i->lock);
  struct dial **at = &i->dials;
  while (*at != d) at = &(*at)->next;
  *at = d->next;
  pthread_mutex_unlock(&i->lock);
  close(d->wake[0]);
  close(d->wake[1]);
}

static void open_(pgferry_instance *i, pgferry_op op, pgferry_str target) {
  struct dial d = {.op = op};
  int s = -1;
  if (pipe2(d.wake, O_CLOEXEC) != 0) return done(i, op, PGFERRY_INTERNAL, PGFERRY_NO_SOCK, "no pipe");
  pthread_mutex_lock(&i->lock);
  d.next = i->dials;
  i->dials = &d;
  pthread_mutex_unlock(&i->lock);
  pgferry_status st = reach(target, d.wake[0], &s);
  const char *why = st == PGFERRY_UNREACHABLE ? strerror(errno) : NULL;
  forget(i, &d);
  if (st == PGFERRY_OK) return done(i, op, st, s, NULL);
  if (s >= 0) close(s);
  done(i, op, st, PGFERRY_NO_SOCK, why);
}

static void cancel(pgferry_instance *i, pgferry_op op) {
  pthread_mutex_lock(&i->lock);
  for (struct dial *d = i->dials; d; d = d->next)
    if (d->op == op && write(d->wake[1], "", 1) < 0) break;
  pthread_mutex_unlock(&i->lock);
}

static pgferry_status create(const pgferry_host *h, pgferry_op op, pgferry_str config, pgferry_instance **out) {
  if (config.len != 2 || memcmp(config.ptr, "{}", 2) != 0) {
    h->op_done(h->ctx, op, PGFERRY_CONFIG, PGFERRY_NO_SOCK, str("this transport takes no keys"), str(NULL));
    return PGFERRY_CONFIG;
  }
  *out = calloc(1, sizeof **out);
  (*out)->host = h;
  pthread_mutex_init(&(*out)->lock, NULL);
  return PGFERRY_OK;
}

static void destroy(pgferry_instance *i) {
  pthread_mutex_destroy(&i->lock);
  free(i);
}

PGFERRY_ENTRY(handover) {
  static const pgferry_plugin plugin = {
      .struct_size = sizeof plugin, .abi_major = PGFERRY_ABI_MAJOR, .abi_minor = PGFERRY_ABI_MINOR,
      .name = "handover", .version = "0.1", .about = "plain TCP", .create = create, .open = open_,
      .cancel = cancel, .destroy = destroy};
  return &plugin;
}
