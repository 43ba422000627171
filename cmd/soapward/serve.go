package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/listen"
)

type serveFlags struct {
	config    string
	logFormat string
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve [-c FILE] [--log-format text|json]",
		Short: "Run the gateway",
		Long: `Run the gateway that the configuration describes: logins, roles and policy in
front of services, and logins for programs that call others.

The configuration is read again at SIGHUP, and when it, a file that it includes
or a certificate changes. One that is wrong leaves the running one in force, and
the log says why; no request is lost. SIGTERM or Ctrl-C stops: requests in flight
have shutdown.grace (30s) to end. A second one ends the process at once.

On a terminal a summary is printed, and log lines are text; elsewhere they are
JSON. Both go to standard error. Under systemd the command tells of readiness,
reloads and the watchdog (Type=notify or notify-reload), and takes sockets that
systemd opened (addr: "systemd:NAME").

The exit code is 0 after a stop that was asked for, 1 if the configuration is
wrong or an address cannot be opened, 2 for a wrong command line.`,
		Example: `  soapward serve -c /etc/soapward/soapward.yaml

  # read the configuration again
  kill -HUP "$(pidof soapward)"

  # a socket that systemd opens, with addr: "systemd:gw"
  systemd-socket-activate -l 8080 --fdname=gw soapward serve -c soapward.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.config, "config", "c", defaultConfig, "configuration `FILE`")
	fl.StringVar(&f.logFormat, "log-format", "", "`FORMAT` of log lines, text or json (default: log.format, or by terminal)")
	return cmd
}

func (f *serveFlags) run(cmd *cobra.Command) error {
	if f.logFormat != "" && f.logFormat != string(config.LogText) && f.logFormat != string(config.LogJSON) {
		return usagef(cmd, "--log-format %q: want text or json", f.logFormat)
	}
	c, err := config.Load(f.config)
	if errors.Is(err, os.ErrNotExist) {
		return withRemedy(err, "name the configuration with -c FILE")
	}
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log := f.logger(cmd.ErrOrStderr(), c, level)
	g, err := gateway.New(c, f.config, gateway.Options{
		Logger: log, Version: version, InForce: func(c *config.Config) { level.Set(levels[c.Log.Level]) },
	})
	if e, ok := errors.AsType[*listen.Error](err); ok && e.Remedy != "" {
		return withRemedy(err, e.Remedy)
	}
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if w := cmd.ErrOrStderr(); onScreen(w) {
		if err := printServe(w, styleOf(w), f.config, g); err != nil {
			log.Warn("no summary", slog.String("cause", err.Error()))
		}
	} else {
		for _, warning := range g.Warnings() {
			log.Warn("configuration", slog.String("warning", warning))
		}
		for _, l := range g.Listening() {
			log.Info("listening", slog.String("addr", string(l.Addr)), slog.String("direction", string(l.Direction)),
				slog.String("upstream", l.Upstream), slog.Bool("tls", l.TLS))
		}
	}
	defer giveHeapRoom()()
	ended := make(chan struct{})
	defer close(ended)
	go reloadBySignal(ctx, g, ended)
	return g.Run(ctx)
}

// reloadBySignal reloads at SIGHUP, which main takes for an end, and lets the
// signals after that which ended ctx end the process.
func reloadBySignal(ctx context.Context, g *gateway.Gateway, ended <-chan struct{}) {
	hup := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			_ = g.Reload() // which logs what is wrong
		case <-ctx.Done():
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			return
		case <-ended:
			return
		}
	}
}

// onScreen reports whether w is a terminal.
func onScreen(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

var levels = map[config.Level]slog.Level{
	config.LevelDebug: slog.LevelDebug, config.LevelInfo: slog.LevelInfo, config.LevelWarn: slog.LevelWarn, config.LevelError: slog.LevelError,
}

// logger writes lines for operators to w.
func (f *serveFlags) logger(w io.Writer, c *config.Config, level *slog.LevelVar) *slog.Logger {
	level.Set(levels[c.Log.Level])
	format := string(c.Log.Format)
	if f.logFormat != "" {
		format = f.logFormat
	}
	if format == "" {
		format = string(config.LogJSON)
		if onScreen(w) {
			format = string(config.LogText)
		}
	}
	o := &slog.HandlerOptions{Level: level}
	if format == string(config.LogText) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
