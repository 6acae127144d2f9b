/*
 * The seams between the parts of a machine: phys, the CPU and the board each get the functions by which they
 * reach the others, and never see more of them.
 */
#ifndef RINGER_VM_SEAMS_H
#define RINGER_VM_SEAMS_H

#include "vm.h"

/* Each after the part was initialized; the board's before board_init(). */
void seams_of_phys(struct vm *vm);
void seams_of_cpu(struct vm *vm);
void seams_of_board(struct vm *vm);

#endif
