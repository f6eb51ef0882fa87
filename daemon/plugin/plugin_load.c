/*
 * Plug-in load: from a path in the config to a table of functions, or to what is wrong with it.
 */
#include "daemon/plugin/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TABLE_BYTES_MIN = offsetof(struct rtcd_plugin, done) };

static int wrong(struct buf *problem, const char *what)
{
    buf_add_text(problem, what);
    return -EINVAL;
}

/* Whoever may write it runs what he likes as the daemon. */
static int check_owner(const char *path, bool is_directory, struct buf *problem)
{
    struct stat status;
    const char *what = is_directory ? "its directory" : "it";
    if (stat(path, &status) < 0)
        buf_add_format(problem, "%s cannot be looked at: %s", what, strerror(errno));
    else if (!is_directory && !S_ISREG(status.st_mode))
        buf_add_text(problem, "it is not a file");
    else if (status.st_uid != 0 && status.st_uid != geteuid())
        buf_add_format(problem, "%s belongs to user %u; it must be root's or the daemon's own", what, (unsigned)status.st_uid);
    else if (status.st_mode & (is_directory ? 02 : 022) && !(is_directory && status.st_mode & S_ISVTX))
        buf_add_format(problem, "its mode %04o lets others change %s; chmod %s", (unsigned)status.st_mode & 07777,
                       is_directory ? "what is in its directory" : "it", is_directory ? "o-w" : "go-w");
    else
        return 0;
    return -EINVAL;
}

static int check_file(const char *path, struct buf *problem)
{
    char *directory = strdup(path);
    if (!directory)
        return -ENOMEM;
    char *slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    int r = check_owner(path, false, problem);
    if (r == 0)
        r = check_owner(directory, true, problem);
    free(directory);
    return r;
}

/* The path ends at the first blank. */
static char *item_path(const char *item)
{
    return strndup(item, strcspn(item, " "));
}

int plugin_check(const char *item, struct buf *problem)
{
    char *path = item_path(item);
    int r = path ? check_file(path, problem) : -ENOMEM;
    free(path);
    return r;
}

static bool is_word(const char *text)
{
    return text && name_is_valid(bytes_text(text), PLUGIN_NAME_MAX) && !strchr(text, ' ');
}

static int check_table(const struct rtcd_plugin *table, struct buf *problem)
{
    if (!table)
        return wrong(problem, "it has no symbol rtcd_plugin, so it is no plug-in; see rtcd_plugin(3)");
    if (table->abi != RTCD_PLUGIN_ABI) {
        buf_add_format(problem, "it was built for version %u of the plug-in interface, and this daemon has %u; build it with this daemon's "
                       "rtcd_plugin.h", (unsigned)table->abi, (unsigned)RTCD_PLUGIN_ABI);
        return -EINVAL;
    }
    if (table->size < TABLE_BYTES_MIN || table->flags)
        return wrong(problem, "its table rtcd_plugin is not filled in: size is its sizeof, flags is 0");
    if (!is_word(table->name) || !is_word(table->version) || !table->init)
        return wrong(problem, "its table rtcd_plugin lacks a name, a version (words of up to 64 bytes) or init");
    return 0;
}

int plugin_load(struct plugin *plugin, const char *item, struct buf *problem)
{
    const char *arguments = item + strcspn(item, " ");
    plugin->path = item_path(item);
    plugin->arguments = strdup(arguments + strspn(arguments, " "));
    if (!plugin->path || !plugin->arguments)
        return -ENOMEM;
    int r = check_file(plugin->path, problem);
    if (r < 0)
        return r;
    plugin->handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle) {
        buf_add_format(problem, "it cannot be loaded: %s", dlerror());
        return -EINVAL;
    }
    const struct rtcd_plugin *table = dlsym(plugin->handle, "rtcd_plugin");
    r = check_table(table, problem);
    if (r == 0)
        memcpy(&plugin->table, table, MIN(table->size, sizeof(plugin->table)));
    return r;
}

void plugin_unload(struct plugin *plugin)
{
    if (plugin->handle)
        dlclose(plugin->handle);
    free(plugin->path);
    free(plugin->arguments);
    free(plugin->worker_states);
}
