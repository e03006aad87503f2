#pragma once
/// From now until called with NULL, every Swift job that the calling thread is about to send to the global or main executor
/// is given to `take` instead. For the simulator: a job that leaves its executors would run on another thread, in an order
/// that no seed decides. Other threads are not touched.
void shim_catch_escaped_jobs(void (*_Nullable take)(void *_Nonnull context, void *_Nonnull job), void *_Nullable context);
