/* Marks as the macros of sys/sdt.h make them, for the tests: no package is needed, and every operand can be chosen.

   MARK0(shop, closed);                      a nop and its note
   MARK2(shop, sold, price, count);          operands by the compiler
   MARK_TEXT(shop, odd, "-2@%ax 8@$-1");     operands as they stand
   SEMAPHORE(shop, sold);  if (ENABLED(shop, sold)) MARK2_WITH(shop, sold, ...);

   Format: three addresses (the nop, the section that prelink moves, the counter or 0), provider, name and operands. */

#define MARK_STRING_(x) #x
#define MARK_STRING(x) MARK_STRING_(x)
#ifndef MARK_CONSTRAINT
#define MARK_CONSTRAINT "nor"
#endif

#define MARK_NOTE(provider, name, counter, operands)                                                                   \
  "990: nop\n"                                                                                                         \
  ".pushsection .note.stapsdt, \"?\", \"note\"\n.balign 4\n.long 992f-991f, 994f-993f, 3\n"                            \
  "991: .asciz \"stapsdt\"\n992: .balign 4\n993: .quad 990b, _.stapsdt.base, " counter "\n"                            \
  ".asciz \"" MARK_STRING(provider) "\"\n.asciz \"" MARK_STRING(name) "\"\n.asciz \"" operands "\"\n"                  \
  "994: .balign 4\n.popsection\n"                                                                                      \
  ".ifndef _.stapsdt.base\n.pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"                  \
  ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n.endif\n"

/* minus the size where the type is signed */
#define MARK_TYPE(x) __typeof__(((void)0, (x)))
#define MARK_SIZE(x) (int)(((MARK_TYPE(x))-1 > (MARK_TYPE(x))1 ? 1 : -1) * (int)sizeof(MARK_TYPE(x)))
#define MARK_ARGUMENT(n, x) [s##n] "i"(MARK_SIZE(x)), [a##n] MARK_CONSTRAINT(x)
#define MARK_OPERAND(n) "%c[s" #n "]@%[a" #n "]"
#define MARK_ARGUMENTS2(a, b) MARK_ARGUMENT(1, a), MARK_ARGUMENT(2, b)
#define MARK_ARGUMENTS4(a, b, c, d) MARK_ARGUMENTS2(a, b), MARK_ARGUMENT(3, c), MARK_ARGUMENT(4, d)
#define MARK_OPERANDS2 MARK_OPERAND(1) " " MARK_OPERAND(2)
#define MARK_OPERANDS4 MARK_OPERANDS2 " " MARK_OPERAND(3) " " MARK_OPERAND(4)

#define MARK_TEXT(provider, name, operands) __asm__ volatile(MARK_NOTE(provider, name, "0", operands))
#define MARK0(provider, name) MARK_TEXT(provider, name, "")
#define MARK1(provider, name, a)                                                                                       \
  __asm__ volatile(MARK_NOTE(provider, name, "0", MARK_OPERAND(1))::MARK_ARGUMENT(1, a))
#define MARK2(provider, name, a, b)                                                                                    \
  __asm__ volatile(MARK_NOTE(provider, name, "0", MARK_OPERANDS2)::MARK_ARGUMENTS2(a, b))
#define MARK4(provider, name, a, b, c, d)                                                                              \
  __asm__ volatile(MARK_NOTE(provider, name, "0", MARK_OPERANDS4)::MARK_ARGUMENTS4(a, b, c, d))

#define SEMAPHORE_OF(provider, name) provider##_##name##_semaphore
#define SEMAPHORE(provider, name)                                                                                      \
  __attribute__((visibility("hidden"))) volatile unsigned short SEMAPHORE_OF(provider, name)                           \
      __attribute__((section(".probes"))) = 0
#define ENABLED(provider, name) __builtin_expect(SEMAPHORE_OF(provider, name), 0)
#define MARK2_WITH(provider, name, a, b)                                                                               \
  __asm__ volatile(MARK_NOTE(provider, name, MARK_STRING(provider) "_" MARK_STRING(name) "_semaphore", MARK_OPERANDS2) \
                   ::MARK_ARGUMENTS2(a, b))
