/* A transport that does as the target's `database` says: mostly wrong. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pgferry_transport.h"

struct pgferry_instance {
  const pgferry_host *host;
  pgferry_op last;
  int cancelled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const pgferry_host *dead;

static pgferry_str str(const char *text) {
  pgferry_str s = {text, text ? strlen(text) : 0};
  return s;
}

static int port_of(pgferry_str json) {
  const char *at = memmem(json.ptr, json.len, "\"port\":", 7);
  return at ? atoi(at + 7) : 0;
}

static int asked(pgferry_str json, const char *what) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"database\":\"%s\"", what);
  return memmem(json.ptr, json.len, pattern, strlen(pattern)) != NULL;
}

static int dialled(pgferry_str target) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(target))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (s >= 0 && connect(s, (struct sockaddr *)&to, sizeof to) != 0) {
    close(s);
    return -1;
  }
  return s;
}

static void answer(pgferry_instance *i, pgferry_op op, pgferry_status st, pgferry_sock s, const char *msg,
                   const char *detail) {
  i->host->op_done(i->host->ctx, op, st, s, str(msg), str(detail));
}

static void fail(pgferry_instance *i, pgferry_op op, pgferry_status st, const char *msg, const char *detail) {
  answer(i, op, st, PGFERRY_NO_SOCK, msg, detail);
}

static pgferry_sock odd_socket(pgferry_str target) {
  if (asked(target, "file")) return open("/dev/null", O_RDONLY);
  if (asked(target, "none")) return PGFERRY_NO_SOCK;
  if (asked(target, "udp")) return socket(AF_INET, SOCK_DGRAM, 0);
  if (asked(target, "fresh")) return socket(AF_INET, SOCK_STREAM, 0);
  if (asked(target, "listening")) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    listen(s, 1);
    return s;
  }
  return -2;
}

struct call {
  pgferry_instance *i;
  pgferry_op op;
};

static struct call *call(pgferry_instance *i, pgferry_op op) {
  struct call *c = malloc(sizeof *c);
  c->i = i;
  c->op = op;
  return c;
}

static void on_dialled(void *ud, pgferry_status st, pgferry_sock s, pgferry_str msg) {
  struct call *c = ud;
  c->i->host->op_done(c->i->host->ctx, c->op, st, s, msg, str(NULL));
  free(c);
}

static void on_secret(void *ud, pgferry_status st, pgferry_str value, pgferry_str msg) {
  struct call *c = ud;
  char text[64];
  snprintf(text, sizeof text, "a value of %zu bytes, last %c", value.len, value.len ? value.ptr[value.len - 1] : '-');
  c->i->host->op_done(c->i->host->ctx, c->op, PGFERRY_AUTH, -1, st == PGFERRY_OK ? str(text) : msg, str(NULL));
  free(c);
}

static void wait_for_cancel(pgferry_instance *i) {
  pthread_mutex_lock(&lock);
  while (!i->cancelled) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static void say_why(pgferry_instance *i, pgferry_op op) {
  pgferry_sock pair[2];
  if (i->host->socketpair(i->host->ctx, pair) != PGFERRY_OK) return fail(i, op, PGFERRY_INTERNAL, "no pair", NULL);
  answer(i, op, PGFERRY_OK, pair[0], NULL, "{\"peer\":\"10.0.0.7:5432\",\"via\":\"bastion\"}");
  i->host->stream_closed(i->host->ctx, op, PGFERRY_UNREACHABLE, str("the bastion went away"));
  close((int)pair[1]);
}

static void services(pgferry_instance *i, pgferry_op op, pgferry_str target) {
  const pgferry_host *h = i->host;
  if (asked(target, "dial")) {
    char request[96];
    snprintf(request, sizeof request, "{\"host\":\"127.0.0.1\",\"port\":%d,\"deadline_ms\":5000}", port_of(target));
    h->dial(h->ctx, op, str(request), on_dialled, call(i, op));
  } else if (asked(target, "dial-nonsense")) {
    h->dial(h->ctx, op, str("{\"host\":7}"), on_dialled, call(i, op));
  } else if (asked(target, "dial-null")) {
    h->dial(h->ctx, op, str("{}"), NULL, NULL);
    fail(i, op, PGFERRY_UNREACHABLE, "dialled for nobody", NULL);
  } else if (asked(target, "secret")) {
    h->secret(h->ctx, op, str("key"), on_secret, call(i, op));
  } else if (asked(target, "secret-other")) {
    h->secret(h->ctx, op, str("other"), on_secret, call(i, op));
  } else if (asked(target, "secret-aws")) {
    h->secret(h->ctx, op, str("aws:credentials"), on_secret, call(i, op));
  } else if (asked(target, "metric")) {
    h->metric_record(h->ctx, h->metric(h->ctx, PGFERRY_METRIC_COUNTER, str("tries_total"), str("Tries"), str(NULL)), 3);
    h->state(h->ctx, PGFERRY_STATE_DEGRADED, str("slow\nbastion"));
    h->state(h->ctx, 17, str(NULL));
    fail(i, op, PGFERRY_UNREACHABLE, "measured", NULL);
  } else if (asked(target, "log")) {
    h->log(h->ctx, PGFERRY_LOG_ERROR, op, str("first\nsecond \xff"), str("{\"bastion\":\"b\"}"));
    h->log(h->ctx, 99, op, str("never shown"), str(NULL));
    fail(i, op, PGFERRY_UNREACHABLE, "logged", NULL);
  } else if (asked(target, "dead")) {
    if (dead) dead->op_done(dead->ctx, op, PGFERRY_OK, dialled(target), str(NULL), str(NULL));
    fail(i, op, PGFERRY_UNREACHABLE, "called the dead", NULL);
  } else {
    fail(i, op, PGFERRY_UNSUPPORTED, "no such trick", NULL);
  }
}

static void misbehave(pgferry_instance *i, pgferry_op op, pgferry_str target) {
  pgferry_sock odd = odd_socket(target);
  if (odd != -2) {
    answer(i, op, PGFERRY_OK, odd, NULL, NULL);
  } else if (asked(target, "closed")) {
    /* High up, where nobody else's descriptor takes the number in the meantime. */
    int low = dialled(target), s = fcntl(low, F_DUPFD, 900);
    close(low);
    close(s);
    answer(i, op, PGFERRY_OK, s, NULL, NULL);
  } else if (asked(target, "twice")) {
    int s = dialled(target);
    answer(i, op, PGFERRY_OK, s, NULL, NULL);
    answer(i, op, PGFERRY_OK, s, NULL, NULL);
  } else if (asked(target, "stranger")) {
    int s = dialled(target);
    answer(i, op + 1000000, PGFERRY_OK, s, NULL, NULL);
    answer(i, op, PGFERRY_OK, s, NULL, NULL);
  } else if (asked(target, "same-socket")) {
    static int kept = -1;
    if (kept < 0) kept = dialled(target);
    answer(i, op, PGFERRY_OK, kept, NULL, NULL);
  } else if (asked(target, "answer-last")) {
    answer(i, i->last, PGFERRY_OK, dialled(target), NULL, NULL);
    fail(i, op, PGFERRY_UNREACHABLE, "answered the last one", NULL);
  } else {
    services(i, op, target);
  }
}

static void open_(pgferry_instance *i, pgferry_op op, pgferry_str target) {
  if (asked(target, "ok")) {
    int s = dialled(target);
    if (s < 0) fail(i, op, PGFERRY_UNREACHABLE, "connection refused", NULL);
    else answer(i, op, PGFERRY_OK, s, NULL, NULL);
  } else if (asked(target, "never")) {
    i->last = op;
  } else if (asked(target, "block")) {
    wait_for_cancel(i);
    fail(i, op, PGFERRY_CANCELLED, NULL, NULL);
  } else if (asked(target, "panic")) {
    fail(i, op, PGFERRY_PANIC, "index out of bounds", NULL);
  } else if (asked(target, "config")) {
    fail(i, op, PGFERRY_CONFIG, "no such key file", "{\"hint\":\"set key\"}");
  } else if (asked(target, "throttled")) {
    fail(i, op, PGFERRY_THROTTLED, "slow down", "{\"retry_after_ms\":1500,\"hint\":\"fewer sessions\"}");
  } else if (asked(target, "why")) {
    say_why(i, op);
  } else {
    misbehave(i, op, target);
  }
}

static void cancel(pgferry_instance *i, pgferry_op op) {
  (void)op;
  pthread_mutex_lock(&lock);
  i->cancelled = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static pgferry_status create(const pgferry_host *h, pgferry_op op, pgferry_str config, pgferry_instance **out) {
  if (memmem(config.ptr, config.len, "refuse", 6)) {
    h->op_done(h->ctx, op, PGFERRY_CONFIG, PGFERRY_NO_SOCK, str("unknown key `refuse`"), str(NULL));
    return PGFERRY_CONFIG;
  }
  *out = calloc(1, sizeof **out);
  (*out)->host = h;
  return PGFERRY_OK;
}

static void destroy(pgferry_instance *i) {
  dead = i->host;
  free(i);
}

PGFERRY_ENTRY(hostile) {
  static const pgferry_plugin plugin = {
      .struct_size = sizeof plugin, .abi_major = PGFERRY_ABI_MAJOR, .abi_minor = PGFERRY_ABI_MINOR,
      .flags = PGFERRY_F_DIALS_VIA_HOST, .name = "hostile", .version = "0.1", .about = "does wrong on request",
      .create = create, .open = open_, .cancel = cancel, .destroy = destroy};
  return &plugin;
}
