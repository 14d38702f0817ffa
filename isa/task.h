// isa/task.h: the hardware task switch.
//
// MODELS     16- and 32-bit TSSs (not IA-32e mode), every check, the busy flag, NT and the back link, the T flag, CR3 and LDTR.
//
//    32-bit TSS: 0 link, 4 ESP0, 8 SS0 ... 28 CR3, 32 EIP, 36 EFLAGS, 40 EAX .. EDI, 72 ES CS SS DS FS GS, 96 LDT, 100 T,
//                102 I/O map base. 16-bit TSS: 0 link, 2 SP0, 4 SS0 ... 14 IP, 16 FLAGS, 18 AX .. DI, 34 ES CS SS DS, 42 LDT.
// MANUAL     "Task Management".
#ifndef ISA_TASK_H
#define ISA_TASK_H

#include "isa/seg.h"

// What asked for the switch; the values of the "source" field of the exit qualification for task switches.
enum isa_task_source { ISA_TASK_CALL, ISA_TASK_IRET, ISA_TASK_JMP, ISA_TASK_GATE };

// Switch to the TSS described by *d (fetched and checked for type and privilege by the caller; present and limit are checked here).
// next_rip is stored in the old TSS. has_error: push error on the new task's stack (task gates in the IDT).
// i may be NULL (IDT). Faults up to the commit point leave the old task running; later ones are raised in the new task.
int isa_task_switch(struct isa_cpu *c, const struct isa_insn *i, struct isa_desc *d, enum isa_task_source source, uint64_t next_rip,
                    bool has_error, uint32_t error);
// Through a task gate (JMP, CALL, IDT): finds the TSS and checks it. vector is #GP or #TS where a bad TSS selector is concerned.
int isa_task_gate(struct isa_cpu *c, const struct isa_insn *i, uint16_t tss, enum isa_task_source source, uint64_t next_rip,
                  bool has_error, uint32_t error);

#endif
