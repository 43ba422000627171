package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// Bounds of what is written down about a change.
const (
	maxComment      = 1000
	maxRecordedDiff = 64 << 10 // bytes of JSON
	maxVersions     = 1000
)

// Files implements Configuration.
func (s *Service) Files(ctx context.Context) (*ConfigSet, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	return inPlace(r)
}

// CheckFiles implements Configuration.
func (s *Service) CheckFiles(ctx context.Context, set ConfigSet) (*ConfigCheck, error) {
	caller, err := need(ctx, Viewer)
	if err != nil {
		return nil, err
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	old, err := inPlace(r)
	if err != nil {
		return nil, err
	}
	check, _, err := s.check(ctx, r, caller, old, set)
	return check, err
}

// check looks at files. c is nil if they are no configuration.
func (s *Service) check(ctx context.Context, r Running, caller *Caller, old *ConfigSet, set ConfigSet) (check *ConfigCheck, c *config.Config, err error) {
	p, err := s.plan(r, old, set)
	if err != nil {
		return nil, nil, err
	}
	check = &ConfigCheck{Diff: p.diffs(old)}
	whole := caller.Role >= Administrator
	if c, err = p.parse(whole); err != nil {
		check.Problems = problemsOf(err, r.File())
		return check, nil, nil
	}
	err = p.allow(r, old, c)
	if err == nil && whole { // who may only look does not hear what files there are
		err = p.leaveOut(c)
	}
	if err != nil {
		e := new(Error)
		if !errors.As(err, &e) {
			return nil, nil, err
		}
		check.Problems = []ConfigProblem{{File: e.Field, Text: e.Text}}
		return check, nil, nil
	}
	if !whole {
		check.Warnings = []string{"what the configuration names, such as keytabs and certificates, was not looked at: that needs the role " + Administrator.String()}
	}
	if why := cutsOff(ctx, caller, r.Config(), c); why != "" {
		check.Warnings = append(check.Warnings, "it would keep you out: "+why)
	}
	var warnings []string
	if whole {
		if warnings, err = r.Build(ctx, c); err != nil {
			check.Problems = problemsOf(err, "")
			return check, nil, nil
		}
	} else {
		warnings = texts(c.Warnings())
	}
	check.Warnings = append(check.Warnings, warnings...)
	check.OK = true
	return check, c, nil
}

// problemsOf lists what is wrong.
func problemsOf(err error, file string) (out []ConfigProblem) {
	var many *config.Errors
	if errors.As(err, &many) {
		for _, e := range many.List {
			out = append(out, ConfigProblem{File: e.File, Line: e.Line, Column: e.Column, Text: e.Text})
		}
		if many.More > 0 {
			out = append(out, ConfigProblem{Text: fmt.Sprintf("and %d more", many.More)})
		}
		return out
	}
	for line := range strings.SplitSeq(err.Error(), "\n") { // joined ones
		out = append(out, ConfigProblem{File: file, Text: clip(line, maxText)})
	}
	return out
}

const actionRollBack = "config.roll-back"

// ApplyFiles implements Configuration.
func (s *Service) ApplyFiles(ctx context.Context, set ConfigSet, comment string) (*ConfigVersion, error) {
	return s.apply(ctx, set, comment, "config.apply")
}

func (s *Service) apply(ctx context.Context, set ConfigSet, comment, action string) (*ConfigVersion, error) {
	caller, err := need(ctx, Administrator)
	if err != nil {
		return nil, err
	}
	if len(comment) > maxComment {
		return nil, invalid("comment", "the comment is too long", fmt.Sprintf("at most %d bytes", maxComment))
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	if _, err := s.store(); err != nil { // there must be a record of it
		return nil, err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	old, err := inPlace(r)
	if err != nil {
		return nil, err
	}
	if set.Digest != old.Digest {
		return nil, changedMeanwhile()
	}
	check, c, err := s.check(ctx, r, caller, old, set)
	switch {
	case err != nil:
		return nil, err
	case !check.OK:
		return nil, refusedFiles(check.Problems)
	}
	if why := cutsOff(ctx, caller, r.Config(), c); why != "" && !set.Force {
		remedy := "apply it with force if that is meant"
		if action == actionRollBack {
			remedy = "roll back with force if that is meant"
		}
		return nil, &Error{Kind: Refused, Text: "it would keep you out: " + why, Remedy: remedy}
	}
	p, err := s.plan(r, old, set)
	if err != nil {
		return nil, err
	}
	if err := p.leaveOut(c); err != nil {
		return nil, err
	}
	if err := p.writable(); err != nil {
		return nil, err
	}
	err = r.Replace(func() (func() error, error) {
		now, err := inPlace(r) // nobody reloads, but somebody may have edited
		switch {
		case err != nil:
			return nil, err
		case now.Digest != old.Digest:
			return nil, changedMeanwhile()
		}
		return p.write()
	})
	var known *Error
	switch {
	case errors.As(err, &known):
		return nil, err
	case err != nil:
		return nil, &Error{
			Kind: Invalid, Text: "it could not be put into force, and all is as it was: " + clip(err.Error(), maxText), Err: err,
			Remedy: "an address that is taken, or a file that cannot be opened, is found only now",
		}
	}
	return s.applied(ctx, r, caller, old, check.Diff, comment, action)
}

func changedMeanwhile() error {
	return &Error{Kind: Conflict, Text: "the files were changed by somebody else meanwhile", Remedy: "look at them again, and change what still has to be"}
}

func refusedFiles(problems []ConfigProblem) error {
	first := problems[0]
	text := first.Text
	switch {
	case first.Line > 0:
		text = fmt.Sprintf("%s:%d:%d: %s", first.File, first.Line, first.Column, text)
	case first.File != "":
		text = first.File + ": " + text
	}
	if n := len(problems) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return &Error{Kind: Invalid, Text: text, Field: first.File, Remedy: "check the files first: that tells of all that is wrong"}
}

// applied writes down what is in force now.
func (s *Service) applied(ctx context.Context, r Running, caller *Caller, old *ConfigSet, diffs []FileDiff, comment, action string) (*ConfigVersion, error) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	unrecorded := func(err error) error {
		s.log.LogAttrs(ctx, slog.LevelError, "a configuration was applied, and is not in the audit record",
			slog.String("actor", caller.Name), slog.String("peer", caller.Peer), slog.String("cause", err.Error()))
		return &Error{Kind: Unavailable, Text: "the configuration is in force, but that could not be written down", Err: err, Remedy: "look whether the store runs; the log of the gateway has the cause"}
	}
	set, err := inPlace(r)
	if err != nil {
		return nil, unrecorded(err)
	}
	st, err := s.store() // that of the new configuration
	if err != nil {
		return nil, unrecorded(err)
	}
	v := s.newVersion(set, caller.Name, comment)
	err = s.audited(ctx, st, caller, action, v.Node, func(ctx context.Context, change *directory.Change) error {
		if err := st.AddConfig(ctx, v); err != nil {
			return err
		}
		change.Before = asJSON(map[string]string{"digest": old.Digest})
		change.After = recordedDiff(v, diffs)
		return nil
	})
	if err != nil {
		return nil, unrecorded(err)
	}
	return versionOf(v)
}

// recordedDiff is what the record says of a change, without what is the same, and
// without its end if it is very long.
func recordedDiff(v *directory.ConfigVersion, diffs []FileDiff) string {
	type file struct {
		Path  string   `json:"path"`
		Lines []string `json:"lines"`
	}
	out := struct {
		Version int64  `json:"version"`
		Digest  string `json:"digest"`
		Comment string `json:"comment,omitempty"`
		Diff    []file `json:"diff"`
		Cut     bool   `json:"cut,omitempty"` // there is more
	}{v.ID, v.Digest, v.Comment, []file{}, false}
	left := maxRecordedDiff / 6 // a byte may take six in JSON
	for _, d := range diffs {
		f := file{Path: d.Path, Lines: []string{}}
		for _, l := range d.Lines {
			if l.Op == " " {
				continue
			}
			if left -= len(l.Text) + 4; left < 0 {
				out.Cut = true
				break
			}
			f.Lines = append(f.Lines, l.Op+l.Text)
		}
		out.Diff = append(out.Diff, f)
	}
	return asJSON(out)
}

// cutsOff says why who applies c could not come back, or nothing.
func cutsOff(ctx context.Context, caller *Caller, old, c *config.Config) string {
	was, a := old.Admin, c.Admin
	switch {
	case a == nil:
		return "there is no admin listener in it"
	case c.Store.Driver == "":
		return "there is no store in it, and no console without one"
	case caller.Local && a.Local.Disabled:
		return "admin.local.disabled keeps local administrators out"
	}
	if peer, err := netip.ParseAddr(caller.Peer); err == nil && was != nil {
		has := func(a *config.Admin) bool {
			return slices.ContainsFunc(a.Networks, func(n config.Network) bool { return n.Contains(peer.Unmap().WithZone("")) })
		}
		if has(was) && !has(a) && !peer.IsLoopback() {
			return "admin.networks does not have your address, " + caller.Peer
		}
	}
	provider := caller.Login
	if caller.Identity != nil { // also by a token
		provider = caller.Identity.Domain
	}
	named := func(realm string) bool { return strings.EqualFold(realm, provider) }
	if caller.Local || was == nil || !slices.ContainsFunc(was.Login, named) {
		return "" // no provider says who he is
	}
	switch {
	case !slices.ContainsFunc(a.Login, named):
		return "admin.login does not have " + provider + ", by which you signed in"
	case len(a.Roles.Administrator) == 0:
		return "admin.roles.administrator has nobody"
	case caller.Identity == nil:
		return ""
	}
	roles, err := realm.Roles(c, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return ""
	}
	asked := *caller.Identity
	asked.Roles, asked.Groups, asked.SID = nil, nil, "" // as package access asks
	for _, name := range a.Roles.Administrator {
		if has, err := roles.Has(ctx, &asked, name); has || err != nil || directory.FoldName(name) == authz.Any {
			return ""
		}
	}
	return "you have none of the roles in admin.roles.administrator"
}

// Versions implements Configuration.
func (s *Service) Versions(ctx context.Context, after int64, limit int) ([]ConfigVersion, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	switch {
	case limit == 0:
		limit = 50
	case limit < 0 || limit > maxVersions:
		return nil, invalid("limit", fmt.Sprintf("%d at once cannot be asked for", limit), fmt.Sprintf("1 to %d", maxVersions))
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	rows, err := st.Configs(ctx, after, limit)
	if err != nil {
		return nil, failed("versions", err)
	}
	out := make([]ConfigVersion, 0, len(rows))
	for i := range rows {
		rows[i].Files = ""
		v, err := versionOf(&rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, *v)
	}
	return out, nil
}

// Version implements Configuration.
func (s *Service) Version(ctx context.Context, id int64) (*ConfigVersion, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	row, err := st.Config(ctx, id)
	if err != nil {
		return nil, failed(fmt.Sprintf("version %d", id), err)
	}
	return versionOf(row)
}

// RollBack implements Configuration.
func (s *Service) RollBack(ctx context.Context, id int64, comment string, force bool) (*ConfigVersion, error) {
	if _, err := need(ctx, Administrator); err != nil {
		return nil, err
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	v, err := s.Version(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(v.Files) == 0 || v.Files[0].Path != r.File() {
		return nil, &Error{
			Kind: Refused, Text: fmt.Sprintf("version %d is of %s, whose files are elsewhere", id, v.Node),
			Remedy: "roll back at that gateway",
		}
	}
	now, err := inPlace(r)
	if err != nil {
		return nil, err
	}
	if comment == "" {
		comment = fmt.Sprintf("back to version %d", id)
	}
	return s.apply(ctx, ConfigSet{Files: v.Files, Digest: now.Digest, Force: force}, comment, actionRollBack)
}

// KeepVersion keeps the configuration in force as a version, unless it is the
// newest of this node: for those who change files by hand. The gateway calls it
// after each reload, and nobody else need; it asks for no role.
func KeepVersion(ctx context.Context, s *Service) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	st, err := s.store()
	if err != nil || s.o.Running == nil {
		return nil
	}
	set, err := inPlace(s.o.Running)
	if err != nil {
		return err
	}
	v := s.newVersion(set, "", "")
	newest, err := newestOf(ctx, st, v.Node)
	if err != nil || newest != nil && newest.Digest == v.Digest {
		return err
	}
	return st.AddConfig(ctx, v)
}

// newestOf returns the newest version of a node, nil if it has none among those
// that are looked at.
func newestOf(ctx context.Context, st *store.Store, node string) (*directory.ConfigVersion, error) {
	rows, err := st.Configs(ctx, 0, 200)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Node == node {
			return &rows[i], nil
		}
	}
	return nil, nil
}

func (s *Service) newVersion(set *ConfigSet, actor, comment string) *directory.ConfigVersion {
	files := make([]ConfigFile, len(set.Files))
	for i, f := range set.Files {
		files[i] = ConfigFile{Path: f.Path, Text: f.Text}
	}
	return &directory.ConfigVersion{Time: s.now(), Actor: actor, Comment: comment, Node: hostname(), Digest: set.Digest, Files: asJSON(files)}
}

func versionOf(v *directory.ConfigVersion) (*ConfigVersion, error) {
	out := &ConfigVersion{ID: v.ID, Time: v.Time, Actor: v.Actor, Comment: v.Comment, Node: v.Node, Digest: v.Digest}
	if v.Files == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(v.Files), &out.Files); err != nil {
		return nil, &Error{Kind: Unavailable, Text: fmt.Sprintf("the files of version %d cannot be read", v.ID), Err: err}
	}
	return out, nil
}
