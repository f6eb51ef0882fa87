/*
 * Key algorithms: see key_algorithm.h.
 */
#include "lib/key_algorithm.h"

static const char *const names[KEY_ALGORITHM_COUNT] = {
    [KEY_HS256] = "HS256", [KEY_RS256] = "RS256", [KEY_PS256] = "PS256", [KEY_ES256] = "ES256", [KEY_EDDSA] = "EdDSA",
};

const char *key_algorithm_name(enum key_algorithm algorithm)
{
    return names[algorithm];
}

bool key_algorithm_find(struct bytes name, enum key_algorithm *ret)
{
    for (enum key_algorithm i = 0; i < KEY_ALGORITHM_COUNT; i++) {
        if (bytes_is(name, names[i])) {
            *ret = i;
            return true;
        }
    }
    return false;
}
