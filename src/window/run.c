/*
 * Running `ringer` for the window. See window.h.
 */
#include "window.h"

#include "base/json.h"

#include <string.h>

struct job {
    struct window *window;
    char *doing;
};

void window_say(struct window *w, const char *text)
{
    gtk_label_set_text(GTK_LABEL(w->message_text), text);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->message), TRUE);
}

/* Programs begin their sentences with their name, which is of use only in a terminal. */
static void show_failure(struct window *w, const char *said)
{
    char *text = g_strstrip(g_strdup(said ? said : ""));
    const char *sentence = g_str_has_prefix(text, "ringer: ") ? text + 8 : text;
    window_say(w, *sentence ? sentence : "The command failed.");
    g_free(text);
}

static void finished(GObject *source, GAsyncResult *result, gpointer data)
{
    struct job *job = data;
    struct window *w = job->window;
    GSubprocess *program = G_SUBPROCESS(source);
    char *said = NULL;
    GError *error = NULL;
    if (!g_subprocess_communicate_utf8_finish(program, result, NULL, &said, &error)) {
        window_say(w, error->message);
        g_error_free(error);
    } else if (!g_subprocess_get_successful(program)) {
        show_failure(w, said);
    }
    if (job->doing && !--w->jobs) gtk_widget_hide(w->busy);
    g_free(said);
    g_free(job->doing);
    g_free(job);
    g_object_unref(program);
    window_list(w);
}

static GSubprocess *begin(struct window *w, GSubprocessFlags flags, const char *const *words, GError **error)
{
    GPtrArray *line = g_ptr_array_new();
    g_ptr_array_add(line, (gpointer)w->ringer);
    for (; *words; words++)
        g_ptr_array_add(line, (gpointer)*words);
    g_ptr_array_add(line, NULL);
    GSubprocess *program = g_subprocess_newv((const gchar *const *)line->pdata, flags, error);
    g_ptr_array_free(line, TRUE);
    return program;
}

void window_run(struct window *w, const char *doing, const char *const *words)
{
    GError *error = NULL;
    GSubprocess *program =
        begin(w, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, words, &error);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->message), FALSE);
    if (!program) {
        window_say(w, error->message);
        g_error_free(error);
        return;
    }
    struct job *job = g_new0(struct job, 1);
    job->window = w;
    job->doing = g_strdup(doing);
    if (doing) {
        w->jobs++;
        gtk_label_set_text(GTK_LABEL(g_object_get_data(G_OBJECT(w->busy), "text")), doing);
        gtk_widget_show(w->busy);
    }
    g_subprocess_communicate_utf8_async(program, NULL, NULL, finished, job);
}

/* --- the list --- */

static bool find_row(struct window *w, const char *name, GtkTreeIter *row)
{
    GtkTreeModel *model = GTK_TREE_MODEL(w->store);
    for (bool any = gtk_tree_model_get_iter_first(model, row); any;
         any = gtk_tree_model_iter_next(model, row)) {
        char *other;
        gtk_tree_model_get(model, row, COLUMN_NAME, &other, -1);
        bool same = !strcmp(name, other);
        g_free(other);
        if (same) return true;
    }
    return false;
}

static void show_machine(struct window *w, struct json_object *machine)
{
    GtkTreeIter row;
    struct json_object *value;
    bool running = json_object_object_get_ex(machine, "running", &value) && json_object_get_boolean(value);
    char *disk = json_object_object_get_ex(machine, "disk-bytes", &value) && json_object_get_int64(value)
                     ? g_format_size((guint64)json_object_get_int64(value))
                     : g_strdup("");
    if (!find_row(w, json_text_of(machine, "name"), &row)) gtk_list_store_append(w->store, &row);
    gtk_list_store_set(w->store, &row, COLUMN_NAME, json_text_of(machine, "name"), COLUMN_STATE,
                       running ? "running" : "off", COLUMN_MEMORY, json_text_of(machine, "memory"),
                       COLUMN_DISK, disk, COLUMN_RUNNING, running, COLUMN_CDROM,
                       json_text_of(machine, "cdrom"), COLUMN_DISPLAY, json_text_of(machine, "display"), -1);
    g_free(disk);
}

static bool is_listed(struct json_object *machines, const char *name)
{
    for (size_t n = 0; n < json_object_array_length(machines); n++)
        if (!strcmp(json_text_of(json_object_array_get_idx(machines, n), "name"), name)) return true;
    return false;
}

/* Rows are changed in place, so that the selection stays, and a screen reader says only what is new. */
static void show_machines(struct window *w, struct json_object *machines)
{
    GtkTreeIter row;
    GtkTreeModel *model = GTK_TREE_MODEL(w->store);
    for (bool any = gtk_tree_model_get_iter_first(model, &row); any;) {
        char *name;
        gtk_tree_model_get(model, &row, COLUMN_NAME, &name, -1);
        any = is_listed(machines, name) ? gtk_tree_model_iter_next(model, &row)
                                        : gtk_list_store_remove(w->store, &row);
        g_free(name);
    }
    for (size_t n = 0; n < json_object_array_length(machines); n++)
        show_machine(w, json_object_array_get_idx(machines, n));
    window_refresh(w);
}

static void listed(GObject *source, GAsyncResult *result, gpointer data)
{
    struct window *w = data;
    char *said = NULL;
    w->listing = false;
    if (g_subprocess_communicate_utf8_finish(G_SUBPROCESS(source), result, &said, NULL, NULL)) {
        struct json_object *machines = json_tokener_parse(said ? said : "");
        if (json_object_is_type(machines, json_type_array)) show_machines(w, machines);
        json_object_put(machines);
    }
    g_free(said);
    g_object_unref(source);
}

void window_list(struct window *w)
{
    GError *error = NULL;
    if (w->listing) return;
    GSubprocess *program =
        begin(w, G_SUBPROCESS_FLAGS_STDOUT_PIPE, (const char *[]){"list", "--json", NULL}, &error);
    w->listing = program;
    if (program) {
        g_subprocess_communicate_utf8_async(program, NULL, NULL, listed, w);
    } else {
        window_say(w, error->message);
        g_error_free(error);
    }
}
