package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
)

// checkSite refuses flags that make no sense with a URL.
func (f *doctorFlags) checkSite(cmd *cobra.Command) error {
	if _, err := site.ParseURL(f.url); err != nil {
		return usagef(cmd, "%s; a keytab is --keytab FILE", strings.TrimPrefix(err.Error(), "site: "))
	}
	switch {
	case f.offline || len(f.names) > 0 || len(f.kdcs) > 0 || f.controller != "":
		return usagef(cmd, "--offline, --name, --kdc and --controller are for a keytab, not for a URL")
	case strings.Contains(f.user, ":"):
		return usagef(cmd, "-u takes a user without password; set %s or use --password-file", passwordVariable)
	case f.user == "" && (f.passwordFile != "" || f.keytab != "" || f.probeBinding):
		return usagef(cmd, "--password-file, --keytab and --probe-binding need -u USER")
	case f.keytab != "" && f.passwordFile != "":
		return usagef(cmd, "--keytab and --password-file exclude each other")
	}
	return (&loginFlags{proxy: f.proxy}).checkProxy(cmd)
}

// runSite looks at a URL.
func (f *doctorFlags) runSite(cmd *cobra.Command) error {
	if err := f.checkSite(cmd); err != nil {
		return err
	}
	cfg, err := f.siteConfig(cmd)
	if err != nil {
		return err
	}
	if f.user != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), oneLine("soapward: will log in as "+f.user+", once by each mechanism that is offered; one that fails may count as a failed login"))
	}
	progress := newProgress(cmd.ErrOrStderr())
	cfg.Progress = progress.show
	report, err := site.Run(cmd.Context(), cfg)
	progress.clear()
	if err != nil {
		return err
	}
	if wantJSON(cmd) {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = printSite(cmd.OutOrStdout(), styleOf(cmd.OutOrStdout()), report)
	}
	if err != nil || report.OK {
		return err
	}
	return breakingLogins(report.Count(doctor.Broken), "logins")
}

// siteConfig makes the configuration of a run. It may ask for a password.
func (f *doctorFlags) siteConfig(cmd *cobra.Command) (site.Config, error) {
	cfg := site.Config{URL: f.url, User: f.user, ProbeBinding: f.probeBinding}
	var err error
	if f.caFile != "" {
		if cfg.Roots, err = loadRoots("--ca-file", f.caFile); err != nil {
			return cfg, err
		}
	}
	if cfg.Proxy, err = f.siteProxy(); err != nil {
		return cfg, err
	}
	path := f.krb5conf
	if path == "" {
		path = krb5Config()
	}
	if cfg.Kerberos, err = kerberos.LoadConfig(path); err != nil {
		if f.krb5conf != "" {
			return cfg, err
		}
		cfg.Kerberos, cfg.NoKerberos, err = nil, strings.TrimPrefix(err.Error(), "kerberos: "), nil // a finding
	}
	switch {
	case f.keytab != "":
		cfg.Keytab, err = kerberos.LoadKeytab(f.keytab)
	case f.user != "":
		cfg.Password, err = (&loginFlags{user: f.user, passwordFile: f.passwordFile}).password(cmd)
	case cfg.Kerberos != nil:
		cfg.Cache = func() (*kerberos.Client, error) { return kerberos.NewCacheClient(*cfg.Kerberos, "") }
	}
	return cfg, err
}

// siteProxy is the proxy of the flag, or of the environment.
func (f *doctorFlags) siteProxy() (*url.URL, error) {
	if f.proxy != "" {
		return url.Parse(f.proxy)
	}
	u, err := site.ParseURL(f.url)
	if err != nil {
		return nil, err
	}
	p, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	switch {
	case err != nil:
		return nil, withRemedy(errors.New("the environment names a proxy by what is no URL"), "set HTTP_PROXY and HTTPS_PROXY anew, or --proxy URL")
	case p != nil && p.Scheme != "http" && p.Scheme != "https":
		return nil, withRemedy(fmt.Errorf("a proxy of type %s is not supported here", oneLine(p.Scheme)), "--proxy http://HOST:PORT")
	}
	return p, nil
}
