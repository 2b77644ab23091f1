/* Descriptors that do not fit. DEFECT says in which way. */
#include "pgferry_transport.h"

static pgferry_status create(const pgferry_host *h, pgferry_op op, pgferry_str config, pgferry_instance **out) {
  (void)h, (void)op, (void)config, (void)out;
  return PGFERRY_OK;
}
static void open_(pgferry_instance *i, pgferry_op op, pgferry_str target) { (void)i, (void)op, (void)target; }
static void cancel(pgferry_instance *i, pgferry_op op) { (void)i, (void)op; }
static void destroy(pgferry_instance *i) { (void)i; }

#define FITTING                                                                                      \
  .struct_size = sizeof(pgferry_plugin), .abi_major = PGFERRY_ABI_MAJOR, .name = "defective",       \
  .version = "0.1", .about = "does not fit", .create = create, .open = open_, .cancel = cancel,     \
  .destroy = destroy

#pragma GCC diagnostic ignored "-Woverride-init"
PGFERRY_ENTRY(defective) {
  static const pgferry_plugin plugin = {FITTING, DEFECT};
#ifdef NOTHING
  (void)plugin;
  return NULL;
#else
  return &plugin;
#endif
}
