package interop

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/interop/archive"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// gsoapView is what a document holds, as gSOAP's side writes it.
func gsoapView(d *archive.Document) string {
	sum := func(b []byte) string {
		h := fnv.New32a()
		_, _ = h.Write(b) // never fails
		return fmt.Sprintf("%08x/%d", h.Sum32(), len(b))
	}
	of := func(b wire.Binary) string {
		v, err := b.Bytes(1 << 24)
		if err != nil {
			return err.Error()
		}
		return sum(v)
	}
	s := fmt.Sprintf("%s hash %s thumbnail %s content %s", d.Title, sum(d.Hash), sum(d.Thumbnail), of(d.Content))
	for _, a := range d.Appendix {
		s += " appendix " + of(a)
	}
	return s
}

// gsoapArchive is the service whose answers speak of what came in those terms.
type gsoapArchive struct{ archive.UnimplementedArchive }

func (gsoapArchive) Store(_ context.Context, d *archive.Document) (*archive.Document, error) {
	return document("seen: "+gsoapView(d), 100000, false), nil
}

// TestGSOAPMTOM: both directions.
func TestGSOAPMTOM(t *testing.T) {
	t.Parallel()
	wsdl2h, soapcpp2, cc := testenv.Need(t, "wsdl2h"), testenv.Need(t, "soapcpp2"), testenv.Need(t, "cc")
	testenv.NeedFile(t, "/usr/include/stdsoap2.h")
	dir := t.TempDir()
	header := filepath.Join(dir, "archive.h")
	testenv.Run(t, nil, "", wsdl2h, "-c", "-o", header, "archive/wsdl/archive.wsdl")
	testenv.Run(t, nil, "", soapcpp2, "-c", "-x", "-d", dir, header)
	peer := filepath.Join(dir, "peer")
	testenv.Run(t, nil, "", cc, "-w", "-I", dir, "-o", peer, "testdata/gsoap-mtom/peer.c",
		filepath.Join(dir, "soapC.c"), filepath.Join(dir, "soapClient.c"), filepath.Join(dir, "soapServer.c"), "-lgsoap")
	t.Run("client", func(t *testing.T) {
		s := startService(t, func(s *soapserver.Service) { archive.RegisterArchive(s, gsoapArchive{}) })
		out := testenv.Run(t, nil, "", peer, "call", s.url)
		ours := gsoapView(document("from gsoap", 200000, false))
		if want := "stored " + gsoapView(document("seen: "+ours, 100000, false)); strings.TrimSpace(out) != want {
			t.Errorf("got  %s\nwant %s", out, want)
		}
		s.sent(t, `application/xop+xml`)
	})
	t.Run("server", func(t *testing.T) {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), peer, "serve", fmt.Sprint(port))
		cmd.Stdout, cmd.Stderr = &out, &out
		p, err := testenv.StartProcess(cmd)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.WaitListening(ctx, fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			t.Error(err)
		}
		c := archive.NewArchiveClient(&soapclient.Client{URL: fmt.Sprintf("http://127.0.0.1:%d/archive", port)})
		res, err := c.Store(ctx, document("from go", 200000, false), soapclient.MTOM())
		if err != nil {
			t.Error(err)
		} else {
			if res.Content.Replayable() { // it would be in memory
				t.Error("the content did not come in a part of its own")
			}
			theirs := gsoapView(document("from go", 200000, false))
			if got, want := gsoapView(res), gsoapView(document("seen: "+theirs, 100000, false)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("server wrote:\n%s", &out)
		}
	})
}
