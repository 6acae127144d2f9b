/*
 * The seams between the parts of a machine. phys, the CPU and the board each get the functions through which they reach
 * the others, and see nothing else of them.
 */
#ifndef RINGER_VM_SEAMS_H
#define RINGER_VM_SEAMS_H

#include "vm.h"

/* Call each after its part was initialized, but seams_of_board() before board_init(). */
void seams_of_phys(struct vm *vm);
void seams_of_cpu(struct vm *vm);
void seams_of_board(struct vm *vm);

#endif
