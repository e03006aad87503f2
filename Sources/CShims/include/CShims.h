#pragma once
// One line for each concern. The module is made of this header, so that a build notices a new one.
#include "accessible_functions.h"
#include "escaped_jobs.h"
#include "loop_thread.h"
#include "udp.h"
