package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/publish"
)

type checkFlags struct {
	build gatewayBuilder

	config    string
	explain   string
	operation string
	as        []string
	method    string
	client    string
	dial      bool
	timeout   time.Duration
}

func newCheckCommand(build gatewayBuilder) *cobra.Command {
	f := checkFlags{build: build}
	cmd := &cobra.Command{
		Use:   "check [-c FILE] [--explain URL [flags]] [--dial]",
		Short: "Check a configuration, and say what it means",
		Long: `Check the configuration of the gateway as soapward serve would, without a socket
being opened: say all that is wrong with it, with line and column, or what it
means. What is allowed and may not be meant is a warning, with what to do.

--explain says which policy is in force for a request to URL, which lines decided
each part, and how it ends: for nobody in particular, or for whom --as says.
The first --as is the user, further ones groups and roles he has; who is in which
group is not looked up. A SID counts as that of the user and of a group.

--dial looks once whether all is there that the configuration names: domain
controllers, KDCs, directories, stores, backends, upstreams.

The exit code is 0 if the configuration is valid, and with --dial all is there; 1
if not; 2 for a wrong command line. Warnings do not change it, nor does what
--explain says.`,
		Example: `  soapward check -c /etc/soapward/soapward.yaml
  soapward check --explain https://hr.corp.test/hr/ --operation '{urn:hr}Pay' --as 'CORP\alice' --as 'CORP\Payroll'
  soapward check --explain https://api.corp.test/api/x --as anonymous --client 10.9.1.2
  soapward check --dial --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.config, "config", "c", defaultConfig, "configuration `FILE`")
	fl.StringVar(&f.explain, "explain", "", "say which policy is in force for requests to `URL`, and why")
	fl.StringVar(&f.operation, "operation", "", "with --explain: the SOAP operation, `{NAMESPACE}NAME`, or NAME of a WSDL")
	fl.StringArrayVar(&f.as, "as", nil, `with --explain: for `+"`WHO`"+`: CORP\alice, alice@corp.test, a SID, a role, or anonymous; may be repeated`)
	fl.StringVar(&f.method, "method", "", "with --explain: the `METHOD` of HTTP (default: POST with --operation, GET without)")
	fl.StringVar(&f.client, "client", "", "with --explain: from the address `ADDR`")
	fl.BoolVar(&f.dial, "dial", false, "look whether all is there that the configuration names")
	fl.DurationVar(&f.timeout, "timeout", 10*time.Second, "with --dial: give up after `TIME`")
	return cmd
}

// check refuses flags that make no sense together.
func (f *checkFlags) check(cmd *cobra.Command) error {
	if f.explain == "" && (f.operation != "" || len(f.as) > 0 || f.method != "" || f.client != "") {
		return usagef(cmd, "--operation, --as, --method and --client need --explain URL")
	}
	if f.timeout <= 0 {
		return usagef(cmd, "--timeout takes a time such as 10s")
	}
	if !cmd.Flags().Changed("timeout") || f.dial {
		return nil
	}
	return usagef(cmd, "--timeout needs --dial")
}

func (f *checkFlags) run(cmd *cobra.Command) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	q, err := f.question(cmd)
	if err != nil {
		return err
	}
	c, err := config.Load(f.config)
	if errors.Is(err, os.ErrNotExist) {
		return withRemedy(err, "name the configuration with -c FILE")
	}
	report := &checkReport{File: f.config}
	if err != nil {
		return f.invalid(cmd, report, err)
	}
	publishers, err := publish.All(c)
	if err != nil {
		return f.invalid(cmd, report, err)
	}
	parts, err := f.build(cmd.Context(), c, publishers, slog.New(slog.DiscardHandler)) // the report tells it all
	if err != nil {
		return f.invalid(cmd, report, err)
	}
	defer parts.close()
	report.fill(c, publishers, parts)
	if q != nil {
		if q.operation, err = findOperation(f.operation, publishers); err != nil {
			return err
		}
		id, anybody := q.caller(c)
		report.Explanation = parts.explain(q.context(cmd.Context()), q.method, q.url, q.operation, id, anybody)
	}
	if f.dial {
		p := newProgress(cmd.ErrOrStderr())
		p.show(fmt.Sprintf("looking for %d things", len(parts.checks)))
		report.Checks = dialAll(cmd.Context(), parts.checks, f.timeout)
		p.clear()
	}
	if err := report.print(cmd); err != nil {
		return err
	}
	return report.failure()
}

// invalid reports a configuration that cannot be used.
func (f *checkFlags) invalid(cmd *cobra.Command, report *checkReport, err error) error {
	report.wrong(err)
	if wantJSON(cmd) {
		if err := report.print(cmd); err != nil {
			return err
		}
	}
	return err
}

// question is what --explain asks.
type question struct {
	url       *url.URL
	method    string
	operation string
	as        []string
	client    netip.Addr // zero: none
}

func (f *checkFlags) question(cmd *cobra.Command) (*question, error) {
	if f.explain == "" {
		return nil, nil
	}
	q := &question{method: f.method, as: f.as}
	var err error
	if q.url, err = url.Parse(f.explain); err != nil || q.url.Scheme != "http" && q.url.Scheme != "https" || q.url.Host == "" {
		return nil, usagef(cmd, "--explain takes a URL such as https://hr.corp.test/hr/, not %q", f.explain)
	}
	if q.url.Path == "" {
		q.url.Path = "/"
	}
	switch {
	case q.method == "" && f.operation != "":
		q.method = "POST"
	case q.method == "":
		q.method = "GET"
	}
	if f.client != "" {
		if q.client, err = netip.ParseAddr(f.client); err != nil {
			return nil, usagef(cmd, "--client takes an address such as 10.9.1.2, not %q", f.client)
		}
	}
	if slices.Contains(q.as, "") || len(q.as) > 1 && slices.Contains(q.as, authz.Anonymous) {
		return nil, usagef(cmd, "--as takes a user, a group, a role, or anonymous alone")
	}
	return q, nil
}

func (q *question) context(ctx context.Context) context.Context {
	if q.client.IsValid() {
		return authn.WithClient(ctx, q.client)
	}
	return ctx
}

// caller returns whom --as names, nil for anonymous, or that it is about anybody.
func (q *question) caller(c *config.Config) (id *authn.Identity, anybody bool) {
	if len(q.as) == 0 {
		return nil, true
	}
	if q.as[0] == authz.Anonymous {
		return nil, false
	}
	id = new(authn.Identity)
	for _, as := range q.as {
		domain, name, inDomain := strings.Cut(as, `\`)
		nobody := id.Account == "" && id.UPN == "" && id.SID == ""
		switch {
		case strings.HasPrefix(strings.ToUpper(as), "S-1-"):
			if id.SID == "" && nobody {
				id.SID = authn.SID(as)
			}
			id.Groups = append(id.Groups, authn.Group{SID: authn.SID(as)})
		case c.Roles[as] != nil:
			id.Roles = append(id.Roles, as)
		case inDomain && nobody:
			id.Domain, id.Account = domain, name
		case strings.Contains(as, "@") && nobody:
			id.UPN = as
		case nobody:
			id.Account = as
		default:
			id.Groups = append(id.Groups, authn.Group{Name: as})
		}
	}
	if id.Account == "" && id.UPN == "" && id.SID == "" {
		id.Account = "somebody"
	}
	return id, false
}

// findOperation returns an operation with its namespace, which may be left out
// where one WSDL alone has an operation of that name.
func findOperation(name string, publishers map[string]*publish.Publisher) (string, error) {
	if name == "" || strings.HasPrefix(name, "{") {
		return name, nil
	}
	var found []string
	for _, p := range publishers {
		for _, op := range p.Operations() {
			if _, local := op.Split(); local == name && !slices.Contains(found, op.Name) {
				found = append(found, op.Name)
			}
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", withRemedy(fmt.Errorf("no WSDL of the configuration has an operation %q", name), "write it with its namespace: --operation '{NAMESPACE}"+name+"'")
	case 1:
		return found[0], nil
	}
	return "", withRemedy(fmt.Errorf("there are %d operations %q", len(found), name), "one of "+strings.Join(found, ", "))
}

// dialAll runs checks at once, and returns how they ended in the same order.
func dialAll(ctx context.Context, checks []health.Check, timeout time.Duration) []checkDialled {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	results := make([]checkDialled, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			start := time.Now()
			err := c.Run(ctx)
			r := checkDialled{Name: c.Name, Kind: string(c.Kind), Essential: c.Essential, OK: err == nil, took: time.Since(start)}
			r.Milliseconds = r.took.Milliseconds()
			if err != nil {
				r.Error, r.Remedy = withoutPackages(err.Error()), c.Remedy
			}
			results[i] = r
		})
	}
	wg.Wait()
	return results
}
