/*
 * Reserve: descriptors that clients leave to the rest of the daemon: the admin socket, the config's files, what is fetched. The
 * kernel gives the lowest number that is free, so a descriptor's number says how many there are.
 */
#pragma once

#include "lib/base.h"

struct config;

/* Where the reserve begins: clients get lower numbers. */
int reserve_start(const struct config *config);
/* No lower number is free now. */
bool reserve_is_reached(int start, int some_descriptor);
