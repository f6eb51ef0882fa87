/*
 * Codec set: how envelopes are written, as the client sees it: JSON and MessagePack, each by the library or by a codec of the
 * caller's own, best first. Bytes in, envelopes out; no I/O.
 */
#pragma once

#include "lib/buf.h"
#include "lib/client/options.h"

enum { CODEC_SET_MAX = 2 };

struct rtc_sink { struct buf buf; };

struct codec_set {
    struct rtc_codec own[CODEC_SET_MAX];                /* the library's; each with its scratch as argument */
    struct codec_scratch { struct buf text, json; } scratch[CODEC_SET_MAX];
    const struct rtc_codec *list[CODEC_SET_MAX];        /* what the builder asked for, best first */
    size_t count;
};

/* `set` must not move afterwards. RTC_BAD_ARGUMENT: a name that nobody has. */
enum rtc_code codec_set_init(struct codec_set *set, const struct options *options, struct rtc_error *error);
void codec_set_done(struct codec_set *set);

/* NULL: it is not in the set. */
const struct rtc_codec *codec_set_find(const struct codec_set *set, struct bytes name);
bool codec_is_binary(const struct rtc_codec *codec);
const char *codec_content_type(const struct rtc_codec *codec);

/* Appends the envelope. RTC_BAD_ENVELOPE: its data has no form in this codec; RTC_NO_MEMORY. After an error `out` is as it was. */
enum rtc_code codec_encode(const struct rtc_codec *codec, const struct rtc_envelope *envelope, struct buf *out);

/* What reading and writing needs of rtc.h's slices. */
static inline struct bytes bytes_from(struct rtc_bytes bytes) { return bytes_of(bytes.data, bytes.length); }
static inline struct rtc_bytes bytes_to(struct bytes bytes) { return (struct rtc_bytes){bytes.data, bytes.length}; }
