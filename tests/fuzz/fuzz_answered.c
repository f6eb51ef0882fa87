/*
 * Answered: the first byte says how much is kept; then come steps of two bytes, what is done with which key, as a program might: whoever
 * asks again is told that the first is under way, or what it was answered, unless that was forgotten. Then all of it is read as a header.
 */
#include "daemon/core/answered.h"

#include <stdlib.h>

enum { KEYS = 16, GROUPS = 3, WINDOW_MS = 20 };

struct model {
    struct answered_entry *under_way;
    uint64_t answered_at_ms;
    unsigned char answer;               /* 0: none */
};

static void check_header(struct bytes value)
{
    struct buf key = {0};
    if (idempotency_key_read(value, &key) == 0 && !idempotency_key_is_valid(buf_bytes(&key)))
        abort();
    buf_done(&key);
}

static void begin(struct answered *answered, struct model *model, unsigned key, uint64_t now_ms)
{
    unsigned char name = (unsigned char)('a' + key), group = (unsigned char)('a' + key % GROUPS);
    struct answered_call call = {.caller = BYTES("c"), .key = bytes_of(&name, 1), .group = bytes_of(&group, 1), .data = bytes_of(&name, 1)};
    struct answered_entry *entry;
    struct bytes answer = {0};
    enum answered_state state = answered_begin(answered, &call, WINDOW_MS, now_ms, &entry, &answer);
    bool is_in_time = model->answer && now_ms - model->answered_at_ms < WINDOW_MS;
    if ((state == ANSWERED_UNDER_WAY) != (model->under_way != NULL) || (state == ANSWERED_BEFORE && (!is_in_time || answer.data[0] != model->answer))
        || state == ANSWERED_OTHERWISE || (state == ANSWERED_NEW) != (entry != NULL))
        abort();
    if (entry)
        *model = (struct model){.under_way = entry};
}

static void end(struct answered *answered, struct model *model, unsigned char what, uint64_t weight_max, uint64_t now_ms)
{
    unsigned char answer[1024] = {what ? what : 1};
    struct answered_entry *entry = model->under_way;
    if (!entry)
        return;
    *model = (struct model){.answer = answer[0], .answered_at_ms = now_ms};
    if (what % 4 == 0)
        answered_drop(answered, entry);
    else
        answered_end(answered, entry, bytes_of(answer, 1 + what * 4u % sizeof(answer)), weight_max, now_ms);
    if (what % 4 == 0)
        model->answer = 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct answered *answered = answered_new();
    struct model models[KEYS] = {0};
    uint64_t now_ms = 0;
    if (!answered)
        return 0;
    for (size_t i = 1; i + 1 < size; i += 2) {
        unsigned key = data[i] % KEYS;
        now_ms += data[i] >> 6;
        if (data[i] & 0x20)
            begin(answered, &models[key], key, now_ms);
        else
            end(answered, &models[key], data[i + 1], 1 + data[0], now_ms);
    }
    check_header(bytes_of(data, size));
    answered_free(answered);
    return 0;
}
