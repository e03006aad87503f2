#include "loop_thread.h"
static __thread void *current_loop;
__attribute__((noinline)) void *shim_current_loop(void) { return current_loop; }
__attribute__((noinline)) void shim_set_current_loop(void *loop) { current_loop = loop; }
