/*
 * Inject: preloaded into the daemon (LD_PRELOAD), makes what the program asks of the C library fail now and then. Only calls
 * that the program itself makes, not those of its libraries. What fails, and when, stands in a file that the test maps too
 * (INJECT_CONTROL): so one daemon meets thousands of failures without a restart. faults.py knows the layout.
 *
 * It knows nothing of what the program does, and no sanitizer: those want to be the only ones between program and library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    _Atomic uint64_t allocations;       /* asked for since the test set it to 0 */
    _Atomic uint64_t fail_allocation;   /* the number of the one that fails; 0: none */
    _Atomic uint64_t failed_allocations;
    _Atomic uint64_t live_blocks;       /* of the program, not freed */
    _Atomic uint64_t calls;
    _Atomic uint64_t call_rate;         /* of 1000 calls so many fail; 0: none */
    _Atomic uint64_t seed;
    _Atomic uint64_t failed_calls;
    _Atomic uint64_t accept_error;      /* every accept fails so; 0: as the others */
    _Atomic uint64_t fail_every;        /* every so many allocations one more fails, after the first; 0: only the one */
    _Atomic uint64_t spares_main;       /* what the main thread asks for succeeds */
    _Atomic int64_t wall_offset_s;      /* the time of day is so much later than it is */
    _Atomic uint64_t is_harmless;       /* only what no client may notice: short counts, EINTR, EAGAIN */
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static struct control nothing, *control = &nothing;
static uintptr_t program_start, program_end;

/* The program is the first object; its code is what is executable in it. */
static int find_program(struct dl_phdr_info *info, size_t size, void *argument)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X)) {
            program_start = info->dlpi_addr + header->p_vaddr;
            program_end = program_start + header->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void inject_start(void)
{
    /* Not what merely starts the daemon: a shell, a tracer. */
    const char *path = strcmp(program_invocation_short_name, "rtcd") == 0 ? getenv("INJECT_CONTROL") : NULL;
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return;
    void *mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    dl_iterate_phdr(find_program, NULL);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static bool is_program(const void *caller)
{
    return (uintptr_t)caller >= program_start && (uintptr_t)caller < program_end;
}

static bool is_spared(void)
{
    return control->spares_main && gettid() == getpid();
}

/* Blocks */

enum { BLOCKS = 1 << 20 };
static _Atomic uintptr_t blocks[BLOCKS];        /* by address; 1 marks a place that was used */

static void block_note(void *block)
{
    for (uintptr_t at = (uintptr_t)block >> 4; block; at++) {
        uintptr_t present = blocks[at % BLOCKS];
        if (present > 1 || !atomic_compare_exchange_strong(&blocks[at % BLOCKS], &present, (uintptr_t)block))
            continue;
        atomic_fetch_add(&control->live_blocks, 1);
        return;
    }
}

static void block_forget(void *block)
{
    for (uintptr_t at = (uintptr_t)block >> 4, end = at + BLOCKS; block && at < end; at++) {
        uintptr_t present = blocks[at % BLOCKS];
        if (present == 0)
            return;
        if (present == (uintptr_t)block && atomic_compare_exchange_strong(&blocks[at % BLOCKS], &present, 1)) {
            atomic_fetch_sub(&control->live_blocks, 1);
            return;
        }
    }
}

static bool must_fail(const void *caller)
{
    if (!is_program(caller) || is_spared())
        return false;
    uint64_t number = atomic_fetch_add(&control->allocations, 1) + 1, first = control->fail_allocation, every = control->fail_every;
    if (!first || number < first || (every ? (number - first) % every : number != first))
        return false;
    atomic_fetch_add(&control->failed_allocations, 1);
    errno = ENOMEM;
    return true;
}

static void *noted(void *block, const void *caller)
{
    if (is_program(caller))
        block_note(block);
    return block;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return must_fail(CALLER) ? NULL : noted(__libc_malloc(size), CALLER);
}

void *calloc(size_t count, size_t size)
{
    return must_fail(CALLER) ? NULL : noted(__libc_calloc(count, size), CALLER);
}

void *realloc(void *block, size_t size)
{
    if (must_fail(CALLER))
        return NULL;
    block_forget(block);
    return noted(__libc_realloc(block, size), CALLER);
}

void free(void *block)
{
    block_forget(block);
    __libc_free(block);
}

char *strndup(const char *text, size_t length)
{
    size_t taken = strnlen(text, length);
    char *copy = must_fail(CALLER) ? NULL : noted(__libc_malloc(taken + 1), CALLER);
    if (copy) {
        memcpy(copy, text, taken);
        copy[taken] = '\0';
    }
    return copy;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = must_fail(CALLER) ? NULL : noted(__libc_malloc(size), CALLER);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* System calls */

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* A number that depends on the seed and on how many calls there were. */
static uint64_t draw(void)
{
    uint64_t x = control->seed + atomic_fetch_add(&control->calls, 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* 0: the call is to succeed; else what may be made of `number`. */
static uint64_t is_hit(const void *caller)
{
    uint64_t rate = control->call_rate;
    if (!rate || !is_program(caller) || is_spared())
        return 0;
    uint64_t number = draw();
    if (number % 1000 >= rate)
        return 0;
    atomic_fetch_add(&control->failed_calls, 1);
    return number / 1000 | 1;
}

/* The first two of a longer list are harmless. */
static int pick(uint64_t number, const int *errors, size_t count)
{
    errno = errors[number / 2 % (control->is_harmless && count > 2 ? 2 : count)];
    return -1;
}
#define FAIL(number, ...) pick(number, (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

/* Half of the hits are short counts. */
static bool is_short(uint64_t number)
{
    return number & 256;
}

static size_t shorten(uint64_t number, size_t length)
{
    return length > 1 ? 1 + number / 512 % (length - 1) : length;
}

ssize_t recv(int descriptor, void *data, size_t length, int flags)
{
    REAL(recv);
    uint64_t number = is_hit(CALLER);
    if (number && !is_short(number))
        return FAIL(number, EINTR, EAGAIN, EINTR, EAGAIN, ECONNRESET);
    return real(descriptor, data, number ? shorten(number, length > 64 ? 64 : length) : length, flags);
}

ssize_t send(int descriptor, const void *data, size_t length, int flags)
{
    REAL(send);
    uint64_t number = is_hit(CALLER);
    if (number && !is_short(number))
        return FAIL(number, EINTR, EAGAIN, ENOBUFS, EAGAIN, ECONNRESET, EPIPE);
    return real(descriptor, data, number ? shorten(number, length) : length, flags);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    uint64_t number = is_hit(CALLER);
    if (!number)
        return real(descriptor, message, flags);
    if (!is_short(number))
        return FAIL(number, EINTR, EAGAIN, ENOBUFS, EAGAIN, ECONNRESET, EPIPE);
    struct msghdr part = *message;
    struct iovec first = message->msg_iov[0];
    first.iov_len = shorten(number, first.iov_len);
    part.msg_iov = &first;
    part.msg_iovlen = 1;
    return real(descriptor, &part, flags);
}

/* Slow file systems may interrupt, but a file is never to be asked again later. */
static bool is_file(int descriptor)
{
    struct stat about;
    return fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
}

/* Events (8 bytes) are read whole or not at all. */
ssize_t read(int descriptor, void *data, size_t length)
{
    REAL(read);
    uint64_t number = is_hit(CALLER);
    if (number && (length == 8 || !is_short(number)))
        return is_file(descriptor) ? FAIL(number, EINTR) : FAIL(number, EINTR, EAGAIN);
    return real(descriptor, data, number ? shorten(number, length) : length);
}

ssize_t write(int descriptor, const void *data, size_t length)
{
    REAL(write);
    uint64_t number = length == 8 ? is_hit(CALLER) : 0;
    return number ? FAIL(number, EINTR) : real(descriptor, data, length);
}

int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags)
{
    REAL(accept4);
    uint64_t number = is_hit(CALLER);
    if (control->accept_error && is_program(CALLER)) {
        errno = (int)control->accept_error;
        return -1;
    }
    return number ? FAIL(number, EINTR, EAGAIN, ECONNABORTED, EMFILE, ENOBUFS) : real(descriptor, address, length, flags);
}

int epoll_wait(int descriptor, struct epoll_event *events, int count, int wait_ms)
{
    REAL(epoll_wait);
    uint64_t number = is_hit(CALLER);
    if (number && !is_short(number))
        return FAIL(number, EINTR);
    return real(descriptor, events, number ? 1 : count, wait_ms);
}

int epoll_ctl(int descriptor, int operation, int target, struct epoll_event *event)
{
    REAL(epoll_ctl);
    uint64_t number = operation == EPOLL_CTL_DEL || control->is_harmless ? 0 : is_hit(CALLER);
    return number && number / 2 % 8 == 0 ? FAIL(number, ENOMEM) : real(descriptor, operation, target, event);
}

ssize_t getrandom(void *data, size_t length, unsigned flags)
{
    REAL(getrandom);
    /* Up to 256 bytes, and the program asks for no more, it is neither cut short nor interrupted. A filter of calls may refuse it. */
    uint64_t number = control->is_harmless ? 0 : is_hit(CALLER);
    return number ? FAIL(number, ENOSYS) : real(data, length, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    int r = real(clock, now);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += control->wall_offset_s;
    return r;
}
