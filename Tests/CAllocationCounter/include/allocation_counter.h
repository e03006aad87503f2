#pragma once
#include <stdint.h>
/// How often the calling thread has asked for heap memory. Counts in a test binary that links this; 0 for ever under a sanitizer.
uint64_t allocation_count(void);
/// Whether counting works in this build.
int allocation_counting_works(void);
