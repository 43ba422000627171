package observe

import (
	"io"
	"log/slog"

	"github.com/soapward/soapward/gateway/config"
)

// NewLogger returns the log for operators as it is configured, to be written to
// w.
func NewLogger(c config.Log, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	switch c.Level {
	case config.LevelDebug:
		o.Level = slog.LevelDebug
	case config.LevelWarn:
		o.Level = slog.LevelWarn
	case config.LevelError:
		o.Level = slog.LevelError
	}
	if c.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
