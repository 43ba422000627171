package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// Inherited are the sockets that systemd handed over (sd_listen_fds), by their
// names. It is safe for concurrent use. They stay open with it, so that an
// address that is taken out of the configuration can come back.
type Inherited struct{ files map[string]*os.File }

// Inherit takes them, and clears the environment of them: a second call finds
// none. It is an error if two have the same name, as all sockets of a unit have
// that do not say FileDescriptorName=.
func Inherit() (*Inherited, error) {
	in := &Inherited{files: make(map[string]*os.File)}
	for _, f := range activation.Files(true) {
		if in.files[f.Name()] != nil {
			return nil, fmt.Errorf("listen: systemd handed over two sockets of the name %q: give each a unit with its own FileDescriptorName=", f.Name())
		}
		in.files[f.Name()] = f
	}
	return in, nil
}

// Names lists them in order.
func (in *Inherited) Names() []string {
	if in == nil {
		return nil
	}
	var names []string
	for name := range in.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var errNotInherited = errors.New("systemd handed over no socket of that name")

func (in *Inherited) listener(name string) (net.Listener, error) {
	if in == nil || in.files[name] == nil {
		if names := in.Names(); len(names) > 0 {
			return nil, fmt.Errorf("%w, but: %s", errNotInherited, strings.Join(names, ", "))
		}
		return nil, errNotInherited
	}
	l, err := net.FileListener(in.files[name]) // of a copy
	if err != nil {
		return nil, fmt.Errorf("the socket that systemd handed over: %w", err)
	}
	return l, nil
}

// fileOf returns a copy of the descriptor of a listener.
func fileOf(l net.Listener) (*os.File, error) {
	f, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", l)
	}
	return f.File()
}
