package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/demo"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

// withoutKDC starts a demo whose KDC refuses every request.
func withoutKDC(ctx context.Context, c demo.Config) (*demo.Demo, error) {
	c.TestOnlyBreak = func(k *kdc.KDC) error {
		k.SetFault(kdc.Fault{Error: krb5.CodeServiceUnavailable})
		return nil
	}
	return demo.Start(ctx, c)
}

// A step that fails makes the command fail and is named.
func TestDemoThatFails(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		root := newRootCommand()
		for _, c := range root.Commands() {
			if c.Name() == "demo" {
				root.RemoveCommand(c)
			}
		}
		root.AddCommand(newDemoCommand(withoutKDC))
		args := []string{"demo"}
		if asJSON {
			args = append(args, "--json")
		}
		root.SetArgs(args)
		var out bytes.Buffer
		root.SetOut(&out)
		err := root.ExecuteContext(t.Context())
		var usage *usageError
		if err == nil || errors.As(err, &usage) {
			t.Fatalf("got %v, want a failure", err)
		}
		if !strings.Contains(err.Error(), `"Kerberos, passed on"`) || strings.Contains(err.Error(), `"Basic"`) {
			t.Errorf("error does not name the steps that failed, and no others: %v", err)
		}
		if !asJSON {
			if !strings.Contains(out.String(), "✗ Kerberos, passed on") || !strings.Contains(out.String(), "✓ Basic") {
				t.Errorf("table: %s", &out)
			}
			continue
		}
		var r demo.Report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.OK || len(r.Steps) == 0 {
			t.Errorf("%v, %s", err, &out)
		}
	}
}

// buffer is an output that several goroutines use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// With --keep the services run until the command is interrupted, and its files
// go with it.
func TestDemoKeep(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithTimeout(t.Context(), 30*time.Second)
	defer interrupt()
	root := newRootCommand()
	root.SetArgs([]string{"demo", "--keep"})
	var out, errOut buffer
	root.SetOut(&out)
	root.SetErr(&errOut)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(out.String(), "Ctrl-C ends") {
		select {
		case err := <-done:
			t.Fatalf("ended by itself: %v\n%s", err, &out)
		case <-tick.C:
		}
	}
	_, rest, _ := strings.Cut(out.String(), "KRB5_CONFIG=")
	conf, _, _ := strings.Cut(rest, "\n")
	if _, err := os.Stat(conf); err != nil {
		t.Errorf("the file named is not there: %v", err)
	}
	interrupt()
	if err := <-done; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := os.Stat(conf); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", conf, err)
	}
	if errOut.String() != "" {
		t.Errorf("the steps' own log is shown: %s", &errOut)
	}
}
