package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/interop/archive"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
)

// compileJAXWS makes classes of the description and compiles the peer. Both
// programs run in the directory it returns.
func compileJAXWS(t *testing.T) (java, dir string) {
	t.Helper()
	java = testenv.Need(t, "java")
	wsimport, javac := testenv.Need(t, "wsimport"), testenv.Need(t, "javac")
	testenv.NeedFile(t, jaxwsRuntime)
	dir = t.TempDir()
	doc, err := os.ReadFile("archive/wsdl/archive.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "archive.wsdl")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, nil, "", wsimport, "-keep", "-Xnocompile", "-d", dir, "-s", dir, "-p", "archive", file)
	sources, err := filepath.Glob(filepath.Join(dir, "archive", "*.java"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("wsimport made nothing: %v", err)
	}
	testenv.Run(t, nil, "", javac, append([]string{"-cp", jaxwsRuntime, "-d", dir, "testdata/jaxws-mtom/Peer.java"}, sources...)...)
	return java, dir
}

// TestMTOMJAXWS: MTOM, swaRef and attachments of the WSDL, both directions.
func TestMTOMJAXWS(t *testing.T) {
	t.Parallel()
	java, dir := compileJAXWS(t)
	peer := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), java, append([]string{"-Xmx128m", "-cp", dir + ":" + jaxwsRuntime, "Peer"}, args...)...)
		cmd.Dir = dir
		return cmd
	}
	t.Run("client", func(t *testing.T) {
		for mtom, want := range map[string]string{"true": `type="application/xop+xml"`, "false": "multipart/related"} {
			s := startArchive(t)
			out, err := peer("call", s.url, mtom).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			// What we make of its document, and it of ours.
			ours := viewDocument(document("from jaxws", 200000, true))
			for _, line := range []string{
				"stored " + viewDocument(document("seen: "+ours, 100000, true)),
				"label l " + sum(pattern(4000, 7)) + " photo " + sum(pattern(5000, 8)),
			} {
				if !strings.Contains(string(out), line+"\n") {
					t.Errorf("MTOM %s: client wrote\n%s\nwant %s", mtom, out, line)
				}
			}
			s.sent(t, want, "multipart/related")
		}
	})
	t.Run("server", func(t *testing.T) {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := peer("serve", fmt.Sprint(port))
		cmd.Stdout, cmd.Stderr = &out, &out
		p, err := testenv.StartProcess(cmd)
		if err != nil {
			t.Fatal(err)
		}
		stop := func() {
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.WaitListening(ctx, fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			stop()
			t.Fatalf("%v\n%s", err, &out)
		}
		c := archive.NewArchiveClient(&soapclient.Client{URL: fmt.Sprintf("http://127.0.0.1:%d/archive", port)})
		for _, opts := range [][]soapclient.CallOption{nil, {soapclient.MTOM()}} {
			for _, signed := range []bool{false, true} {
				res, err := c.Store(ctx, document("from go", 200000, signed), opts...)
				if err != nil {
					t.Error(err)
					continue
				}
				theirs := viewDocument(document("from go", 200000, signed))
				if got, want := viewDocument(res), viewDocument(document("seen: "+theirs, 100000, signed)); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if res.Content.Replayable() { // it would be in memory
					t.Error("the content did not come in a part of its own")
				}
			}
		}
		res, err := c.Label(ctx, &archive.ArchiveLabel{Label: archive.Label{Text: "l"}, Photo: wire.BytesBinary(pattern(4000, 7))})
		if err != nil {
			t.Error(err)
		} else if res.Label.Text != "l "+sum(pattern(4000, 7)) || sumOf(res.Photo) != sum(pattern(5000, 8)) {
			t.Errorf("got %s, photo %s", res.Label.Text, sumOf(res.Photo))
		}
		stop()
		if t.Failed() {
			t.Logf("server wrote:\n%s", &out)
		}
	})
}
