package kerberos_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/kerberos/kerberostest"
)

func TestMemoryReplayCacheConforms(t *testing.T) {
	t.Parallel()
	kerberostest.TestReplayCache(t, func(_ *testing.T, now func() time.Time) []kerberos.ReplayCache {
		return []kerberos.ReplayCache{&kerberos.MemoryReplayCache{
			Max: 20_000, MaxPerClient: 10_000, Now: now, Logger: slog.New(slog.DiscardHandler),
		}}
	})
}
