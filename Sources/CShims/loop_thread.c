#define _GNU_SOURCE
#include "loop_thread.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
static __thread void *current_loop;
__attribute__((noinline)) void *shim_current_loop(void) { return current_loop; }
__attribute__((noinline)) void shim_set_current_loop(void *loop) { current_loop = loop; }
void shim_name_thread(const char *name) {
    char kept[16];
    strncpy(kept, name, sizeof kept - 1);
    kept[sizeof kept - 1] = 0;
    pthread_setname_np(pthread_self(), kept);
}
int shim_pin_thread(int processor) {
    if (processor < 0 || processor >= CPU_SETSIZE) return EINVAL;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}
