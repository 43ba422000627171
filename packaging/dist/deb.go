package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maintainer is who packages name; there is no mailbox behind it.
const maintainer = "soapward maintainers <soapward@users.noreply.github.com>"

// debianVersion is a version as Debian orders them: commits after a release come
// after it, those before the first release before it.
func debianVersion(v string) string {
	v = strings.TrimPrefix(v, "v")
	number, rest, _ := strings.Cut(v, "-")
	switch {
	case rest == "":
		return number
	case number == "0.0.0":
		return "0.0.0~" + strings.ReplaceAll(rest, "-", ".")
	case rest[0] >= '0' && rest[0] <= '9': // git describe: commits since
		return number + "+" + strings.ReplaceAll(rest, "-", ".")
	}
	return number + "~" + strings.ReplaceAll(rest, "-", ".") // v1.2.3-rc.1
}

// debianPackage makes a package of the program for one architecture.
func (r *release) debianPackage(arch string, program []byte) ([]byte, error) {
	data, err := r.debianData(program)
	if err != nil {
		return nil, err
	}
	control, err := r.debianControl(arch, data)
	if err != nil {
		return nil, err
	}
	dataTar, err := tarArchive(append([]file{{name: "./", mode: 0o755}}, data...), r.time)
	if err != nil {
		return nil, err
	}
	controlTar, err := tarArchive(append([]file{{name: "./", mode: 0o755}}, control...), r.time)
	if err != nil {
		return nil, err
	}
	return arArchive([]file{
		{name: "debian-binary", data: []byte("2.0\n")}, {name: "control.tar.gz", data: controlTar}, {name: "data.tar.gz", data: dataTar},
	}, r.time), nil
}

// debianData are the files of the package.
func (r *release) debianData(program []byte) ([]file, error) {
	out := []file{{name: "./usr/bin/soapward", data: program, mode: 0o755}}
	for _, f := range []struct {
		from, to string
		mode     int64
	}{
		{"soapward.yaml", "etc/soapward/soapward.yaml", 0o640},
		{"systemd/soapward.service", "lib/systemd/system/soapward.service", 0o644},
		{"systemd/soapward.socket", "usr/share/doc/soapward/examples/soapward.socket", 0o644},
		{"debian/lintian-overrides", "usr/share/lintian/overrides/soapward", 0o644},
		{"debian/copyright", "usr/share/doc/soapward/copyright", 0o644},
	} {
		b, err := os.ReadFile(filepath.Join(r.root, "packaging", filepath.FromSlash(f.from)))
		if err != nil {
			return nil, err
		}
		out = append(out, file{name: "./" + f.to, data: b, mode: f.mode})
	}
	for _, d := range r.docs {
		kind, name, _ := strings.Cut(d.name, "/")
		switch {
		case kind == "man":
			b, err := gz(d.data)
			if err != nil {
				return nil, err
			}
			out = append(out, file{name: "./usr/share/man/man" + name[len(name)-1:] + "/" + name + ".gz", data: b, mode: 0o644})
		case name == "soapward.bash":
			out = append(out, file{name: "./usr/share/bash-completion/completions/soapward", data: d.data, mode: 0o644})
		case name == "_soapward":
			out = append(out, file{name: "./usr/share/zsh/vendor-completions/_soapward", data: d.data, mode: 0o644})
		case name == "soapward.fish":
			out = append(out, file{name: "./usr/share/fish/vendor_completions.d/soapward.fish", data: d.data, mode: 0o644})
		}
	}
	log := fmt.Sprintf("soapward (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the source for what changed.\n\n -- %s  %s\n",
		debianVersion(r.version), maintainer, r.time.Format(time.RFC1123Z))
	b, err := gz([]byte(log))
	if err != nil {
		return nil, err
	}
	out = append(out, file{name: "./usr/share/doc/soapward/changelog.gz", data: b, mode: 0o644})
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// debianControl are the files that say what the package is.
func (r *release) debianControl(arch string, data []file) ([]file, error) {
	size := 0
	var sums bytes.Buffer
	for _, f := range data {
		size += (len(f.data) + 1023) / 1024
		if !strings.HasPrefix(f.name, "./etc/") {
			fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.data), strings.TrimPrefix(f.name, "./"))
		}
	}
	control := fmt.Sprintf(`Package: soapward
Version: %s
Architecture: %s
Maintainer: %s
Installed-Size: %d
Depends: adduser, init-system-helpers (>= 1.51)
Recommends: ca-certificates
Suggests: krb5-user
Section: net
Priority: optional
Homepage: https://github.com/soapward/soapward
Description: Windows authentication for SOAP and REST services
 soapward stands before SOAP and REST services and has their callers log in
 with Kerberos or NTLM, and calls services that want such a login from programs
 that cannot do it themselves.
 .
 It needs neither Windows nor a domain join. The package has the gateway, a
 service for systemd, and tools that generate Go code from WSDL, call
 operations from the shell and find out why a login fails.
`, debianVersion(r.version), arch, maintainer, size)
	out := []file{
		{name: "./conffiles", data: []byte("/etc/soapward/soapward.yaml\n"), mode: 0o644},
		{name: "./control", data: []byte(control), mode: 0o644},
		{name: "./md5sums", data: sums.Bytes(), mode: 0o644},
	}
	for _, script := range []string{"postinst", "postrm", "prerm"} {
		b, err := os.ReadFile(filepath.Join(r.root, "packaging", "debian", script))
		if err != nil {
			return nil, err
		}
		out = append(out, file{name: "./" + script, data: b, mode: 0o755})
	}
	return out, nil
}
