/*
 * The window's dialogs. See window.h.
 */
#include "window.h"

#include <stdlib.h>
#include <string.h>

#define SPACE 12

/* Bounds of guest memory in MB (MEMORY_MIN_BYTES and MEMORY_MAX_BYTES of options/options.h). */
#define MEMORY_LEAST 2
#define MEMORY_MOST  (64 << 10)
/* A new machine's, and that of a machine whose settings do not say it: what `ringer new` and `ringer run` take. */
#define MEMORY_NEW    512
#define MEMORY_UNSAID 128

/* --- a form: labels on the left, and the widgets that they name on the right --- */

struct form {
    GtkWidget *dialog, *grid;
    int rows;
};

static struct form form_new(struct window *w, const char *title, const char *action)
{
    struct form form = {.rows = 0};
    form.dialog =
        gtk_dialog_new_with_buttons(title, GTK_WINDOW(w->top), GTK_DIALOG_MODAL | GTK_DIALOG_USE_HEADER_BAR,
                                    "_Cancel", GTK_RESPONSE_CANCEL, action, GTK_RESPONSE_OK, NULL);
    gtk_dialog_set_default_response(GTK_DIALOG(form.dialog), GTK_RESPONSE_OK);
    form.grid = gtk_grid_new();
    gtk_grid_set_row_spacing(GTK_GRID(form.grid), SPACE / 2);
    gtk_grid_set_column_spacing(GTK_GRID(form.grid), SPACE);
    g_object_set(form.grid, "margin", SPACE, NULL);
    gtk_container_add(GTK_CONTAINER(gtk_dialog_get_content_area(GTK_DIALOG(form.dialog))), form.grid);
    return form;
}

static GtkWidget *form_add(struct form *form, const char *label, GtkWidget *widget)
{
    GtkWidget *text = gtk_label_new_with_mnemonic(label);
    gtk_label_set_mnemonic_widget(GTK_LABEL(text), widget);
    gtk_widget_set_halign(text, GTK_ALIGN_END);
    gtk_widget_set_hexpand(widget, TRUE);
    gtk_grid_attach(GTK_GRID(form->grid), text, 0, form->rows, 1, 1);
    gtk_grid_attach(GTK_GRID(form->grid), widget, 1, form->rows++, 1, 1);
    return widget;
}

static GtkWidget *number(double least, double most, double step, double value)
{
    GtkWidget *spin = gtk_spin_button_new_with_range(least, most, step);
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin), value);
    gtk_entry_set_activates_default(GTK_ENTRY(spin), TRUE);
    return spin;
}

static GtkWidget *choice(const char *const *texts, unsigned count, int active)
{
    GtkWidget *combo = gtk_combo_box_text_new();
    for (unsigned n = 0; n < count; n++)
        gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(combo), texts[n]);
    gtk_combo_box_set_active(GTK_COMBO_BOX(combo), active);
    return combo;
}

static GtkWidget *cd_chooser(void)
{
    GtkWidget *chooser = gtk_file_chooser_button_new("A CD image", GTK_FILE_CHOOSER_ACTION_OPEN);
    GtkFileFilter *images = gtk_file_filter_new(), *all = gtk_file_filter_new();
    gtk_file_filter_set_name(images, "CD images");
    gtk_file_filter_add_pattern(images, "*.iso");
    gtk_file_filter_set_name(all, "All files");
    gtk_file_filter_add_pattern(all, "*");
    gtk_file_chooser_add_filter(GTK_FILE_CHOOSER(chooser), images);
    gtk_file_chooser_add_filter(GTK_FILE_CHOOSER(chooser), all);
    return chooser;
}

static bool form_run(struct form *form)
{
    gtk_widget_show_all(form->dialog);
    return gtk_dialog_run(GTK_DIALOG(form->dialog)) == GTK_RESPONSE_OK;
}

/* --- a new machine --- */

enum { FROM_CD, FROM_DEBIAN, FROM_NOTHING };

struct new_form {
    struct form form;
    GtkWidget *name, *from, *cd, *disk, *memory;
};

/* Debian brings its disk with it. What is missing is not offered. */
static void fit(GtkWidget *changed, gpointer data)
{
    struct new_form *f = data;
    int from = gtk_combo_box_get_active(GTK_COMBO_BOX(f->from));
    char *file = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(f->cd));
    gtk_widget_set_sensitive(f->cd, from == FROM_CD);
    gtk_widget_set_sensitive(f->disk, from != FROM_DEBIAN);
    gtk_dialog_set_response_sensitive(GTK_DIALOG(f->form.dialog), GTK_RESPONSE_OK,
                                      *gtk_entry_get_text(GTK_ENTRY(f->name)) && (from != FROM_CD || file));
    g_free(file);
}

static void make(struct window *w, const struct new_form *f)
{
    const char *words[12] = {"new", gtk_entry_get_text(GTK_ENTRY(f->name))};
    unsigned count = 2;
    int from = gtk_combo_box_get_active(GTK_COMBO_BOX(f->from));
    char *file = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(f->cd));
    char *memory =
        g_strdup_printf("--memory=%dM", gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(f->memory)));
    char *disk = g_strdup_printf("--disk=%dG", gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(f->disk)));
    char *cd = g_strdup_printf("--cdrom=%s", file ? file : "");
    char *doing =
        g_strdup_printf("Making %s%s", words[1], from == FROM_DEBIAN ? ": this takes some minutes" : "");
    words[count++] = memory;
    if (from == FROM_DEBIAN) {
        words[count++] = "--debian=bookworm";
        words[count++] = "--desktop";
    } else {
        words[count++] = disk;
    }
    if (from == FROM_CD) words[count++] = cd;
    window_run(w, doing, words);
    g_free(file);
    g_free(memory);
    g_free(disk);
    g_free(cd);
    g_free(doing);
}

void dialog_new(struct window *w)
{
    static const char *const sources[] = {"a CD image", "Debian 12, from this computer's package sources",
                                          "nothing yet"};
    struct new_form f = {.form = form_new(w, "New machine", "_Make")};
    f.name = form_add(&f.form, "_Name:", gtk_entry_new());
    gtk_entry_set_activates_default(GTK_ENTRY(f.name), TRUE);
    f.from = form_add(&f.form, "_Install from:", choice(sources, G_N_ELEMENTS(sources), FROM_CD));
    f.cd = form_add(&f.form, "_CD image:", cd_chooser());
    f.disk = form_add(&f.form, "_Disk, GB:", number(1, 2000, 1, 20));
    f.memory = form_add(&f.form, "Me_mory, MB:", number(MEMORY_LEAST, MEMORY_MOST, 64, MEMORY_NEW));
    g_signal_connect(f.name, "changed", G_CALLBACK(fit), &f);
    g_signal_connect(f.from, "changed", G_CALLBACK(fit), &f);
    g_signal_connect(f.cd, "file-set", G_CALLBACK(fit), &f);
    fit(NULL, &f);
    if (form_run(&f.form)) make(w, &f);
    gtk_widget_destroy(f.form.dialog);
}

/* --- settings --- */

/* As the machine has it: "512M", "1G", or bytes; nothing if the settings do not say it. */
static double megabytes(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text) return MEMORY_UNSAID;
    if (*end == 'G' || *end == 'g') return value * 1024;
    if (*end == 'K' || *end == 'k') return value / 1024;
    return *end == 'M' || *end == 'm' ? value : value / (1 << 20);
}

void dialog_edit(struct window *w, GtkTreeIter *row)
{
    static const char *const displays[] = {"in a window", "in the background"};
    char *name, *memory, *cdrom, *display;
    gtk_tree_model_get(GTK_TREE_MODEL(w->store), row, COLUMN_NAME, &name, COLUMN_MEMORY, &memory,
                       COLUMN_CDROM, &cdrom, COLUMN_DISPLAY, &display, -1);
    char *title = g_strdup_printf("Settings of %s", name);
    struct form form = form_new(w, title, "_Apply");
    GtkWidget *spin =
        form_add(&form, "Me_mory, MB:", number(MEMORY_LEAST, MEMORY_MOST, 64, megabytes(memory)));
    GtkWidget *cd = form_add(&form, "_CD image:", cd_chooser());
    GtkWidget *no_cd = gtk_check_button_new_with_mnemonic("n_o CD in the drive");
    gtk_grid_attach(GTK_GRID(form.grid), no_cd, 1, form.rows++, 1, 1);
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(no_cd), !*cdrom);
    if (*cdrom) gtk_file_chooser_set_filename(GTK_FILE_CHOOSER(cd), cdrom);
    bool background = *display && strcmp(display, "window");
    GtkWidget *where = form_add(&form, "_Runs:", choice(displays, G_N_ELEMENTS(displays), background));
    if (form_run(&form)) {
        bool none = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(no_cd));
        char *file = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(cd));
        char *memory_word =
            g_strdup_printf("memory=%dM", gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(spin)));
        char *cd_word = g_strdup_printf("cdrom=%s", none || !file ? "" : file);
        bool now_background = gtk_combo_box_get_active(GTK_COMBO_BOX(where)) == 1;
        /* A VNC server stays what it is. */
        const char *display_word = now_background == background ? NULL
                                   : now_background             ? "display=none"
                                                                : "display=window";
        window_run(w, NULL, (const char *[]){"edit", name, memory_word, cd_word, display_word, NULL});
        g_free(file);
        g_free(memory_word);
        g_free(cd_word);
    }
    gtk_widget_destroy(form.dialog);
    g_free(title);
    g_free(name);
    g_free(memory);
    g_free(cdrom);
    g_free(display);
}

/* --- questions --- */

enum { ANSWER_SHUT_DOWN = 1, ANSWER_SWITCH_OFF, ANSWER_REMOVE };

static GtkWidget *question(struct window *w, const char *ask, const char *explain)
{
    GtkWidget *dialog = gtk_message_dialog_new(GTK_WINDOW(w->top), GTK_DIALOG_MODAL, GTK_MESSAGE_QUESTION,
                                               GTK_BUTTONS_NONE, "%s", ask);
    gtk_message_dialog_format_secondary_text(GTK_MESSAGE_DIALOG(dialog), "%s", explain);
    gtk_dialog_add_button(GTK_DIALOG(dialog), "_Cancel", GTK_RESPONSE_CANCEL);
    return dialog;
}

void dialog_stop(struct window *w, const char *name)
{
    char *ask = g_strdup_printf("Stop %s?", name);
    GtkWidget *dialog = question(w, ask,
                                 "Shutting down lets the guest close its programs, and may take a while. "
                                 "Switching off is like pulling the plug.");
    GtkWidget *off = gtk_dialog_add_button(GTK_DIALOG(dialog), "Switch _off", ANSWER_SWITCH_OFF);
    gtk_style_context_add_class(gtk_widget_get_style_context(off), GTK_STYLE_CLASS_DESTRUCTIVE_ACTION);
    gtk_dialog_add_button(GTK_DIALOG(dialog), "_Shut down", ANSWER_SHUT_DOWN);
    gtk_dialog_set_default_response(GTK_DIALOG(dialog), ANSWER_SHUT_DOWN);
    int answer = gtk_dialog_run(GTK_DIALOG(dialog));
    gtk_widget_destroy(dialog);
    g_free(ask);
    char *doing = g_strdup_printf(answer == ANSWER_SHUT_DOWN ? "Shutting %s down" : "Switching %s off", name);
    if (answer == ANSWER_SHUT_DOWN) window_run(w, doing, (const char *[]){"stop", name, NULL});
    if (answer == ANSWER_SWITCH_OFF) window_run(w, doing, (const char *[]){"stop", "--now", name, NULL});
    g_free(doing);
}

void dialog_remove(struct window *w, const char *name)
{
    char *ask = g_strdup_printf("Remove %s?", name);
    GtkWidget *dialog = question(w, ask, "Its disk, and everything on it, is deleted.");
    GtkWidget *button = gtk_dialog_add_button(GTK_DIALOG(dialog), "_Remove", ANSWER_REMOVE);
    gtk_style_context_add_class(gtk_widget_get_style_context(button), GTK_STYLE_CLASS_DESTRUCTIVE_ACTION);
    gtk_dialog_set_default_response(GTK_DIALOG(dialog), GTK_RESPONSE_CANCEL);
    if (gtk_dialog_run(GTK_DIALOG(dialog)) == ANSWER_REMOVE)
        window_run(w, NULL, (const char *[]){"remove", name, NULL});
    gtk_widget_destroy(dialog);
    g_free(ask);
}
