/*
 * Option rows: how the rows of an options' table are written. A row's macro checks that its member of ROW_STRUCT, which whoever
 * includes this has defined, has the type that its kind needs.
 */
#pragma once

#include "daemon/config/option.h"

#define MEMBER(member, type) \
    .offset = offsetof(ROW_STRUCT, member) + 0 * sizeof(char[_Generic(((ROW_STRUCT *)0)->member, type: 1)])
#define FLAG(member) .kind = OPTION_FLAG, MEMBER(member, bool)
#define NUMBER(member) .kind = OPTION_NUMBER, MEMBER(member, uint64_t)
#define SIZE(member) .kind = OPTION_SIZE, MEMBER(member, uint64_t)
#define SPAN(member) .kind = OPTION_SPAN, MEMBER(member, uint64_t)
#define TEXT(member) .kind = OPTION_TEXT, MEMBER(member, char *)
#define LIST(member) .kind = OPTION_LIST, MEMBER(member, struct text_list)
#define CHOICE(member, type, words) .kind = OPTION_CHOICE, MEMBER(member, enum type), .choices = words

#define WHO_WORDS "nobody token members anyone"

enum { KIB = 1024, MIB = 1024 * 1024, SECOND = 1000, MINUTE = 60 * 1000, HOUR = 3600 * 1000 };
