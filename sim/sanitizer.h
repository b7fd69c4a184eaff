#pragma once

/*
 * Sanitizer
 *
 * What the sanitizers offer to code that switches stacks or looks for leaks. The functions are
 * weak: NULL in a build without that sanitizer.
 */

#include <stddef.h>

#define WEAK __attribute__((weak))

WEAK void __sanitizer_start_switch_fiber(void **fake_stack_out, const void *bottom, size_t size);
WEAK void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom_out,
                                          size_t *size_out);
WEAK void *__tsan_get_current_fiber(void);
WEAK void *__tsan_create_fiber(unsigned flags);
WEAK void __tsan_destroy_fiber(void *fiber);
WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);
WEAK int __lsan_do_recoverable_leak_check(void);
WEAK void __asan_unpoison_memory_region(const volatile void *address, size_t size);
