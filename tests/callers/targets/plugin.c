/* A library that is opened and closed all the time, each time elsewhere, and a copy of it under another name. -DMAIN, -DPLUGIN.
 *
 *@ probe process("{program}").function("host")
 *@ 1                                                       = host
 *@ caller in process("{plugin}")                           = plugin_calls_host
 *@ caller in library("{plugin}")                           = plugin_calls_host
 *@ caller is library("{plugin}").function("plugin_calls")  = plugin_calls_host
 *@ caller is library("{plugin}").function("plugin_*")      = plugin_calls_host
 *@ !(caller in library("{plugin}"))                        = host - plugin_calls_host
 *@ caller in process("{program}")                          = main_calls_host
 *@ caller is function("calls_host")                        = main_calls_host
 *@ within library("{plugin}").function("plugin_calls")     = plugin_calls_host
 *@ within library("{plugin}").function("plugin_again")     = plugin_again
 *
 *@ probe process("{plugin}").function("plugin_entry")
 *@ 1                                                       = plugin_entry
 *@ caller is process("{program}").function("opens")        = plugin_entry_main
 *@ caller is function("plugin_again")                      = plugin_again
 *@ within process("{program}").function("opens")           = plugin_entry
 */
#include "truth.h"
#include <dlfcn.h>
#include <string.h>

typedef long (*function)(long);
typedef void (*user)(function call, long n);

#ifdef PLUGIN
#ifdef __cplusplus
extern "C" {
#endif
#ifdef TWIN
#define COUNT_PLUGIN(what) COUNT_NAMED("twin_" #what)
#else
#define COUNT_PLUGIN COUNT
#endif
NOIPA long plugin_entry(long n)
{
    __asm__ volatile("nop");
    COUNT_PLUGIN(plugin_entry);
    return n;
}

NOIPA void plugin_calls(function call, long n)
{
    COUNT_PLUGIN(plugin_calls_host);
    call(n);
    BARRIER();
}

NOIPA void plugin_again(function call, long n)
{
    COUNT_PLUGIN(plugin_again);
    plugin_entry(n);
    plugin_calls(call, n);
    BARRIER();
}
#ifdef __cplusplus
}
#endif
#endif

#ifdef MAIN
NOIPA long host(long n)
{
    HIT(host);
    return n;
}

NOIPA void calls_host(long n)
{
    COUNT(main_calls_host);
    host(n);
    BARRIER();
}

static void path_beside_program(char *path, size_t size, const char *name)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    path[length] = 0;
    strcpy(strrchr(path, '/') + 1, name);
}

NOIPA void opens(const char *name, long n)
{
    char path[4096];
    path_beside_program(path, sizeof path, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    function entry = (function)dlsym(library, "plugin_entry");
    user calls = (user)dlsym(library, "plugin_calls"), again = (user)dlsym(library, "plugin_again");
    for (long i = 0; i < 5; i++) {
        if (strcmp(name, PLUGIN_NAME) == 0)
            COUNT(plugin_entry_main);
        entry(n);
        calls(host, n);
        again(host, n);
        calls_host(n);
    }
    dlclose(library);
}

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static NOIPA void one_round(long i)
{
    calls_host(i);
    if (i % 20)
        return;
    /* so that the library's next place is another one, or that it comes to lie where its twin was */
    pthread_mutex_lock(&one_at_a_time);
    opens(i % 40 ? PLUGIN_NAME : TWIN_NAME, i);
    if (i % 3 == 0)
        mmap(NULL, 4096 * (size_t)(1 + i % 7), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_unlock(&one_at_a_time);
}
#endif
