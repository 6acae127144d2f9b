#include "explain.h"

#include <stdio.h>

static void print_guest_bytes(const struct explained_insn *i, FILE *out)
{
    for (unsigned n = 0; n < i->length; n++)
        fprintf(out, "%02x ", i->code[n]);
}

static void print_lines(const struct explained_block *b, unsigned from, unsigned to, FILE *out)
{
    for (unsigned n = from; n < to; n++) {
        const struct host_line *line = &b->line[n];
        fprintf(out, "    +%03x  %-52s%s%s\n", line->offset, line->text, line->note ? "; " : "",
                line->note ? line->note : "");
    }
}

static void print_block(const struct explained_block *b, FILE *out)
{
    char text[256], flags[32];
    if (b->note[0]) fprintf(out, "%s\n", b->note);
    fprintf(out, "block %08llx: %u guest instruction%s, %u host bytes on the straight path, %u beside it\n",
            (ull)b->eip, b->count, b->count == 1 ? "" : "s", b->host_bytes, b->stub_bytes);
    if (b->entry_lines) {
        fprintf(out, "  entries\n");
        print_lines(b, 0, b->entry_lines, out);
    }
    for (unsigned n = 0; n < b->count; n++) {
        const struct explained_insn *i = &b->insn[n];
        fprintf(out, "  %08llx  %-36s [%s] %u host instruction%s, %u bytes\n            ", (ull)i->eip,
                i->text, explain_mark_name(i->mark), i->lines, i->lines == 1 ? "" : "s", i->host_bytes);
        print_guest_bytes(i, out);
        fprintf(out, "\n            %s", explain_reason(i, text, sizeof(text)));
        fprintf(out, "; live flags behind it: %s\n", explain_flags(i->live_after, flags, sizeof(flags)));
        print_lines(b, i->line, i->line + i->lines, out);
    }
    if (b->stub_line < b->line_count) {
        fprintf(out, "  beside the straight path\n");
        print_lines(b, b->stub_line, b->line_count, out);
    }
    for (unsigned n = 0; n < b->edge_count; n++)
        fprintf(out, "  edge to %08llx%s\n", (ull)b->edge[n].eip,
                b->edge[n].cross_page ? " (another page: checked when taken)" : "");
    fprintf(out, "\n");
}

void explain_print_text(const struct explanation *x, FILE *out)
{
    for (unsigned n = 0; n < x->count; n++)
        print_block(&x->block[n], out);
    fprintf(out, "%u guest instruction%s (%u byte%s) in %u block%s:", x->guest_count,
            x->guest_count == 1 ? "" : "s", x->guest_bytes, x->guest_bytes == 1 ? "" : "s", x->count,
            x->count == 1 ? "" : "s");
    for (unsigned mark = 0; mark < EXPLAIN_MARKS; mark++)
        if (x->marks[mark]) fprintf(out, " %u %s,", x->marks[mark], explain_mark_name(mark));
    fprintf(out,
            "\n%u host instruction%s on the straight path (%.2f for each of the guest's), %u bytes and %u "
            "beside it.\n",
            x->host_count, x->host_count == 1 ? "" : "s",
            x->guest_count ? (double)x->host_count / x->guest_count : 0, x->host_bytes, x->stub_bytes);
}
