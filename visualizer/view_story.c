// visualizer/view_story.c: what the scenario says: its narration, its marks, its checks, its verdict.
#include "visualizer/ui.h"

// Signs stand before checks and marks; narration has the whole width, because scenarios break their lines themselves, at 80 columns.
static int indent(unsigned kind) { return kind == VZ_SAY_TEXT ? 0 : 7; }
static int rows_of(const struct vz_win *w, unsigned kind, const char *text)
{
    return vz_wrap(w, 0, 0, w->w - indent(kind), VZ_A_NORMAL, text);
}

void vz_view_story(struct vz *v, const struct vz_win *w, struct vz_pane *p)
{
    static const struct {
        const char *sign;
        enum vz_attr sign_attr, attr;
    } look[] = {[VZ_SAY_TEXT] = {"", VZ_A_NORMAL, VZ_A_NORMAL},
                [VZ_SAY_OK] = {"ok", VZ_A_GOOD, VZ_A_NORMAL},
                [VZ_SAY_FAIL] = {"FAILS", VZ_A_BAD, VZ_A_BAD},
                [VZ_SAY_MARK] = {"mark", VZ_A_TITLE, VZ_A_NORMAL},
                [VZ_SAY_VERDICT] = {"END", VZ_A_TITLE, VZ_A_CURRENT}};
    struct vz_win none = vz_sub(w, 0, 0, 0, w->w);
    int total = 0;
    if (!v->story.n)
        vz_text(w, 0, 1, VZ_A_DIM, "The scenario has said nothing yet.");
    for (unsigned i = 0; i < v->story.n; i++)
        total += rows_of(&none, v->story.line[i].kind, v->story.line[i].text);
    int r = -vz_rows(p, w, total);
    for (unsigned i = 0; i < v->story.n; i++) {
        unsigned k = v->story.line[i].kind;
        int rows = rows_of(&none, k, v->story.line[i].text), in = indent(k);
        if (r + rows > 0 && r < w->h) {
            vz_text(w, r, 1, look[k].sign_attr, look[k].sign);
            vz_wrap(w, r, in, w->w - in, i + 1 == v->story.n && k == VZ_SAY_TEXT ? VZ_A_CURRENT : look[k].attr,
                    v->story.line[i].text);
        }
        r += rows;
    }
}
