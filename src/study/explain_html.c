/*
 * The explanation as one HTML page: guest code on the left, host code on the right, and the blocks with their edges
 * as a drawing. The script highlights both sides of the instruction under the pointer.
 */
#include "explain.h"
#include "html.h"

#include <stdio.h>

static const char script[] = "<script>document.querySelectorAll('[data-i]').forEach(function(e){\n"
                             "e.addEventListener('mouseenter',function(){set(e.dataset.i,true)});\n"
                             "e.addEventListener('mouseleave',function(){set(e.dataset.i,false)});});\n"
                             "function "
                             "set(i,on){document.querySelectorAll('[data-i=\"'+i+'\"]').forEach(function(x){"
                             "x.classList.toggle('on',on)})}\n"
                             "</script>\n";

/* --- the drawing: blocks from top to bottom, edges as arcs on the left and right --- */

enum { BOX_X = 220, BOX_WIDTH = 400, BOX_HEIGHT = 34, BOX_STEP = 62, DRAWN_MAX = 200 };

static int find_block(const struct explanation *x, u64 eip)
{
    for (unsigned n = 0; n < x->count; n++)
        if (x->block[n].eip == eip) return (int)n;
    return -1;
}

static void draw_edge(const struct explanation *x, unsigned from, const struct explained_edge *edge,
                      unsigned index, FILE *out)
{
    int to = find_block(x, edge->eip);
    int y = 20 + (int)from * BOX_STEP + BOX_HEIGHT / 2 + (int)index * 6;
    if (to < 0) {
        fprintf(out,
                "<path d=\"M%d %d h40\" stroke=\"currentColor\" fill=\"none\" marker-end=\"url(#a)\"/><text "
                "x=\"%d\" "
                "y=\"%d\">%08llx%s</text>\n",
                BOX_X + BOX_WIDTH, y, BOX_X + BOX_WIDTH + 48, y + 4, (ull)edge->eip,
                edge->cross_page ? " (other page)" : "");
        return;
    }
    if (to == (int)from) { /* a loop, out of the lower left corner and back above */
        fprintf(out,
                "<path d=\"M%d %d C%d %d %d %d %d %d\" stroke=\"currentColor\" fill=\"none\" "
                "marker-end=\"url(#a)\"/>\n",
                BOX_X, y + 8, BOX_X - 60, y + 30, BOX_X - 60, y - 30, BOX_X - 2, y - 8);
        return;
    }
    int target = 20 + to * BOX_STEP + BOX_HEIGHT / 2,
        distance = to > (int)from ? to - (int)from : (int)from - to + 1;
    int reach = BOX_X - 24 - (distance > 8 ? 8 : distance) * 20;
    fprintf(out,
            "<path d=\"M%d %d C%d %d %d %d %d %d\" stroke=\"currentColor\" fill=\"none\" "
            "marker-end=\"url(#a)\"/>\n",
            BOX_X, y, reach, y, reach, target, BOX_X - 2, target);
}

static void draw(const struct explanation *x, FILE *out)
{
    unsigned count = x->count < DRAWN_MAX ? x->count : DRAWN_MAX;
    fprintf(out,
            "<h2>Blocks and edges</h2>\n<svg viewBox=\"0 0 900 %u\" width=\"900\" role=\"img\" "
            "aria-label=\"blocks and "
            "edges\">\n<defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" "
            "orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"currentColor\"/></marker></defs>\n",
            count * BOX_STEP + 40);
    for (unsigned n = 0; n < count; n++) {
        const struct explained_block *b = &x->block[n];
        unsigned y = 20 + n * BOX_STEP;
        fprintf(
            out,
            "<a href=\"#b%08llx\"><rect x=\"%d\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"5\" fill=\"none\" "
            "stroke=\"currentColor\"/><text x=\"%d\" y=\"%u\">%08llx  %u instruction%s, %u "
            "bytes</text></a>\n",
            (ull)b->eip, BOX_X, y, BOX_WIDTH, BOX_HEIGHT, BOX_X + 10, y + 22, (ull)b->eip, b->count,
            b->count == 1 ? "" : "s", b->host_bytes);
        for (unsigned k = 0; k < b->edge_count; k++)
            draw_edge(x, n, &b->edge[k], k, out);
    }
    fputs("</svg>\n", out);
}

/* --- the code --- */

static void print_lines(const struct explained_block *b, unsigned from, unsigned to, FILE *out)
{
    fputs("<pre>", out);
    for (unsigned n = from; n < to; n++) {
        html_text(b->line[n].text, out);
        if (b->line[n].note) {
            fputs("  <span class=\"note\">; ", out);
            html_text(b->line[n].note, out);
            fputs("</span>", out);
        }
        fputc('\n', out);
    }
    fputs("</pre>", out);
}

static void print_insn(const struct explained_block *b, const struct explained_insn *i, FILE *out)
{
    static const char *const classes[EXPLAIN_MARKS] = {"identical", "rewritten", "control", "inline",
                                                       "callout"};
    char text[256];
    fprintf(out, "<tr data-i=\"%08llx-%08llx\"><td class=\"code\">%08llx</td><td class=\"code\">",
            (ull)b->eip, (ull)i->eip, (ull)i->eip);
    html_text(i->text, out);
    fprintf(out, "<br><span class=\"none\">");
    for (unsigned n = 0; n < i->length; n++)
        fprintf(out, "%02x ", i->code[n]);
    fprintf(out, "</span></td><td><span class=\"mark %s\">%s</span><br><span class=\"why\">",
            classes[i->mark], explain_mark_name(i->mark));
    html_text(explain_reason(i, text, sizeof(text)), out);
    fprintf(out, "</span></td><td>%u<br><span class=\"none\">%u bytes</span></td><td>%s</td><td>", i->lines,
            i->host_bytes, explain_flags(i->live_after, text, sizeof(text)));
    print_lines(b, i->line, i->line + i->lines, out);
    fputs("</td></tr>\n", out);
}

static void print_block(const struct explained_block *b, FILE *out)
{
    fprintf(out,
            "<h2 id=\"b%08llx\">Block %08llx</h2>\n<p>%u guest instruction%s; %u host bytes on the straight "
            "path, "
            "%u beside it.</p>\n",
            (ull)b->eip, (ull)b->eip, b->count, b->count == 1 ? "" : "s", b->host_bytes, b->stub_bytes);
    if (b->note[0]) {
        fputs("<p><b>", out);
        html_text(b->note, out);
        fputs("</b></p>\n", out);
    }
    fputs("<table><thead><tr><th>address</th><th>guest</th><th>treatment</th><th>host instructions</th>"
          "<th>live flags behind</th><th>host code</th></tr></thead><tbody>\n",
          out);
    if (b->entry_lines) {
        fputs("<tr><td></td><td>entries</td><td></td><td></td><td></td><td>", out);
        print_lines(b, 0, b->entry_lines, out);
        fputs("</td></tr>\n", out);
    }
    for (unsigned n = 0; n < b->count; n++)
        print_insn(b, &b->insn[n], out);
    fputs("</tbody></table>\n", out);
    if (b->stub_line == b->line_count) return;
    fputs("<details><summary>Beside the straight path: slow paths and unlinked edges</summary>\n", out);
    print_lines(b, b->stub_line, b->line_count, out);
    fputs("</details>\n", out);
}

void explain_print_html(const struct explanation *x, const char *title, FILE *out)
{
    html_begin(title, out);
    fprintf(out, "<p>%u guest instructions in %u blocks:", x->guest_count, x->count);
    for (unsigned mark = 0; mark < EXPLAIN_MARKS; mark++)
        if (x->marks[mark]) fprintf(out, " %u %s;", x->marks[mark], explain_mark_name(mark));
    fprintf(out, " %u host instructions on the straight path, %.2f for each of the guest's.</p>\n",
            x->host_count, x->guest_count ? (double)x->host_count / x->guest_count : 0);
    draw(x, out);
    for (unsigned n = 0; n < x->count; n++)
        print_block(&x->block[n], out);
    fputs(script, out);
    html_end(out);
}
