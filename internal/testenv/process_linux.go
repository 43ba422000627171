package testenv

import (
	"os/exec"
	"syscall"
)

// bindToParent gives the child its own group and lets it die with us.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func (p *Process) signal(kill bool) {
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	_ = syscall.Kill(-p.PID(), sig) // ESRCH: gone already
}

func (p *Process) groupAlive() bool { return syscall.Kill(-p.PID(), 0) == nil }
