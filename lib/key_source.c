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

/* In clear only to this machine: whoever can change what comes over the network could make himself anybody. */
static bool source_is_url(struct bytes text)
{
    static const char *const starts[] = {"https://", "http://127.0.0.1", "http://localhost", "http://[::1]"};
    struct bytes rest;
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        if (source_takes(text, starts[i], &rest))
            return text.length < 2000 && (i == 0 ? rest.data[0] != '/' : rest.data[0] == ':' || rest.data[0] == '/');
    return false;
}

int key_source_parse(const char *text, struct key_source *ret, const char **ret_problem)
{
    const char *rest = text;
    struct bytes word = source_word(&rest), value;
    *ret = (struct key_source){.name = word};
    ret->is_credential = source_takes(word, "credential:", &ret->name);
    ret->is_url = source_is_url(word);
    *ret_problem = "an absolute path, credential:NAME or an https URL is expected";
    if (ret->is_credential ? !source_is_credential_name(ret->name)
        : !ret->is_url && (word.length < 2 || word.length > 4000 || word.data[0] != '/'))
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
    *ret_problem = "a URL has public keys, and HS256 has none";
    return ret->is_url && ret->wish.has_algorithm && ret->wish.algorithm == KEY_HS256 ? -EINVAL : 0;
}
