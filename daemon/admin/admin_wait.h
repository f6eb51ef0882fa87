/*
 * Admin wait: whoever waits until a user or a group is as it should be: told by life-cycle events and by what the workers say of the
 * groups waited for; nothing is asked again and again.
 */
#pragma once

#include "lib/base.h"

struct admin;

void admin_waits_begin(struct admin *admin);
void admin_waits_end(struct admin *admin);
/* That client is gone; nobody waits for its answers any more. */
void admin_waits_drop(struct admin *admin, uint64_t client);
