/*
 * Scarce memory: of what our own code asks the C library for, one allocation fails when told to. The linker leads the calls here
 * (--wrap), so libraries get what they want, and a sanitizer sees everything.
 */
#pragma once

#include <stdbool.h>

/* From now on the allocation with that number fails, counted from 1. */
void scarce_begin(unsigned number);
/* False: there were fewer. */
bool scarce_end(void);
