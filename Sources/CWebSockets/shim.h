#pragma once
#include <libwebsockets.h>
/// Bytes to leave free in front of every payload given to lws_write (LWS_PRE is a macro of casts).
enum { SHIM_LWS_PRE = LWS_PRE };
