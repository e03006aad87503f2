// The hooks of Swift's concurrency runtime (swift/Runtime/Concurrency.h); they use Swift's calling convention.
#include "escaped_jobs.h"
#include <pthread.h>
#include <stddef.h>

#define SWIFTCALL __attribute__((swiftcall))

typedef SWIFTCALL void (*original)(void *job);
typedef SWIFTCALL void (*original_delay)(unsigned long long delay, void *job);
extern SWIFTCALL void (*swift_task_enqueueGlobal_hook)(void *job, original);
extern SWIFTCALL void (*swift_task_enqueueMainExecutor_hook)(void *job, original);
extern SWIFTCALL void (*swift_task_enqueueGlobalWithDelay_hook)(unsigned long long delay, void *job, original_delay);

static __thread void (*taker)(void *context, void *job);
static __thread void *taker_context;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static SWIFTCALL void took(void *job, original next) {
    if (taker) taker(taker_context, job);
    else next(job);
}
static SWIFTCALL void took_delayed(unsigned long long delay, void *job, original_delay next) {
    if (taker) taker(taker_context, job);
    else next(delay, job);
}
static void install(void) {
    swift_task_enqueueGlobal_hook = took;
    swift_task_enqueueMainExecutor_hook = took;
    swift_task_enqueueGlobalWithDelay_hook = took_delayed;
}

void shim_catch_escaped_jobs(void (*take)(void *context, void *job), void *context) {
    pthread_once(&once, install);
    taker_context = context;
    taker = take;
}
