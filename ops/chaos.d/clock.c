#define _GNU_SOURCE
// clock: a wall clock of a process's own, so many seconds ahead of the machine's. Preloaded; the monotonic clocks stay as they are.
// build: gcc -O2 -shared -fPIC -o clock.so clock.c
// use: TROUPE_CLOCK=FILE LD_PRELOAD=./clock.so PROGRAM; FILE holds the seconds, 8 bytes, little endian; what is written there holds at once
// (Debian's libfaketime keeps Swift programs from reading their arguments.)
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static const volatile int64_t *ahead;
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TROUPE_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead = page;
    close(file);
}
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    if (done == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) && ahead) now->tv_sec += *ahead;
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0) return -1;
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
