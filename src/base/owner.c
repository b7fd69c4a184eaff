#include "base/owner.h"

_Thread_local struct owner *owner_self;
