#include "store/memory.h"

struct store store_memory(void)
{
    return (struct store){.ops = NULL};
}
