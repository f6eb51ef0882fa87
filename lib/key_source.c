/*
 * Key source: see key_source.h.
 */
#include "lib/key_source.h"

#include "lib/text.h"

static struct bytes source_word(const char **rest)
{
    *rest += strspn(*rest, " ");
    size_t length = strcspn(*rest, " ");
    struct bytes word = bytes_of(*rest, length);
    *rest += length;
    return word;
}

static bool source_takes(struct bytes word, const char *with, struct bytes *ret)
{
    size_t length = strlen(with);
    if (word.length <= length || memcmp(word.data, with, length) != 0)
        return false;
    *ret = bytes_of(word.data + length, word.length - length);
    return true;
}

/* systemd's rule for the names of credentials, so that none leads out of their directory. */
static bool source_is_credential_name(struct bytes name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] == '/' || name.data[i] < 0x21 || name.data[i] > 0x7e)
            return false;
    return name.length > 0 && name.length < 256 && !bytes_is(name, ".") && !bytes_is(name, "..");
}

int key_source_parse(const char *text, struct key_source *ret, const char **ret_problem)
{
    const char *rest = text;
    struct bytes word = source_word(&rest), value;
    *ret = (struct key_source){.name = word};
    ret->is_credential = source_takes(word, "credential:", &ret->name);
    *ret_problem = "an absolute path or credential:NAME is expected";
    if (ret->is_credential ? !source_is_credential_name(ret->name) : word.length < 2 || word.length > 4000 || word.data[0] != '/')
        return -EINVAL;
    while ((word = source_word(&rest)).length) {
        if (source_takes(word, "alg=", &value)) {
            *ret_problem = "behind alg= one of HS256, RS256, PS256, ES256, EdDSA is expected";
            if (!key_algorithm_find(value, &ret->wish.algorithm))
                return -EINVAL;
            ret->wish.has_algorithm = true;
        } else if (source_takes(word, "kid=", &value)) {
            *ret_problem = "behind kid= at most 256 bytes are expected";
            if (value.length > KEY_ID_MAX)
                return -EINVAL;
            ret->wish.id = value;
        } else if (!source_takes(word, "issuer=", &ret->issuer)) {
            *ret_problem = "behind the file only alg=ALGORITHM, kid=ID and issuer=ISSUER are expected";
            return -EINVAL;
        }
    }
    return 0;
}
