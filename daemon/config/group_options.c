/*
 * Group options: the table of what a rule of `groups` may say. Pure data, as options.c. Rows without a fallback must be given;
 * "default" means: as the option of the whole config that is named in the details.
 */
#define ROW_STRUCT struct group_rule
#include "daemon/config/groups.h"
#include "daemon/config/option_rows.h"
#include "lib/pattern.h"

#define WHO(action) CHOICE(may[action], config_who, WHO_WORDS " default"), .fallback = "default", .reload = RELOAD_NOW

static const char *check_pattern(const char *text)
{
    return pattern_problem(bytes_text(text));
}

static const struct config_option group_options[] = {
    { .path = "groups.match", TEXT(match), .example = "room.*", .check = check_pattern, .reload = RELOAD_NOW,
      .summary = "The groups that this rule is for.",
      .details = "A pattern: * is any run of bytes within a segment of the name, none as well, and ** any run at all; the segments have ., : "
                 "or / between them. room.* matches room.7, but not room.7.staff, which room.** does. The first rule that matches a group "
                 "holds for it, alone." },
    { .path = "groups.join", WHO(GROUP_JOIN),
      .summary = "Which clients may join.",
      .details = "As groups-default.join, which is the default. Whom rtcctl join puts into a group needs no leave." },
    { .path = "groups.publish", WHO(GROUP_PUBLISH),
      .summary = "Which clients may publish.",
      .details = "As publish.to-group, which is the default." },
    { .path = "groups.presence", WHO(GROUP_PRESENCE),
      .summary = "Which clients may ask who is there.",
      .details = "As groups-default.presence, which is the default." },
    { .path = "groups.presence-events", CHOICE(presence_events, config_presence, "none users connections"), .fallback = "none",
      .reload = RELOAD_NOW, .summary = "Whose coming and going the members are told of (rtc.joined, rtc.left).",
      .details = "connections: of each connection. users: of a user's first connection in the group and of his last one; anonymous connections "
                 "come and go unnoticed. What happens within presence.interval is told at once, and who came and went in it is not. In a "
                 "group larger than presence.members only the number is told. A connection without a transport is there until its "
                 "resume.window is over." },
    { .path = "groups.history", WHO(GROUP_HISTORY),
      .summary = "Which clients may ask what was published.",
      .details = "As groups-default.history, which is the default." },
    { .path = "groups.slow", CHOICE(slow, config_slow, "close drop-oldest latest"), .fallback = "close", .reload = RELOAD_NOW,
      .summary = "What becomes of envelopes for a client with whom too much waits.",
      .details = "close: they are kept, and if it is too much (queue.bytes, queue.envelopes, queue.soft-bytes, queue.time) the connection "
                 "is closed (slow-consumer). drop-oldest: those that have waited longest go, and the client is told how many "
                 "(rtc.gap). latest: the same; and while the client takes nothing, or is between two polls, only the newest with each "
                 "event name and key waits." },
    { .path = "groups.history-envelopes", NUMBER(history.envelopes), .fallback = "none", .max = 1000000, .special = "none", .reload = RELOAD_NOW,
      .summary = "How many envelopes the group remembers.",
      .details = "For those who join with since or last, for rtc.history and for rtcctl history. What is remembered has a number, its offset. "
                 "Whether it outlives the daemon is said by history.store." },
    { .path = "groups.history-keep", CHOICE(history.keep, config_keep, "all latest-per-key"), .fallback = "all", .reload = RELOAD_NOW,
      .summary = "Which envelopes the group remembers.",
      .details = "latest-per-key is for groups whose envelopes are a state rather than a stream: of those with the same key the newest alone "
                 "is remembered, those without a key are not, and one whose data is null takes its key's value away. last gives the "
                 "values of all keys. Where there are more than the group may remember, the oldest are forgotten, those that took a value "
                 "away first. Changing it makes a group forget. rtc-protocol(7) says what since and last answer." },
    { .path = "groups.history-bytes", SIZE(history.bytes), .fallback = "1MiB", .min = 1 * KIB, .max = 1024 * MIB, .reload = RELOAD_NOW,
      .summary = "How many bytes the group remembers.", .details = "" },
    { .path = "groups.history-age", SPAN(history.age_ms), .fallback = "1h", .min = 1 * SECOND, .max = 8760ull * HOUR, .reload = RELOAD_NOW,
      .summary = "How long the group remembers.",
      .details = "A group that nobody is in, and that nobody has published to for so long, is forgotten." },
};

const struct option_table group_option_table = {group_options, COUNT_OF(group_options)};
_Static_assert(COUNT_OF(group_options) <= OPTIONS_MAX, "config_file.c notes which were seen");
