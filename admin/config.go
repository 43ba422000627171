package admin

import (
	"context"
	"time"

	"github.com/soapward/soapward/directory/provision"
)

// Configuration is that of this node: the file it was started with, and those
// that it includes.
type Configuration interface {
	// Files returns what is in force, or, if it differs, what is in the files.
	Files(ctx context.Context) (*ConfigSet, error)

	// CheckFiles says what is wrong with files, and how they differ from those in
	// place. It changes nothing. For who may not apply them, it does not look at the
	// files that they name, such as keytabs.
	CheckFiles(ctx context.Context, set ConfigSet) (*ConfigCheck, error)

	// ApplyFiles writes files and puts them into force, or leaves all as it was.
	// It is a Conflict if the files changed since set.Digest.
	ApplyFiles(ctx context.Context, set ConfigSet, comment string) (*ConfigVersion, error)

	// Versions lists what was in force, the newest first.
	Versions(ctx context.Context, after int64, limit int) ([]ConfigVersion, error)
	Version(ctx context.Context, id int64) (*ConfigVersion, error)

	// RollBack applies the files of a version. force is that of a ConfigSet.
	RollBack(ctx context.Context, id int64, comment string, force bool) (*ConfigVersion, error)
}

// A ConfigSet is a configuration as text, with all of its files: one in place that
// is not in it is removed if a pattern of include would still find it. A new file
// stands where others of the configuration are, or where an include in force looks.
type ConfigSet struct {
	Files  []ConfigFile `json:"files"`  // the main one first
	Digest string       `json:"digest"` // of the files in place

	// Force applies a configuration that keeps out who applies it.
	Force bool `json:"force,omitempty"`
}

// A ConfigFile is a file of the configuration.
type ConfigFile struct {
	Path     string `json:"path"`
	Text     string `json:"text"`
	Writable bool   `json:"writable"` // by this process
}

// A ConfigCheck is what is to be known before a change.
type ConfigCheck struct {
	OK       bool            `json:"ok"`
	Problems []ConfigProblem `json:"problems,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Diff     []FileDiff      `json:"diff,omitempty"`
}

// A ConfigProblem is a mistake. Line and Column begin at 1; zero is unknown.
type ConfigProblem struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

// A FileDiff is how a file differs.
type FileDiff struct {
	Path  string     `json:"path"`
	Lines []DiffLine `json:"lines"`
}

// A DiffLine is one of a difference. Old and New are numbers of lines, zero where
// there is none.
type DiffLine struct {
	Op   string `json:"op"` // " ", "+", "-"
	Old  int    `json:"old,omitempty"`
	New  int    `json:"new,omitempty"`
	Text string `json:"text"`
}

// A ConfigVersion is a configuration that was in force.
type ConfigVersion struct {
	ID      int64        `json:"id"`
	Time    time.Time    `json:"time"`
	Actor   string       `json:"actor"` // empty: the files were changed by hand
	Comment string       `json:"comment,omitempty"`
	Node    string       `json:"node"` // host name
	Digest  string       `json:"digest"`
	Files   []ConfigFile `json:"files,omitempty"` // not in lists
}

// Sync brings users up to date with Active Directory.
type Sync interface {
	// Synchronise runs the job of a realm and tells of its progress. It is a
	// Conflict while another node does.
	Synchronise(ctx context.Context, realm string, progress func(SyncProgress)) (*provision.Summary, error)
}

// SyncState is how the job of a realm went.
type SyncState struct {
	Last    time.Time `json:"last,omitzero"`
	Next    time.Time `json:"next,omitzero"` // zero: by hand only
	Summary string    `json:"summary,omitempty"`
}

// SyncProgress is how far the job is.
type SyncProgress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}
