package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/soapward/soapward/internal/demo"
)

// startDemo starts a demo; tests start one that fails.
type startDemo func(context.Context, demo.Config) (*demo.Demo, error)

func newDemoCommand(start startDemo) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show each kind of login, a delegated call and a double hop",
		Long: `Start a KDC (for demonstration) and two SOAP services on loopback, call them
with each kind of login, and check what the services saw. Nothing needs to be
installed and nothing is left behind.

The exit code is 0 if each step did what it should, and 1 if not.`,
		Example: `  # takes less than a second
  soapward demo

  # leave it running, and print lines for curl
  soapward demo --keep`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, start, keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep running until interrupted, and print lines for curl")
	return cmd
}

func runDemo(cmd *cobra.Command, start startDemo, keep bool) (err error) {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	var log *gate
	cfg := demo.Config{}
	if keep {
		log = &gate{w: cmd.ErrOrStderr()} // quiet during the steps
		cfg.Log = log
	}
	d, err := start(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	report := d.Run(ctx)
	st := styleOf(out)
	var commands []demo.Command
	if keep {
		if commands, err = d.Commands(); err != nil {
			return err
		}
	}
	if wantJSON(cmd) {
		err = printJSON(out, struct {
			*demo.Report
			Commands []demo.Command `json:"commands,omitempty"`
		}{report, commands})
	} else if err = report.Write(out, st); err == nil && keep {
		if _, err = io.WriteString(out, "\n"); err == nil {
			err = demo.WriteCommands(out, st, commands)
		}
	}
	if err != nil {
		return err
	}
	if keep {
		log.open()
		<-ctx.Done()
	}
	return report.Err()
}

// styleOf fits output to the terminal, if it goes to one. Colours are left out
// where NO_COLOR is set (no-color.org) or the terminal has none.
func styleOf(w io.Writer) demo.Style {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return demo.Style{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return demo.Style{Width: width, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// gate is a writer that drops everything until it is opened.
type gate struct {
	w      io.Writer
	opened atomic.Bool
}

func (g *gate) open() { g.opened.Store(true) }

// Write implements io.Writer.
func (g *gate) Write(b []byte) (int, error) {
	if !g.opened.Load() {
		return len(b), nil
	}
	return g.w.Write(b)
}
