/*
 * The window itself: the list, its buttons, the program. See window.h.
 *
 * usage: ringer-window [RINGER]      RINGER: the ringer program (default: from PATH)
 */
#include "window.h"

#define SPACE          6
#define LIST_SECONDS   1 /* how often the states of machines are looked at */
#define DEFAULT_WIDTH  560
#define DEFAULT_HEIGHT 320

static bool selected(struct window *w, GtkTreeIter *row)
{
    return gtk_tree_selection_get_selected(gtk_tree_view_get_selection(GTK_TREE_VIEW(w->view)), NULL, row);
}

/* The name of the selected machine, to be freed; NULL: none is selected. */
static char *selected_name(struct window *w)
{
    GtkTreeIter row;
    char *name = NULL;
    if (selected(w, &row)) gtk_tree_model_get(GTK_TREE_MODEL(w->store), &row, COLUMN_NAME, &name, -1);
    return name;
}

static void select_first(struct window *w)
{
    GtkTreeIter row;
    if (!selected(w, &row) && gtk_tree_model_get_iter_first(GTK_TREE_MODEL(w->store), &row))
        gtk_tree_selection_select_iter(gtk_tree_view_get_selection(GTK_TREE_VIEW(w->view)), &row);
}

void window_refresh(struct window *w)
{
    GtkTreeIter row;
    gboolean running = FALSE;
    select_first(w);
    bool any = selected(w, &row);
    if (any) gtk_tree_model_get(GTK_TREE_MODEL(w->store), &row, COLUMN_RUNNING, &running, -1);
    gtk_widget_set_sensitive(w->start, any && !running);
    gtk_widget_set_sensitive(w->stop, any && running);
    gtk_widget_set_sensitive(w->edit, any && !running);
    gtk_widget_set_sensitive(w->remove, any && !running);
    GtkWidget *page = any ? gtk_widget_get_parent(w->view) : w->empty;
    if (gtk_stack_get_visible_child(GTK_STACK(w->pages)) == page) return;
    gtk_stack_set_visible_child(GTK_STACK(w->pages), page);
    if (any) gtk_widget_grab_focus(w->view); /* so that Enter starts a machine */
}

/* --- what the buttons do --- */

static gboolean on_new(gpointer data)
{
    dialog_new(data);
    return G_SOURCE_REMOVE;
}

static void start(struct window *w)
{
    char *name = selected_name(w);
    char *doing = name ? g_strdup_printf("Starting %s", name) : NULL;
    if (name) window_run(w, doing, (const char *[]){"start", name, NULL});
    g_free(doing);
    g_free(name);
}

static gboolean on_start(gpointer data)
{
    start(data);
    return G_SOURCE_REMOVE;
}

/* Open a dialog about the selected machine. */
static void ask_about_selected(struct window *w, void (*dialog)(struct window *w, const char *name))
{
    char *name = selected_name(w);
    if (name) dialog(w, name);
    g_free(name);
}

static gboolean on_stop(gpointer data)
{
    ask_about_selected(data, dialog_stop);
    return G_SOURCE_REMOVE;
}

static gboolean on_edit(gpointer data)
{
    GtkTreeIter row;
    if (selected(data, &row)) dialog_edit(data, &row);
    return G_SOURCE_REMOVE;
}

static gboolean on_remove(gpointer data)
{
    ask_about_selected(data, dialog_remove);
    return G_SOURCE_REMOVE;
}

/* Enter, or a double click. */
static void on_activated(GtkTreeView *view, GtkTreePath *path, GtkTreeViewColumn *column, gpointer data)
{
    struct window *w = data;
    if (gtk_widget_get_sensitive(w->start)) start(w);
}

static void on_selected(GtkTreeSelection *selection, gpointer data)
{
    window_refresh(data);
}

static void on_dismissed(GtkInfoBar *bar, int response, gpointer data)
{
    gtk_info_bar_set_revealed(bar, FALSE);
}

static gboolean on_time(gpointer data)
{
    window_list(data);
    return G_SOURCE_CONTINUE;
}

/* --- making it --- */

struct button {
    struct window *window;
    GSourceFunc pressed;
};

/* A dialog runs a main loop of its own. A screen reader presses a button by a message, and no further message would
 * come within that loop. So the button acts after this message has been handled. */
static void on_clicked(GtkWidget *widget, gpointer data)
{
    const struct button *button = data;
    g_idle_add(button->pressed, button->window);
}

static GtkWidget *add_button(struct window *w, GtkWidget *box, const char *label, GSourceFunc pressed)
{
    GtkWidget *widget = gtk_button_new_with_mnemonic(label);
    struct button *button = g_new(struct button, 1);
    *button = (struct button){w, pressed};
    g_signal_connect_data(widget, "clicked", G_CALLBACK(on_clicked), button,
                          (GClosureNotify)(void (*)(void))g_free, 0);
    gtk_container_add(GTK_CONTAINER(box), widget);
    return widget;
}

static void add_column(struct window *w, const char *title, enum column column, bool wide)
{
    GtkTreeViewColumn *made =
        gtk_tree_view_column_new_with_attributes(title, gtk_cell_renderer_text_new(), "text", column, NULL);
    gtk_tree_view_column_set_expand(made, wide);
    gtk_tree_view_column_set_min_width(made, 90);
    gtk_tree_view_append_column(GTK_TREE_VIEW(w->view), made);
}

static GtkWidget *make_list(struct window *w)
{
    w->store = gtk_list_store_new(COLUMNS, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_STRING,
                                  G_TYPE_BOOLEAN, G_TYPE_STRING, G_TYPE_STRING);
    w->view = gtk_tree_view_new_with_model(GTK_TREE_MODEL(w->store));
    add_column(w, "Name", COLUMN_NAME, true);
    add_column(w, "State", COLUMN_STATE, false);
    add_column(w, "Memory", COLUMN_MEMORY, false);
    add_column(w, "Disk", COLUMN_DISK, false);
    gtk_tree_view_set_search_column(GTK_TREE_VIEW(w->view), COLUMN_NAME);
    atk_object_set_name(gtk_widget_get_accessible(w->view), "Machines");
    g_signal_connect(w->view, "row-activated", G_CALLBACK(on_activated), w);
    g_signal_connect(gtk_tree_view_get_selection(GTK_TREE_VIEW(w->view)), "changed", G_CALLBACK(on_selected),
                     w);
    GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
    gtk_container_add(GTK_CONTAINER(scrolled), w->view);
    w->empty = gtk_label_new("There are no machines yet. “New” makes one.");
    w->pages = gtk_stack_new();
    gtk_container_add(GTK_CONTAINER(w->pages), scrolled);
    gtk_container_add(GTK_CONTAINER(w->pages), w->empty);
    return w->pages;
}

static void make_bars(struct window *w)
{
    w->message = gtk_info_bar_new();
    w->message_text = gtk_label_new("");
    gtk_label_set_line_wrap(GTK_LABEL(w->message_text), TRUE);
    gtk_label_set_xalign(GTK_LABEL(w->message_text), 0);
    gtk_info_bar_set_message_type(GTK_INFO_BAR(w->message), GTK_MESSAGE_ERROR);
    gtk_info_bar_set_show_close_button(GTK_INFO_BAR(w->message), TRUE);
    gtk_info_bar_set_revealed(GTK_INFO_BAR(w->message), FALSE);
    gtk_container_add(GTK_CONTAINER(gtk_info_bar_get_content_area(GTK_INFO_BAR(w->message))),
                      w->message_text);
    g_signal_connect(w->message, "response", G_CALLBACK(on_dismissed), NULL);
    w->busy = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, SPACE);
    GtkWidget *spinner = gtk_spinner_new(), *text = gtk_label_new("");
    gtk_spinner_start(GTK_SPINNER(spinner));
    gtk_container_add(GTK_CONTAINER(w->busy), spinner);
    gtk_container_add(GTK_CONTAINER(w->busy), text);
    gtk_widget_show(spinner);
    gtk_widget_show(text);
    g_object_set_data(G_OBJECT(w->busy), "text", text);
    /* gtk_widget_show_all() leaves it out. window_run() shows it. */
    g_object_set(w->busy, "margin", SPACE, "no-show-all", TRUE, NULL);
}

static void activate(GtkApplication *application, gpointer data)
{
    struct window *w = data;
    if (w->top) {
        gtk_window_present(GTK_WINDOW(w->top));
        return;
    }
    w->top = gtk_application_window_new(application);
    gtk_window_set_title(GTK_WINDOW(w->top), "Ringer");
    gtk_window_set_icon_name(GTK_WINDOW(w->top), "ringer");
    gtk_window_set_default_size(GTK_WINDOW(w->top), DEFAULT_WIDTH, DEFAULT_HEIGHT);
    GtkWidget *all = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *list = make_list(w);
    GtkWidget *buttons = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, SPACE);
    g_object_set(buttons, "margin", SPACE, NULL);
    add_button(w, buttons, "_New", on_new);
    w->start = add_button(w, buttons, "_Start", on_start);
    w->stop = add_button(w, buttons, "S_top", on_stop);
    w->edit = add_button(w, buttons, "S_ettings", on_edit);
    w->remove = add_button(w, buttons, "_Remove", on_remove);
    make_bars(w);
    gtk_container_add(GTK_CONTAINER(all), buttons);
    gtk_container_add(GTK_CONTAINER(all), w->message);
    gtk_box_pack_start(GTK_BOX(all), list, TRUE, TRUE, 0);
    gtk_container_add(GTK_CONTAINER(all), w->busy);
    gtk_container_add(GTK_CONTAINER(w->top), all);
    gtk_widget_show_all(w->top);
    gtk_widget_grab_focus(w->view);
    window_refresh(w);
    window_list(w);
    g_timeout_add_seconds(LIST_SECONDS, on_time, w);
}

int main(int argc, char **argv)
{
    struct window w = {.ringer = argc > 1 ? argv[1] : "ringer"};
    g_set_prgname("ringer");
    w.application = gtk_application_new(NULL, G_APPLICATION_NON_UNIQUE);
    g_signal_connect(w.application, "activate", G_CALLBACK(activate), &w);
    int status = g_application_run(G_APPLICATION(w.application), 1, argv);
    g_object_unref(w.application);
    return status;
}
