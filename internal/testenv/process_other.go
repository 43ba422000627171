//go:build !linux

package testenv

import "os/exec"

func bindToParent(*exec.Cmd) {}

// signal kills, as not every system can ask a process to end.
func (p *Process) signal(bool) { _ = p.cmd.Process.Kill() }

func (p *Process) groupAlive() bool { return false } // no groups: Wait has said it all
