package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/soapward/soapward/gateway/config"
)

// Files are looked at this long after something happened in one of their
// directories, when it is quiet again, or at last after maxQuiet; and now and
// then, for file systems that tell nothing.
const (
	quietTime = 200 * time.Millisecond
	maxQuiet  = 2 * time.Second
	lookEvery = 30 * time.Second
)

// watchFiles reloads when the configuration or a file that it includes has
// changed, and reads certificates again when they have. It looks at directories,
// because editors and Kubernetes put other files in the place of old ones.
func (g *Gateway) watchFiles(ctx context.Context) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		g.log.Warn("files that change are noticed late", slog.String("cause", err.Error()), slog.String("hint", "raise fs.inotify.max_user_instances"))
		w = &fsnotify.Watcher{} // which is silent
	} else {
		defer func() { _ = w.Close() }()
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	quiet := time.NewTimer(0) // what changed since New is found at once
	defer quiet.Stop()
	warned := make(map[string]bool)
	var begin time.Time // of what goes on
	for {
		if g.watchDirs(w, warned) { // what is in it already, told nobody
			quiet.Reset(quietTime)
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.Events:
			if !ok {
				return
			}
			now := time.Now()
			if begin.IsZero() {
				begin = now
			}
			quiet.Reset(max(0, min(quietTime, maxQuiet-now.Sub(begin))))
			continue
		case err := <-w.Errors:
			g.log.Warn("watching files", slog.String("cause", fmt.Sprint(err)))
			continue
		case <-quiet.C:
		case <-look.C:
		}
		begin = time.Time{}
		switch changed := g.changed(); changed {
		case configChanged:
			_ = g.Reload() // which says what is wrong
		case certificatesChanged:
			g.refreshCertificates()
		}
	}
}

// What changed in the files since they were read.
type difference int

const (
	nothingChanged difference = iota
	configChanged
	certificatesChanged
)

func (g *Gateway) changed() difference {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	now := g.fingerprints()
	switch {
	case !maps.Equal(now.config, g.seen.config):
		return configChanged
	case !maps.Equal(now.certificates, g.seen.certificates):
		return certificatesChanged
	}
	return nothingChanged
}

// fingerprints tell whether files changed.
type fingerprints struct{ config, certificates map[string]string }

// fingerprints are taken with g.reloading held.
func (g *Gateway) fingerprints() fingerprints {
	return fingerprints{config: fingerprint(g.configFiles()), certificates: fingerprint(certificateFiles(g.Config()))}
}

// since are fingerprints of what was read after before was taken: a file that
// changed while it was read is read again.
func (f fingerprints) since(before fingerprints, begin time.Time) fingerprints {
	older := func(now, before map[string]string) {
		for file := range now {
			if old, ok := before[file]; ok {
				now[file] = old
			} else if info, err := os.Stat(file); err == nil && !info.ModTime().Before(begin) {
				now[file] = ""
			}
		}
	}
	older(f.config, before.config)
	older(f.certificates, before.certificates)
	return f
}

// configFiles are those of the configuration that was read last, whether it is
// in force or not, those that patterns fit by now, and the journal, which somebody
// removes when it could not be followed.
func (g *Gateway) configFiles() []string {
	files := slices.Concat(g.tried, g.Config().Files, []string{g.file, config.Journal(g.file)})
	for _, pattern := range g.Config().Include {
		more, _ := pattern.Find()
		files = append(files, more...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func certificateFiles(c *config.Config) (files []string) {
	add := func(t *config.TLS) {
		if t == nil {
			return
		}
		for _, p := range t.Pairs() {
			files = append(files, string(p.Cert), string(p.Key))
		}
	}
	for _, l := range c.Listen {
		add(l.TLS)
	}
	if c.Admin != nil {
		add(c.Admin.TLS)
	}
	return files
}

// fingerprint has a text for each of some files that changes with it.
func fingerprint(files []string) map[string]string {
	out := make(map[string]string, len(files))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			out[f] = "none"
			continue
		}
		target, _ := filepath.EvalSymlinks(f)
		out[f] = fmt.Sprintf("%s %d %d %v %s", target, info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info))
	}
	return out
}

// watchDirs watches the directories of all files: those of their names, and those
// that links lead to. It reports whether there was a new one.
func (g *Gateway) watchDirs(w *fsnotify.Watcher, warned map[string]bool) (added bool) {
	if w.Events == nil {
		return false
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	want := make(map[string]bool)
	add := func(file string) {
		want[filepath.Dir(file)] = true
		if target, err := filepath.EvalSymlinks(file); err == nil {
			want[filepath.Dir(target)] = true
		}
	}
	for _, f := range g.configFiles() {
		add(f)
	}
	for _, f := range certificateFiles(g.Config()) {
		add(f)
	}
	for _, p := range g.Config().Include {
		want[filepath.Dir(string(p))] = true
	}
	for _, dir := range w.WatchList() { // a directory that is gone is not in it
		if !want[dir] {
			_ = w.Remove(dir)
		}
		delete(want, dir)
	}
	for dir := range want {
		err := w.Add(dir)
		added = added || err == nil
		if err != nil && !errors.Is(err, os.ErrNotExist) && !warned[dir] {
			warned[dir] = true
			g.log.Warn("a directory is not watched", slog.String("dir", dir), slog.String("cause", err.Error()))
		}
	}
	return added
}

// refreshCertificates puts certificates into force that were changed in their
// files. A listener keeps what it has if the new ones are wrong.
func (g *Gateway) refreshCertificates() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if g.stopping.Load() {
		return
	}
	c := g.Config()
	begin, before := time.Now(), g.fingerprints()
	listeners := slices.Clone(c.Listen)
	if c.Admin != nil {
		listeners = append(listeners, config.Listener{Addr: c.Admin.Addr, TLS: c.Admin.TLS})
	}
	for _, l := range listeners {
		s := g.serverOf(l.Addr)
		if s == nil || l.TLS == nil {
			continue
		}
		apply, err := s.listener.Prepare(l)
		if err != nil {
			g.log.Error("certificates were not read again: those that were read before stay in force",
				slog.String("listener", string(l.Addr)), slog.String("cause", err.Error()))
			continue
		}
		apply()
		g.log.Info("certificates were read again", slog.String("listener", string(l.Addr)))
	}
	before.config = g.seen.config
	g.seen = g.fingerprints().since(before, begin)
}
