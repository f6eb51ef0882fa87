/*
 * Parts that the tests of scarce memory share: the loop over all allocations, and what stands in for the threads, the transport and the
 * dialect around a hub.
 */
#pragma once

#include "tests/unit/test.h"

#include "daemon/core/letter.h"
#include "daemon/core/ports.h"

/* Does the work with its first allocation failing, then its second, and so on until none of them does. `work` returns a negative errno
 * when it could not be done; there are more than `at_least` allocations in it. */
void without_each_allocation(int (*work)(void), unsigned at_least);

/* As struct ports has them: `argument` is the only mailbox; it is always the first millisecond. */
int scarce_post(void *argument, unsigned worker, const struct letter *letter);
bool scarce_has_room(void *argument, unsigned worker);
void scarce_settle(void *argument, unsigned worker);
uint64_t scarce_wall_ms(void *argument);

extern const struct transport scarce_transport;
extern const struct dialect scarce_dialect;
