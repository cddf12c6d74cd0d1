/* Opened by counter after it has run for a while. */
__attribute__((noinline)) long loaded_work(long x)
{
    __asm__ volatile("");
    return x + 1;
}
