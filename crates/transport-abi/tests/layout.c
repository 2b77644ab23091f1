/* Prints the size and offset of every field and the value of every constant, one per line. */
#include <stdio.h>

#include "pgferry_transport.h"

#define SIZE(type) printf("size %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) \
  printf("field %s.%s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))
#define CONST(name) printf("const %s %lld\n", #name, (long long)(name))

int main(void) {
  SIZE(pgferry_str);
  FIELD(pgferry_str, ptr);
  FIELD(pgferry_str, len);
  SIZE(pgferry_sock);
  SIZE(pgferry_op);
  SIZE(pgferry_status);

  SIZE(pgferry_host);
  FIELD(pgferry_host, struct_size);
  FIELD(pgferry_host, abi_major);
  FIELD(pgferry_host, abi_minor);
  FIELD(pgferry_host, ctx);
  FIELD(pgferry_host, op_done);
  FIELD(pgferry_host, stream_closed);
  FIELD(pgferry_host, state);
  FIELD(pgferry_host, log_level);
  FIELD(pgferry_host, log);
  FIELD(pgferry_host, socketpair);
  FIELD(pgferry_host, dial);
  FIELD(pgferry_host, dial_cancel);
  FIELD(pgferry_host, secret);
  FIELD(pgferry_host, metric);
  FIELD(pgferry_host, metric_record);

  SIZE(pgferry_plugin);
  FIELD(pgferry_plugin, struct_size);
  FIELD(pgferry_plugin, abi_major);
  FIELD(pgferry_plugin, abi_minor);
  FIELD(pgferry_plugin, min_host_minor);
  FIELD(pgferry_plugin, reserved);
  FIELD(pgferry_plugin, reserved2);
  FIELD(pgferry_plugin, flags);
  FIELD(pgferry_plugin, name);
  FIELD(pgferry_plugin, version);
  FIELD(pgferry_plugin, about);
  FIELD(pgferry_plugin, config_schema);
  FIELD(pgferry_plugin, create);
  FIELD(pgferry_plugin, open);
  FIELD(pgferry_plugin, cancel);
  FIELD(pgferry_plugin, probe);
  FIELD(pgferry_plugin, destroy);

  CONST(PGFERRY_ABI_MAJOR);
  CONST(PGFERRY_ABI_MINOR);
  CONST(PGFERRY_NO_SOCK);
  CONST(PGFERRY_OK);
  CONST(PGFERRY_CONFIG);
  CONST(PGFERRY_AUTH);
  CONST(PGFERRY_DENIED);
  CONST(PGFERRY_UNREACHABLE);
  CONST(PGFERRY_TIMEOUT);
  CONST(PGFERRY_THROTTLED);
  CONST(PGFERRY_CANCELLED);
  CONST(PGFERRY_UNSUPPORTED);
  CONST(PGFERRY_PROTOCOL);
  CONST(PGFERRY_INTERNAL);
  CONST(PGFERRY_PANIC);
  CONST(PGFERRY_F_SPEAKS_POSTGRES);
  CONST(PGFERRY_F_DIALS_VIA_HOST);
  CONST(PGFERRY_LOG_OFF);
  CONST(PGFERRY_LOG_ERROR);
  CONST(PGFERRY_LOG_WARN);
  CONST(PGFERRY_LOG_INFO);
  CONST(PGFERRY_LOG_DEBUG);
  CONST(PGFERRY_LOG_TRACE);
  CONST(PGFERRY_STATE_UP);
  CONST(PGFERRY_STATE_DEGRADED);
  CONST(PGFERRY_STATE_DOWN);
  CONST(PGFERRY_METRIC_COUNTER);
  CONST(PGFERRY_METRIC_GAUGE);
  CONST(PGFERRY_METRIC_HISTOGRAM);

  /* PGFERRY_HAS: the last field is there in a full table, and gone from one a byte shorter. */
  pgferry_plugin plugin = {0};
  plugin.struct_size = sizeof plugin;
  int whole = PGFERRY_HAS(&plugin, destroy);
  plugin.struct_size -= 1;
  return whole && !PGFERRY_HAS(&plugin, destroy) && PGFERRY_HAS(&plugin, probe) ? 0 : 1;
}
