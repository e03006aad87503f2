// Reads the section `swift5_accessible_functions`: an array of records of five 32-bit words, of which the first four are
// relative pointers: name, generic environment, function type, function; the fifth are flags
// (swift/ABI/Metadata.h, TargetAccessibleFunctionRecord). The linker names the section's ends.
#include "accessible_functions.h"
#include <stdint.h>

struct record { int32_t name, environment, type, function; uint32_t flags; };

extern const struct record __start_swift5_accessible_functions[] __attribute__((weak, visibility("hidden")));
extern const struct record __stop_swift5_accessible_functions[] __attribute__((weak, visibility("hidden")));

enum { distributed = 1u };

void shim_each_distributed_target(void *context, void (*each)(void *context, const char *name)) {
    if (!__start_swift5_accessible_functions) return;
    for (const struct record *r = __start_swift5_accessible_functions; r < __stop_swift5_accessible_functions; r++) {
        if (r->name == 0 || !(r->flags & distributed)) continue;
        each(context, (const char *)&r->name + r->name);
    }
}

// Of Swift's runtime.
extern char *swift_demangle(const char *name, size_t length, char *output, size_t *output_size, uint32_t flags);

char *shim_swift_demangle(const char *name, size_t length) { return swift_demangle(name, length, NULL, NULL, 0); }
