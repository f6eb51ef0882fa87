/*
 * Base: the few macros and shapes that every file uses. Knows nothing of the rest.
 */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
/* Something large on a hot path that is written before it is read: the compiler is not to zero it (-ftrivial-auto-var-init). */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#else
#define UNINITIALIZED
#endif

/*
 * Scoped ownership: DEFINE_SCOPED(thing) once beside thing_free(); then
 * `SCOPED(thing) thing = thing_new();` frees at the end of the block,
 * and `return STEAL(thing);` hands it on instead.
 */
#define DEFINE_SCOPED(name) \
    static inline void name##_scoped(struct name **owned) { name##_free(*owned); }
#define SCOPED(name) __attribute__((cleanup(name##_scoped))) struct name *
#define STEAL(pointer) \
    ({ __typeof__(pointer) stolen_ = (pointer); (pointer) = NULL; stolen_; })

/* Each use has names of its own, so that uses can stand inside one another. */
#define MIN(a, b) PICK_(a, <, b, __COUNTER__)
#define MAX(a, b) PICK_(a, >, b, __COUNTER__)
#define PICK_(a, sign, b, number) PICK__(a, sign, b, number)
#define PICK__(a, sign, b, number) \
    ({ __typeof__(a) a_##number = (a); __typeof__(b) b_##number = (b); a_##number sign b_##number ? a_##number : b_##number; })

/* What every decoder of a peer's bytes answers; BAD comes with a struct fault. */
enum decode {
    DECODE_DONE,
    DECODE_MORE,
    DECODE_BAD,
};
