package gateway

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What systemd is told (sd_notify). Without it, nobody listens.
const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

// stateReloading has the time that Type=notify-reload wants beside it.
func stateReloading() string {
	lines := []string{daemon.SdNotifyReloading}
	if now, ok := monotonic(); ok {
		lines = append(lines, "MONOTONIC_USEC="+now)
	}
	return strings.Join(lines, "\n")
}

func (g *Gateway) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		g.log.Warn("systemd was not told", slog.String("cause", err.Error()))
	}
}

// feedWatchdog tells systemd that the process is alive, where it wants to know:
// requests can be taken into a generation.
func (g *Gateway) feedWatchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		g.log.Warn("no watchdog", slog.String("cause", err.Error()))
	}
	if err != nil || every <= 0 {
		return
	}
	tick := time.NewTicker(max(every/2, time.Millisecond))
	defer tick.Stop()
	for {
		g.notify(daemon.SdNotifyWatchdog)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
