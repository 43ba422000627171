package pac

import (
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"slices"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	peer "github.com/jcmturner/gokrb5/v8/pac"
	"github.com/jcmturner/gokrb5/v8/test/testdata"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/soapward/soapward/internal/krb5"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readByPeer reads and verifies b with gokrb5.
func readByPeer(t *testing.T, b []byte, key types.EncryptionKey) *peer.PACType {
	t.Helper()
	var p peer.PACType
	if err := p.Unmarshal(b); err != nil {
		t.Fatalf("gokrb5: %v", err)
	}
	if err := p.ProcessPACInfoBuffers(key, log.New(io.Discard, "", 0)); err != nil {
		t.Fatalf("gokrb5: %v", err)
	}
	return &p
}

// compare fails the test where the two readings of one PAC differ.
func compare(t *testing.T, p *PAC, g *peer.PACType) {
	t.Helper()
	l, err := p.LogonInfo()
	if err != nil {
		t.Fatal(err)
	}
	k := g.KerbValidationInfo
	eq := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, gokrb5 reads %v", what, got, want)
		}
	}
	eq("account", l.Account, k.EffectiveName.Value)
	eq("full name", l.FullName, k.FullName.Value)
	eq("script", l.LogonScript, k.LogonScript.Value)
	eq("profile", l.ProfilePath, k.ProfilePath.Value)
	eq("home", l.HomeDirectory, k.HomeDirectory.Value)
	eq("home drive", l.HomeDrive, k.HomeDirectoryDrive.Value)
	eq("logons", l.LogonCount, k.LogonCount)
	eq("user", l.UserID, k.UserID)
	eq("primary group", l.PrimaryGroupID, k.PrimaryGroupID)
	eq("flags", l.UserFlags, k.UserFlags)
	eq("server", l.LogonServer, k.LogonServer.Value)
	eq("domain", l.Domain, k.LogonDomainName.Value)
	eq("domain SID", l.DomainSID, k.LogonDomainID.String())
	eq("account control", l.AccountControl, k.UserAccountControl)
	eq("logon time", l.LogonTime.Unix(), k.LogOnTime.Time().Unix())
	eq("password set", l.PasswordLastSet.Unix(), k.PasswordLastSet.Time().Unix())
	eq("extra SIDs", len(l.ExtraSIDs), k.SIDCount)
	eq("resource groups", len(l.ResourceGroups), k.ResourceGroupCount)
	for i, m := range k.GroupIDs {
		eq("group", l.Groups[i], GroupMembership{m.RelativeID, m.Attributes})
	}
	for i, m := range k.ExtraSIDs {
		eq("extra SID", l.ExtraSIDs[i], SIDAttributes{SID(m.SID.String()), m.Attributes})
	}
	if len(l.ResourceGroups) > 0 {
		eq("resource domain", l.ResourceDomainSID, k.ResourceGroupDomainSID.String())
	}
	for i, m := range k.ResourceGroupIDs {
		eq("resource group", l.ResourceGroups[i], GroupMembership{m.RelativeID, m.Attributes})
	}
	c, err := p.ClientInfo()
	if err != nil {
		t.Fatal(err)
	}
	eq("client", c.Name, g.ClientInfo.Name)
	eq("authtime", c.AuthTime.Unix(), g.ClientInfo.ClientID.Time().Unix())
	u, err := p.UPNInfo()
	if err != nil {
		t.Fatal(err)
	}
	eq("UPN", u.UPN, g.UPNDNSInfo.UPN)
	eq("DNS domain", u.DNSDomain, g.UPNDNSInfo.DNSDomain)
}

// A PAC made by a Windows domain controller, read and verified by both.
func TestWindowsPAC(t *testing.T) {
	t.Parallel()
	b := unhex(t, testdata.MarshaledPAC_AD_WIN2K_PAC)
	kt := keytab.New()
	if err := kt.Unmarshal(unhex(t, testdata.KEYTAB_SYSHTTP_TEST_GOKRB5)); err != nil {
		t.Fatal(err)
	}
	pk, _, err := kt.GetEncryptionKey(types.PrincipalName{NameString: []string{"sysHTTP"}}, "TEST.GOKRB5", 2, 18)
	if err != nil {
		t.Fatal(err)
	}
	key, err := krb5.NewKey(krb5.AES256SHA1, pk.KeyValue)
	if err != nil {
		t.Fatal(err)
	}
	p := mustParse(t, b)
	if err := p.VerifyServer(key); err != nil {
		t.Error(err)
	}
	compare(t, p, readByPeer(t, slices.Clone(b), pk))
	if err := p.CheckClient("testuser1", time.Unix(0, 0)); err == nil {
		t.Error("accepted for another authtime")
	}
}

// The logon information printed in MS-PAC 3 and one that crosses a trust.
func TestWindowsLogonInfo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, hex       string
		account         string
		user            SID
		groups, inExtra int
	}{
		{"MS-PAC example", testdata.MarshaledPAC_Kerb_Validation_Info_MS, "lzhu", "S-1-5-21-397955417-626881126-188441444-2914711", 39, 13},
		{"trust", testdata.MarshaledPAC_Kerb_Validation_Info_Trust, "testuser1", "S-1-5-21-2284869408-3503417140-1141177250-1106", 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw := unhex(t, tt.hex)
			l, err := parseLogonInfo(raw)
			if err != nil {
				t.Fatal(err)
			}
			if l.Account != tt.account || l.SID() != tt.user || len(l.ExtraSIDs) != tt.inExtra {
				t.Errorf("got %s, %s, %d extra SIDs", l.Account, l.SID(), len(l.ExtraSIDs))
			}
			if n := len(l.GroupSIDs()); n < tt.groups {
				t.Errorf("got %d groups", n)
			}
			var g peer.KerbValidationInfo
			if err := g.Unmarshal(raw); err != nil {
				t.Fatal(err)
			}
			want := g.GetGroupMembershipSIDs()
			for _, s := range l.GroupSIDs() {
				if !slices.Contains(want, string(s)) && s != l.DomainSID.RID(l.PrimaryGroupID) {
					t.Errorf("%s is unknown to gokrb5", s)
				}
			}
		})
	}
}

// What Build makes is read by gokrb5 with the same result.
func TestBuiltPACReadByPeer(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.RC4HMAC} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			server, kdc := testKey(t, e, 1), testKey(t, krb5.AES256SHA1, 2)
			c := testContents()
			c.Logon.FullName = "Alice Ångström" // gokrb5 8.4.4 cannot read beyond the BMP
			b := mustBuild(t, c, server, kdc)
			pk := types.EncryptionKey{KeyType: int32(e), KeyValue: server.Bytes()}
			compare(t, mustParse(t, b), readByPeer(t, slices.Clone(b), pk))
		})
	}
}
