/*
 * IN and OUT. The string forms are with the other string instructions.
 */
#include "exec.h"

void exec_in(struct vcpu *v, const struct insn *i)
{
    u16 port = exec_read(v, i, 1);
    unsigned bytes = i->op[0].bytes;
    io_check(v, port, bytes);
    exec_write(v, i, 0, io_read(v, port, bytes));
}

void exec_out(struct vcpu *v, const struct insn *i)
{
    u16 port = exec_read(v, i, 0);
    unsigned bytes = i->op[1].bytes;
    io_check(v, port, bytes);
    io_write(v, port, bytes, exec_read(v, i, 1));
}
