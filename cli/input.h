/*
 * Input: a value as people give it on a command line: itself, - for standard input, @FILE for a file's content. An argument shows
 * in the list of processes; the other two do not.
 */
#pragma once

#include "lib/buf.h"

/* 0; an exit status (sysexits.h) after saying what is wrong. */
MUST_CHECK int input_read(const char *text, struct buf *ret);
/* Appends DATA that is to be JSON, on one line; 0, or an exit status after saying what is wrong. */
MUST_CHECK int input_check_json(struct bytes data, struct buf *ret);
/* The content of a file; the same as input_read(). */
MUST_CHECK int input_read_file(const char *path, struct buf *ret);
