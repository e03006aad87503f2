#pragma once
#include <sqlite3.h>
/// SQLITE_TRANSIENT is a cast the importer cannot see.
static inline sqlite3_destructor_type shim_sqlite_transient(void) { return SQLITE_TRANSIENT; }
