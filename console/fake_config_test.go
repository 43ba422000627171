package console_test

import (
	"context"
	"slices"
	"strings"

	"github.com/soapward/soapward/admin"
)

const mainFile = `# soapward of corp.example
store:
  postgres: {dsn_file: /etc/soapward/store.dsn}
admin:
  url: https://gw1.corp.example:9443
  listen: 10.0.0.4:9443
  login: [it]
  roles:
    viewer: [auditors]
    operator: [operators]
    administrator: [administrators]
realms:
  corp:
    ad: {domain: corp.example, url: [ldaps://dc1.corp.example, ldaps://dc2.corp.example]}
    kerberos: {keytab: /etc/soapward/http.keytab}
    ntlm: {verifier: netlogon}
  it:
    oidc:
      issuer: https://login.example.com/
      client_id: soapward
      username_claim: email
  partners:
    internal: {}
roles:
  payroll: {groups: ['CORP\Payroll Readers']}
  auditors: {groups: ['CORP\Auditors'], users: ['CORP\carol.smith-jones']}
  operators: {claims: {groups: it-operators}}
  administrators: {claims: {groups: it-admins}, users: [admin]}
  machines: {users: ['CORP\svc-orders']}
include: services.d/*.yaml
`

func (f *fake) Files(ctx context.Context) (*admin.ConfigSet, error) {
	if err := f.need(ctx, admin.Viewer, "Files"); err != nil {
		return nil, err
	}
	set := &admin.ConfigSet{Digest: "digest-now"}
	if f.empty {
		return set, nil
	}
	set.Files = slices.Clone(f.files)
	for i := range set.Files {
		set.Files[i].Writable = !f.readOnly
	}
	return set, nil
}

func (f *fake) CheckFiles(ctx context.Context, set admin.ConfigSet) (*admin.ConfigCheck, error) {
	if err := f.need(ctx, admin.Viewer, "CheckFiles "+set.Digest); err != nil {
		return nil, err
	}
	c := &admin.ConfigCheck{OK: true, Warnings: []string{"services.orders: Basic is offered without TLS on 10.0.0.4:8081"}}
	for i, file := range set.Files {
		if line := strings.Count(file.Text[:max(strings.Index(file.Text, "nonsense"), 0)], "\n") + 1; strings.Contains(file.Text, "nonsense") {
			c.OK = false
			c.Problems = append(c.Problems, admin.ConfigProblem{File: file.Path, Line: line, Column: 1, Text: `"nonsense" is unknown here`})
		}
		if file.Text != f.files[i].Text {
			d := admin.FileDiff{Path: file.Path}
			old, fresh := strings.Split(f.files[i].Text, "\n"), strings.Split(file.Text, "\n")
			for n := range max(len(old), len(fresh)) {
				switch {
				case n < len(old) && n < len(fresh) && old[n] == fresh[n]:
					d.Lines = append(d.Lines, admin.DiffLine{Op: " ", Old: n + 1, New: n + 1, Text: old[n]})
				default:
					if n < len(old) {
						d.Lines = append(d.Lines, admin.DiffLine{Op: "-", Old: n + 1, Text: old[n]})
					}
					if n < len(fresh) {
						d.Lines = append(d.Lines, admin.DiffLine{Op: "+", New: n + 1, Text: fresh[n]})
					}
				}
			}
			c.Diff = append(c.Diff, d)
		}
	}
	return c, nil
}

func (f *fake) ApplyFiles(ctx context.Context, set admin.ConfigSet, comment string) (*admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Administrator, "ApplyFiles "+set.Digest+" "+comment); err != nil {
		return nil, err
	}
	if set.Digest != "digest-now" {
		return nil, &admin.Error{Kind: admin.Conflict, Text: "the files were changed meanwhile", Remedy: "look at what is in place now"}
	}
	if strings.Contains(set.Files[0].Text, "locks-out") && !set.Force {
		return nil, &admin.Error{Kind: admin.Refused, Text: "it would keep you out: you have no role any more", Remedy: "apply it with force if that is meant"}
	}
	if c, _ := f.CheckFiles(ctx, set); !c.OK {
		return nil, &admin.Error{Kind: admin.Invalid, Text: "the configuration is wrong"}
	}
	f.mu.Lock()
	f.applied = set.Files
	f.mu.Unlock()
	return &f.versions[0], nil
}

func (f *fake) Versions(ctx context.Context, after int64, limit int) ([]admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Viewer, "Versions"); err != nil || f.empty {
		return nil, err
	}
	var all []admin.ConfigVersion
	for _, v := range f.versions {
		if (after == 0 || v.ID < after) && len(all) < limit {
			v.Files = nil
			all = append(all, v)
		}
	}
	return all, nil
}

func (f *fake) Version(ctx context.Context, id int64) (*admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Viewer, "Version"); err != nil {
		return nil, err
	}
	for _, v := range f.versions {
		if v.ID == id && !f.empty {
			return &v, nil
		}
	}
	return nil, notFound("version")
}
