package realm_test

import (
	"slices"
	"testing"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

func TestDomains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ad   config.AD
		want []string
	}{
		{"short name", config.AD{DefaultDomain: "CORP"}, []string{"CORP"}},
		{"listed", config.AD{DefaultDomain: "CORP", Domains: []string{"OLD", "CORP"}}, []string{"OLD", "CORP"}},
		{"with the DNS name", config.AD{DefaultDomain: "CORP", Domain: "corp.test"}, []string{"CORP", "corp.test"}},
		{"DNS name alone", config.AD{Domain: "corp.test"}, nil}, // most users have the short name, and would be left out
	} {
		if got := realm.Domains(&tt.ad); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
