/*
 * Completion scripts for shells, from the table of options.
 */
#include "options_table.h"

#include <string.h>

static const char *const commands[] = {"run",    "new",     "start",    "stop",  "list",    "edit",
                                       "remove", "window",  "ctl",      "watch", "inspect", "disk",
                                       "census", "explain", "simulate", "help"};

/* Does the option take a path? */
static bool takes_file(const struct option_row *row)
{
    return row->argument && (!strcmp(row->argument, "FILE") || !strcmp(row->argument, "DIRECTORY"));
}

static const char *dashes(const struct option_row *row)
{
    return row->name[1] ? "--" : "-";
}

static void print_bash(const struct option_group *const *groups, unsigned count, FILE *out)
{
    fputs("# bash completion for ringer: made by `ringer help bash`\n"
          "_ringer() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    case $before in\n"
          "    ",
          out);
    const char *bar = "";
    for (unsigned g = 0; g < count; g++)
        for (unsigned n = 0; n < groups[g]->count; n++)
            if (takes_file(&groups[g]->rows[n])) {
                fprintf(out, "%s-%s|--%s", bar, groups[g]->rows[n].name, groups[g]->rows[n].name);
                bar = "|";
            }
    fputs(")\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n        return\n        ;;\n"
          "    start|stop|edit|remove)\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$(ringer list 2>/dev/null | awk 'NR > 1 { print $1 "
          "}')\" -- \"$word\")\n"
          "        return\n        ;;\n"
          "    ctl|watch|inspect)\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$(ringer ctl 2>/dev/null)\" -- \"$word\")\n"
          "        return\n        ;;\n"
          "    esac\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ] && [[ $word != -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"",
          out);
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++)
        fprintf(out, "%s%s", n ? " " : "", commands[n]);
    fputs("\" -- \"$word\")\n    else\n        mapfile -t COMPREPLY < <(compgen -W \"", out);
    for (unsigned g = 0; g < count; g++)
        for (unsigned n = 0; n < groups[g]->count; n++)
            fprintf(out, "%s%s ", dashes(&groups[g]->rows[n]), groups[g]->rows[n].name);
    fputs("\" -- \"$word\")\n    fi\n}\ncomplete -o default -F _ringer ringer\n", out);
}

/* A help text within '...[...]': brackets, quotes and colons have a meaning there. */
static void print_quoted(const char *text, FILE *out)
{
    for (; text && *text; text++) {
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\') fputc('\\', out);
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
}

static void print_zsh(const struct option_group *const *groups, unsigned count, FILE *out)
{
    fputs("#compdef ringer\n# made by `ringer help zsh`\n_arguments \\\n    '1:command:(", out);
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++)
        fprintf(out, "%s%s", n ? " " : "", commands[n]);
    fputs(")'", out);
    for (unsigned g = 0; g < count; g++) {
        const char *help = "";
        for (unsigned n = 0; n < groups[g]->count; n++) {
            const struct option_row *row = &groups[g]->rows[n];
            if (row->help) help = row->help;
            fprintf(out, " \\\n    '*%s%s[", dashes(row), row->name);
            print_quoted(help, out);
            fputc(']', out);
            if (row->argument && row->argument[0] != '[') {
                fputc(':', out);
                print_quoted(row->argument, out);
                fputs(takes_file(row) ? ":_files" : ":", out);
            }
            fputc('\'', out);
        }
    }
    fputs(" \\\n    '*:file:_files'\n", out);
}

void options_completion(enum command command, const struct option_group *const *groups, unsigned count,
                        FILE *out)
{
    if (command == COMMAND_HELP_BASH)
        print_bash(groups, count, out);
    else
        print_zsh(groups, count, out);
}
