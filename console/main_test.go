package console_test

import (
	"io"
	"log/slog"

	"github.com/soapward/soapward/internal/testenv"
)

func testLogger(log *testenv.Log) *slog.Logger {
	if log == nil {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return slog.New(slog.NewTextHandler(log, nil))
}
