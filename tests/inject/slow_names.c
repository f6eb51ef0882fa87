/*
 * Slow names: preloaded into the daemon (LD_PRELOAD), makes names that begin with "slow" take five seconds to be looked up, in vain, as
 * where a name server does not answer.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

enum { SLOW_S = 5 };

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!name || strncmp(name, "slow", 4) != 0)
        return real(name, service, hints, ret);
    sleep(SLOW_S);
    return EAI_AGAIN;
}
