#pragma once
#include <stddef.h>
/// The loop that runs on the calling thread, or NULL.
/// `pthread_self` is attribute-const, so an optimiser may reuse its value across an `await`; a
/// thread-local read behind a call that is never inlined is not.
void *_Nullable shim_current_loop(void);
void shim_set_current_loop(void *_Nullable loop);
/// Names the calling thread as `ps -L` and profilers show it (at most 15 bytes are kept).
void shim_name_thread(const char *_Nonnull name);
/// Binds the calling thread to one processor. Returns 0 or an errno.
int shim_pin_thread(int processor);
