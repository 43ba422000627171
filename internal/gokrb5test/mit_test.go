package gokrb5test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

// mitSPN is the service in the realm of mitKDC.
const mitSPN = "HTTP/app.a.test"

// mitKDC is a real krb5kdc for the realm A.TEST, with one user and one service.
type mitKDC struct {
	addr   string
	conf   string         // krb5.conf
	theirs *keytab.Keytab // of the service
	ours   *kerberos.Keytab
}

func startMIT(t *testing.T) *mitKDC {
	t.Helper()
	program, util, admin := testenv.Need(t, "krb5kdc"), testenv.Need(t, "kdb5_util"), testenv.Need(t, "kadmin.local")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := &mitKDC{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	m.conf = "[libdefaults]\n default_realm = A.TEST\n dns_lookup_kdc = false\n[realms]\n A.TEST = {\n  kdc = " + m.addr + "\n }\n"
	for name, text := range map[string]string{
		"krb5.conf": m.conf,
		"kdc.conf": fmt.Sprintf("[kdcdefaults]\n kdc_listen = %[1]s\n kdc_tcp_listen = %[1]s\n[realms]\n A.TEST = {\n"+
			"  database_name = %[2]s/db\n  key_stash_file = %[2]s/stash\n  supported_enctypes = aes256-cts-hmac-sha1-96:normal\n }\n", m.addr, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "app.keytab")
	env := []string{"KRB5_CONFIG=" + filepath.Join(dir, "krb5.conf"), "KRB5_KDC_PROFILE=" + filepath.Join(dir, "kdc.conf"), "LC_ALL=C"}
	testenv.Run(t, env, "", util, "create", "-s", "-P", "master")
	testenv.Run(t, env, strings.Join([]string{"addprinc -pw pw-alice +requires_preauth alice", "addprinc -randkey " + mitSPN,
		"ktadd -k " + file + " " + mitSPN}, "\n")+"\n", admin)
	cmd := exec.Command(program, "-n")
	cmd.Env = append(os.Environ(), env...)
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitListening(t.Context(), m.addr); err != nil {
		t.Fatal(err)
	}
	if m.theirs, err = keytab.Load(file); err != nil {
		t.Fatal(err)
	}
	if m.ours, err = kerberos.LoadKeytab(file); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mitKDC) client(t *testing.T) *client.Client {
	t.Helper()
	return theirClientOf(t, m.conf)
}

// ticketFor has gokrb5 get a ticket for alice.
func (m *mitKDC) ticketFor(t *testing.T) *ticket {
	t.Helper()
	return ticketOf(t, m.client(t), mitSPN)
}

// ticketWith is ticketFor with authorization data that alice wants in the
// ticket, and without a PAC.
func (m *mitKDC) ticketWith(t *testing.T, data ...krb5.AuthorizationData) *ticket {
	t.Helper()
	must := bytesOrFatal(t)
	cl := m.client(t)
	asReq, err := messages.NewASReqForTGT("A.TEST", cl.Config, cl.Credentials.CName())
	if err != nil {
		t.Fatal(err)
	}
	asReq.PAData = append(asReq.PAData, types.PAData{PADataType: int32(krb5.PAPACRequest), PADataValue: must(krb5.MarshalPACRequest(false))})
	asRep, err := cl.ASExchange("A.TEST", asReq, 0)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, asRep.DecryptedEncPart.Key)
	tgt, err := krb5.ParseTicket(must(asRep.Ticket.Marshal()))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := krb5.Seal(key, krb5.UsageTGSReqAuthDataKey, 0, must(krb5.MarshalAuthorizationData(data)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	body := krb5.KDCReqBody{
		Realm: "A.TEST", SName: krb5.NewPrincipalName(krb5.NameService, mitSPN), Till: now.Add(time.Hour), Nonce: 4711,
		ETypes: []krb5.EType{krb5.AES256SHA1}, EncAuthData: &sealed,
	}
	raw := must(body.Marshal())
	sum, err := krb5.Sign(key, krb5.UsageTGSReqChecksum, raw)
	if err != nil {
		t.Fatal(err)
	}
	c := &ticket{cname: krb5.NewPrincipalName(krb5.NamePrincipal, "alice"), crealm: "A.TEST"}
	auth := &krb5.Authenticator{CRealm: c.crealm, CName: c.cname, CTime: now.Truncate(time.Second), CUSec: now.Nanosecond() / 1000, Checksum: &sum}
	proof, err := krb5.Seal(key, krb5.UsageTGSReqAuthenticator, 0, must(auth.Marshal()))
	if err != nil {
		t.Fatal(err)
	}
	req := &krb5.KDCReq{Type: krb5.MsgTGSReq, Body: body, RawBody: raw,
		PAData: []krb5.PAData{{Type: krb5.PATGSReq, Value: must((&krb5.APReq{Ticket: *tgt, Authenticator: proof}).Marshal())}}}
	reply := m.ask(t, must(req.Marshal()))
	rep, err := krb5.ParseKDCRep(reply)
	if err != nil {
		e, _ := krb5.ParseErrorMessage(reply)
		t.Fatalf("%v: KDC says %+v", err, e)
	}
	part, err := krb5.ParseEncKDCRepPart(must(rep.EncPart.Open(key, krb5.UsageTGSRepPartKey)))
	if err != nil {
		t.Fatal(err)
	}
	c.Ticket, c.session = rep.Ticket, part.Key
	return c
}

// ask sends the KDC a message.
func (m *mitKDC) ask(t *testing.T, message []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", m.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)); err != nil {
		t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		t.Fatal(err)
	}
	return reply
}
