/*
 * Sequence: see sequence.h.
 */
#include "cli/sequence.h"

enum { REMEMBERED = 64 };

enum sequence_verdict sequence_take(struct sequence *sequence, uint64_t number)
{
    if (number >= sequence->next) {
        uint64_t step = number - sequence->next + 1;
        sequence->had = (step < REMEMBERED ? sequence->had << step : 0) | 1;
        sequence->next = number + 1;
        return SEQUENCE_NEXT;
    }
    uint64_t back = sequence->next - 1 - number;
    if (back >= REMEMBERED)
        return SEQUENCE_LATE;
    uint64_t bit = UINT64_C(1) << back;
    if (sequence->had & bit)
        return SEQUENCE_DOUBLE;
    sequence->had |= bit;
    return SEQUENCE_LATE;
}
