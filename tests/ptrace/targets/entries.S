# Functions that begin with instructions of all kinds; each is called from C with (a, b), counts itself, and returns a value
# that shows that nothing was changed. The counters are in `counts`.
    .text
.macro function name
    .globl \name
    .type \name, @function
\name:
.endm
.macro count number
    lock incq counts+8*\number(%rip)
.endm
function starts_push
    push %rbp
    count 0
    lea (%rdi,%rsi), %rax
    pop %rbp
    ret
function starts_endbr
    endbr64
    count 1
    lea (%rdi,%rsi), %rax
    ret
function starts_load
    mov seven(%rip), %rax
    count 2
    add %rdi, %rax
    add %rsi, %rax
    sub $7, %rax
    ret
function starts_lock
    lock incq counts+8*3(%rip)
    lea (%rdi,%rsi), %rax
    ret
function starts_jump
    jmp 1f
    ud2
1:  count 4
    lea (%rdi,%rsi), %rax
    ret
function starts_branch
    jrcxz 2f
    loop 2f
2:  count 5
    lea (%rdi,%rsi), %rax
    ret
function starts_call
    call helper
    count 6
    add %rdi, %rax
    add %rsi, %rax
    ret
function starts_call_memory
    call *pointer(%rip)
    count 7
    add %rdi, %rax
    add %rsi, %rax
    ret
function starts_vector
    vpxor %xmm15, %xmm15, %xmm15
    count 8
    lea (%rdi,%rsi), %rax
    ret
function starts_notrack
    cs nop
    count 9
    lea (%rdi,%rsi), %rax
    ret
function starts_system_call
    mov $39, %eax
    nop
    jmp 3f
    .p2align 4
    .globl at_system_call
    .type at_system_call, @function
at_system_call:
3:  syscall
    count 10
    lea (%rdi,%rsi), %rax
    ret
helper:
    lea -16(%rsp), %rax
    mov 8(%rax), %rdx      # nothing below the stack pointer was needed
    xor %eax, %eax
    ret
    .section .data.rel,"aw"
seven: .quad 7
pointer: .quad helper
    .globl counts
counts: .fill 16, 8, 0
    .section .note.GNU-stack,"",@progbits
