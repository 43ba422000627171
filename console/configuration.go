package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
)

type configurationData struct {
	viewer
	Files    []editedFile
	Digest   string
	Comment  string
	Writable bool // all files
	Checked  *admin.ConfigCheck
	Edited   bool // what is shown was typed, and is not in place
	Conflict bool
	Refused  bool // it can be applied by force
	Latest   *admin.ConfigVersion
}

// Editable reports whether the caller may change the files.
func (d configurationData) Editable() bool { return d.Writable && d.Administrator() }

// An editedFile is a text with numbered lines.
type editedFile struct {
	admin.ConfigFile
	Problems []admin.ConfigProblem // of this file
	Rows     int
	Gutter   []gutterLine
}

type gutterLine struct {
	N   int
	Bad bool
}

func editedFiles(set []admin.ConfigFile, problems []admin.ConfigProblem) (files []editedFile) {
	for i, f := range set {
		e := editedFile{ConfigFile: f}
		bad := map[int]bool{}
		for _, p := range problems {
			if p.File == f.Path || p.File == "" && i == 0 {
				e.Problems = append(e.Problems, p)
				bad[p.Line] = true
			}
		}
		lines := strings.Count(f.Text, "\n") + 1
		e.Rows = lines + 1
		for n := range lines {
			e.Gutter = append(e.Gutter, gutterLine{n + 1, bad[n+1]})
		}
		files = append(files, e)
	}
	return files
}

func (c *console) configurationPage(r *http.Request, set *admin.ConfigSet, check *admin.ConfigCheck, failed error) *answer {
	d := configurationData{
		viewer: viewerOf(r), Digest: set.Digest, Comment: r.PostForm.Get("comment"),
		Checked: check, Edited: r.Method == http.MethodPost, Conflict: isKind(failed, admin.Conflict), Refused: isKind(failed, admin.Refused),
	}
	var problems []admin.ConfigProblem
	if check != nil {
		problems = check.Problems
	}
	d.Files = editedFiles(set.Files, problems)
	d.Writable = len(set.Files) > 0 && !slices.ContainsFunc(set.Files, func(f admin.ConfigFile) bool { return !f.Writable })
	if v, err := c.areas.Versions(r.Context(), 0, 1); err == nil && len(v) > 0 {
		d.Latest = &v[0]
	}
	return &answer{page: "configuration", title: "Configuration", nav: ui.NavConfiguration, data: d, failed: failed}
}

func (c *console) configuration(r *http.Request) (*answer, error) {
	set, err := c.areas.Files(r.Context())
	if err != nil {
		return nil, err
	}
	return c.configurationPage(r, set, nil, nil), nil
}

// changeConfiguration checks what was typed, and applies it if that was asked for.
func (c *console) changeConfiguration(r *http.Request) (*answer, error) {
	now, err := c.areas.Files(r.Context())
	if err != nil {
		return nil, err
	}
	set, err := typedFiles(r.PostForm, now)
	if err != nil {
		return nil, err
	}
	if r.PostForm.Get("do") == "apply" {
		set.Force = r.PostForm.Get("force") != ""
		v, err := c.areas.ApplyFiles(r.Context(), *set, strings.TrimSpace(r.PostForm.Get("comment")))
		if err == nil {
			return toVersion(v, "applied"), nil
		}
		check, _ := c.areas.CheckFiles(r.Context(), *set) // with the lines, if it can be had
		return c.configurationPage(r, set, check, err), nil
	}
	check, err := c.areas.CheckFiles(r.Context(), *set)
	return c.configurationPage(r, set, check, err), nil
}

// typedFiles are those of a form. Nobody adds a file by one: they are those in
// place, by their paths.
func typedFiles(p url.Values, now *admin.ConfigSet) (*admin.ConfigSet, error) {
	set := &admin.ConfigSet{Digest: p.Get("digest")}
	paths, texts := p["path"], p["text"]
	for _, f := range now.Files {
		if i := slices.Index(paths, f.Path); i >= 0 && i < len(texts) {
			f.Text = typedText(texts[i], f.Text)
		}
		set.Files = append(set.Files, f)
	}
	for _, path := range paths {
		if !slices.ContainsFunc(now.Files, func(f admin.ConfigFile) bool { return f.Path == path }) {
			return nil, &admin.Error{Kind: admin.Conflict, Text: "the configuration has other files now", Remedy: "open the page again"}
		}
	}
	return set, nil
}

// typedText is what was typed in place of a text, with the line ends that most of
// its lines have: browsers send others (HTML, form submission, newline
// normalisation), and what nobody changed is no difference.
func typedText(typed, before string) string {
	plain := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	typed = plain.Replace(typed)
	if typed == plain.Replace(before) {
		return before
	}
	if crlf := strings.Count(before, "\r\n"); 2*crlf > strings.Count(before, "\n") {
		return strings.ReplaceAll(typed, "\n", "\r\n")
	}
	return typed
}

type versionsData struct {
	viewer
	Versions []admin.ConfigVersion
	Pager    pager
}

const versionsPage = 50

func (c *console) versions(r *http.Request) (*answer, error) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // zero is the first page
	all, err := c.areas.Versions(r.Context(), after, versionsPage+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(all) > versionsPage {
		all = all[:versionsPage]
		next = strconv.FormatInt(all[versionsPage-1].ID, 10)
	}
	return &answer{page: "versions", title: "Versions of the configuration", nav: ui.NavConfiguration, data: versionsData{viewerOf(r), all, pages(r, next)}}, nil
}

type versionData struct {
	viewer
	*admin.ConfigVersion
	Texts   []editedFile
	Current bool
	Check   *admin.ConfigCheck // how it differs from what is in place
	Comment string
	Refused bool // it can be rolled back to by force
}

func (c *console) version(r *http.Request) (*answer, error) {
	return c.versionPage(r, r.URL.Query().Get("id"), nil)
}

func (c *console) versionPage(r *http.Request, id string, failed error) (*answer, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, &admin.Error{Kind: admin.NotFound, Text: "there is no such version"}
	}
	v, err := c.areas.Version(r.Context(), n)
	if err != nil {
		return nil, err
	}
	d := versionData{viewer: viewerOf(r), ConfigVersion: v, Texts: editedFiles(v.Files, nil), Comment: r.PostForm.Get("comment"), Refused: isKind(failed, admin.Refused)}
	if now, err := c.areas.Files(r.Context()); err == nil {
		d.Current = now.Digest == v.Digest
		if !d.Current {
			d.Check, _ = c.areas.CheckFiles(r.Context(), admin.ConfigSet{Files: v.Files, Digest: now.Digest}) // the page is of use without
		}
	}
	return &answer{page: "version", title: "Version " + strconv.FormatInt(v.ID, 10), nav: ui.NavConfiguration, data: d, failed: failed}, nil
}

func (c *console) rollBack(r *http.Request) (*answer, error) {
	id := r.PostForm.Get("id")
	n, _ := strconv.ParseInt(id, 10, 64) // zero is no version
	v, err := c.areas.RollBack(r.Context(), n, strings.TrimSpace(r.PostForm.Get("comment")), r.PostForm.Get("force") != "")
	if err != nil {
		return c.versionPage(r, cmp.Or(id, "0"), err)
	}
	return toVersion(v, "rolled-back"), nil
}

func toVersion(v *admin.ConfigVersion, what string) *answer {
	return done("/console/configuration/version", url.Values{"id": {strconv.FormatInt(v.ID, 10)}}, what, 0)
}
