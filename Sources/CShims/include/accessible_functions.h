#pragma once
// The distributed methods linked into this program, as Swift's runtime itself finds them.
#include <stddef.h>

// Calls `each` with the mangled name of every distributed method's entry point.
void shim_each_distributed_target(void *_Nullable context, void (*_Nonnull each)(void *_Nullable context, const char *_Nonnull name));
// A mangled name as it is written in Swift, to be freed; NULL for what is not one.
char *_Nullable shim_swift_demangle(const char *_Nonnull name, size_t length);
