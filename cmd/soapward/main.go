// Command soapward shows Windows authentication for SOAP and REST services at
// work, and generates Go code, client and server, from WSDL.
//
// Each subcommand lives in a file of its own, named for it, and is thin: flags,
// then a package of the module. "soapward help" lists them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // not under nohup
		signals = append(signals, syscall.SIGHUP) // the terminal was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
