/* Calls a function that nobody defines: only found at load time if symbols are bound then. */
#include "pgferry_transport.h"

extern void nobody_defines_this(void);

PGFERRY_ENTRY(undefined) {
  nobody_defines_this();
  return NULL;
}
