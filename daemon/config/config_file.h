/*
 * Config file: from YAML, defaults and the command line to a whole, checked config. The door to libyaml.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

/*
 * Reads `path` (NULL: only the defaults), then `overrides` ("path=value", from --set), then checks the rules. All mistakes
 * at once go to `problems`, one line each: "file:line: option: reason". 0; -EINVAL: there are mistakes; other negative errno:
 * the file cannot be read (then `problems` says so). *ret is the caller's reference.
 */
MUST_CHECK int config_load(const char *path, const char *const overrides[], size_t override_count,
                           struct config **ret, struct buf *problems);

/* The rules that span options: rules.c. */
struct config_rule {
    bool (*holds)(const struct config *config);
    const char *option, *sentence;      /* of which option or section, and what must be so */
};
extern const struct config_rule config_rules[];
extern const size_t config_rule_count;

/* Appends what is broken; -EINVAL when something is. */
MUST_CHECK int config_check_rules(const struct config *config, struct buf *problems);

/* The commented sample: every option at its default. */
void config_print_sample(struct buf *out);

/* libyaml's. */
const char *config_library_version(void);
