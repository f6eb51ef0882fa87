/*
 * Connect edit: see connect_edit.h.
 */
#include "cli/connect_edit.h"

#include "lib/buf.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

enum { HISTORY_MAX = 500 };

struct connect_edit {
    EditLine *editor;
    History *history;
    const char *prompt;
    const char *(*words)(size_t index);
    struct buf line;
};

static struct connect_edit *edit_of(EditLine *editor)
{
    struct connect_edit *edit = NULL;
    el_get(editor, EL_CLIENTDATA, &edit);
    return edit;
}

static char *edit_prompt(EditLine *editor)
{
    return (char *)edit_of(editor)->prompt;
}

/* Completes the first word as far as it is certain. */
static unsigned char edit_complete(EditLine *editor, int key)
{
    const struct connect_edit *edit = edit_of(editor);
    const LineInfo *info = el_line(editor);
    size_t typed = (size_t)(info->cursor - info->buffer), common = 0;
    const char *found = NULL;
    if (memchr(info->buffer, ' ', typed))
        return CC_ERROR;
    for (size_t i = 0; edit->words(i); i++) {
        const char *word = edit->words(i);
        if (strncmp(word, info->buffer, typed) != 0)
            continue;
        size_t length = strlen(word);
        if (found)
            for (length = 0; length < common && word[length] == found[length];)
                length++;
        found = word;
        common = length;
    }
    if (!found || (common == typed && strlen(found) != typed))
        return CC_ERROR;
    char text[64];
    snprintf(text, sizeof(text), "%.*s%s", (int)(common - typed), found + typed, strlen(found) == common ? " " : "");
    return el_insertstr(editor, text) == 0 ? CC_REFRESH : CC_ERROR;
}

struct connect_edit *connect_edit_new(const char *prompt, const char *(*words)(size_t index))
{
    HistEvent event;
    struct connect_edit *edit = calloc(1, sizeof(*edit));
    if (!edit)
        return NULL;
    edit->prompt = prompt;
    edit->words = words;
    edit->history = history_init();
    edit->editor = el_init("rtcctl", stdin, stdout, stderr);
    if (!edit->editor || !edit->history) {
        connect_edit_free(edit);
        return NULL;
    }
    history(edit->history, &event, H_SETSIZE, HISTORY_MAX);
    el_set(edit->editor, EL_CLIENTDATA, edit);
    el_set(edit->editor, EL_PROMPT, edit_prompt);
    el_set(edit->editor, EL_EDITOR, "emacs");
    el_set(edit->editor, EL_HIST, history, edit->history);
    /* Wide: of narrow strings it makes copies that it never frees. */
    el_wset(edit->editor, EL_ADDFN, L"rtcctl-complete", L"complete a word", edit_complete);
    el_set(edit->editor, EL_BIND, "^I", "rtcctl-complete", NULL);
    el_set(edit->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(edit->editor, NULL);
    el_set(edit->editor, EL_UNBUFFERED, 1);
    return edit;
}

void connect_edit_free(struct connect_edit *edit)
{
    if (!edit)
        return;
    if (edit->editor) {
        el_set(edit->editor, EL_UNBUFFERED, 0);
        el_end(edit->editor);
    }
    if (edit->history)
        history_end(edit->history);
    buf_done(&edit->line);
    free(edit);
}

enum connect_typed connect_edit_read(struct connect_edit *edit, const char **ret_line)
{
    int count = 0;
    HistEvent event;
    const char *text = el_gets(edit->editor, &count);
    if (!text || count <= 0)
        return CONNECT_TYPED_END;
    if (text[count - 1] != '\n' && text[count - 1] != '\r')
        return count == 1 && text[0] == '\004' ? CONNECT_TYPED_END : CONNECT_TYPED_MORE;
    buf_clear(&edit->line);
    buf_add(&edit->line, text, (size_t)count - 1);
    *ret_line = buf_text(&edit->line);
    if ((*ret_line)[0])
        history(edit->history, &event, H_ENTER, *ret_line);
    /* Ends this line, and begins the next one. */
    el_set(edit->editor, EL_UNBUFFERED, 0);
    el_set(edit->editor, EL_UNBUFFERED, 1);
    return CONNECT_TYPED_LINE;
}

void connect_edit_hide(struct connect_edit *edit)
{
    fputs("\r\033[K", stdout);
}

void connect_edit_show(struct connect_edit *edit)
{
    el_set(edit->editor, EL_REFRESH);
}
