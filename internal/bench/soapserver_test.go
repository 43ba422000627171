package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/bench/orders"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// What a whole server must reach beside one of gSOAP, in requests a second.
const (
	minSmall = 1.2 // 417 bytes
	minLarge = 2.0 // an order of 100 lines, 12 KB
)

// BenchmarkServerBesideGSOAP puts load on servers for the same description: wrk
// with 8 connections, which shares the processors with the server. gSOAP's is
// measured with each way it has to send answers and without its search for
// shared data, and the best counts; as it comes, with that search, it is there to
// compare. What net/http does with the bytes alone is the limit of any service on
// it.
//
// The bound is for requests in a second, which wants a machine that does nothing
// else: where others work beside, Go's two threads get less of the processors
// than gSOAP's eight. For such a machine there is also how many requests a
// second of a processor is good for, that of the load included.
func BenchmarkServerBesideGSOAP(b *testing.B) {
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverRole+"="+ordersRole)
	process, next := startAnnouncing(b, cmd)
	servers := []*server{
		{name: "soapward", process: process, addr: next()},
		{name: "encoding/xml", process: process, addr: next()},
		{name: "net/http, bytes alone", process: process, addr: next(), raw: true},
	}
	peer := compileGSOAP(b)
	for _, mode := range []string{"buffer", "store", "chunk"} {
		process, next := startAnnouncing(b, exec.Command(peer, mode, "16"))
		servers = append(servers, &server{name: "gSOAP, " + mode, process: process, addr: next(), gsoap: true})
	}
	process, next = startAnnouncing(b, exec.Command(peer, "plain", "16"))
	servers = append(servers, &server{name: "gSOAP as it comes", process: process, addr: next()})
	const rounds = 7
	fmt.Printf("\nEcho of an order, %s and gSOAP %s, wrk with 8 connections, %d processors for server and load, best of %d rounds of 1 s\n",
		runtime.Version(), gsoapVersion(b), runtime.NumCPU(), rounds)
	for _, size := range []struct {
		name  string
		lines int
		min   float64
	}{{"small", 1, minSmall}, {"large", 100, minLarge}} {
		doc := fmt.Sprintf(ordersEnvelope, orderXML(1, size.lines))
		wrk := newLoader(b, doc)
		for _, s := range servers {
			s.check(b, doc)
			s.clear()
		}
		for round := range rounds {
			for i := range servers {
				wrk.run(b, servers[(round+i)%len(servers)])
			}
		}
		rate, capacity := 0.0, 0.0 // the best of gSOAP
		for _, s := range servers {
			if s.gsoap {
				rate, capacity = max(rate, s.rate), max(capacity, s.capacity)
			}
		}
		fmt.Printf("  %-30s %10s %10s %11s %11s %14s\n", fmt.Sprintf("%s, %d bytes", size.name, len(doc)),
			"requests/s", "x gSOAP", "server", "wrk", "one processor")
		for _, s := range servers {
			fmt.Printf("    %-28s %10.0f %10.2f %8.1f us %8.1f us %8.0f req/s  %.2f x gSOAP\n", s.name, s.rate, s.rate/rate,
				float64(s.server.Nanoseconds())/1e3, float64(s.wrk.Nanoseconds())/1e3, s.capacity, s.capacity/capacity)
		}
		if got := servers[0].rate / rate; got < size.min {
			b.Errorf("%s: %.2f times the requests of gSOAP, want at least %.1f", size.name, got, size.min)
		}
	}
	fmt.Println()
}

// server is one that answers Echo, and the best of what it did.
type server struct {
	name, addr string
	process    *testenv.Process
	raw        bool // sends the request back
	gsoap      bool

	rate        float64       // requests a second
	server, wrk time.Duration // of a processor, for a request
	capacity    float64       // requests in a second of a processor that server and wrk share
}

func (s *server) clear() { s.rate, s.server, s.wrk, s.capacity = 0, time.Hour, time.Hour, 0 }

// check makes sure that a server sends the order back.
func (s *server) check(b *testing.B, doc string) {
	b.Helper()
	resp, err := http.Post("http://"+s.addr, "text/xml; charset=utf-8", strings.NewReader(doc))
	if err != nil {
		b.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections() // a thread of gSOAP waits on each
	defer func() { _ = resp.Body.Close() }()
	var want orders.Echo
	decodeBody(b, strings.NewReader(doc), "Echo", &want)
	var got orders.EchoResponse
	if s.raw {
		decodeBody(b, resp.Body, "Echo", (*orders.Echo)(&got))
	} else {
		decodeBody(b, resp.Body, "EchoResponse", &got)
	}
	if resp.StatusCode != http.StatusOK || !reflect.DeepEqual(got.Order, want.Order) {
		b.Fatalf("%s: %s, %+v instead of %+v", s.name, resp.Status, got, want)
	}
}

func decodeBody(b *testing.B, r io.Reader, local string, v wire.Unmarshaler) {
	b.Helper()
	rd, err := wire.ReadFrom(r, wire.Options{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := soap.Read(rd)
	if err == nil {
		err = m.Decode(xml.Name{Space: spaceOrders, Local: local}, v)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// compileGSOAP returns the program of gsoap/server.c, with code generated by
// gSOAP's own tools.
func compileGSOAP(b *testing.B) string {
	b.Helper()
	wsdl2h, soapcpp2, cc := testenv.Need(b, "wsdl2h"), testenv.Need(b, "soapcpp2"), testenv.Need(b, "cc")
	testenv.NeedFile(b, "/usr/include/stdsoap2.h")
	dir := b.TempDir()
	header := filepath.Join(dir, "orders.h")
	testenv.Run(b, nil, "", wsdl2h, "-c", "-s", "-o", header, filepath.Join("orders", "orders.wsdl"))
	testenv.Run(b, nil, "", soapcpp2, "-c", "-S", "-L", "-x", "-d", dir, header)
	program := filepath.Join(dir, "server")
	testenv.Run(b, nil, "", cc, "-O2", "-I", dir, "-o", program, filepath.Join("gsoap", "server.c"),
		filepath.Join(dir, "soapC.c"), filepath.Join(dir, "soapServer.c"), "-lgsoap", "-lpthread")
	return program
}

func gsoapVersion(b *testing.B) string {
	b.Helper()
	out := testenv.Run(b, nil, "", testenv.Need(b, "soapcpp2"), "-V")
	return strings.TrimSpace(out)
}

// startAnnouncing starts a server that prints its addresses, one a line, and
// returns a function that reads one.
func startAnnouncing(b *testing.B, cmd *exec.Cmd) (p *testenv.Process, next func() string) {
	b.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p, err = testenv.StartProcess(cmd)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Stop(); err != nil {
			b.Error(err)
		}
	})
	return p, func() (addr string) {
		b.Helper()
		if _, err := fmt.Fscan(out, &addr); err != nil {
			b.Fatal(err)
		}
		return addr
	}
}

// loader puts load on servers with wrk.
type loader struct{ program, script string }

func newLoader(b *testing.B, doc string) loader {
	b.Helper()
	dir := b.TempDir()
	body, script := filepath.Join(dir, "body.xml"), filepath.Join(dir, "post.lua")
	lua := fmt.Sprintf("local f = io.open(%q)\nwrk.body = f:read('*a')\nf:close()\nwrk.method = 'POST'\n"+
		"wrk.headers['Content-Type'] = 'text/xml; charset=utf-8'\n"+
		"wrk.headers['SOAPAction'] = '\"http://example.com/orders/2026/Echo\"'\n", body)
	for name, text := range map[string]string{body: doc, script: lua} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return loader{testenv.Need(b, "wrk"), script}
}

var (
	requests    = regexp.MustCompile(`([0-9]+) requests in`)
	requestRate = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	failures    = regexp.MustCompile(`Non-2xx|Socket errors`)
)

// run puts load on a server for a second.
func (l loader) run(b *testing.B, s *server) {
	b.Helper()
	before := processorTimeOf(b, s.process.PID())
	cmd := exec.Command(l.program, "-t1", "-c8", "-d1s", "-s", l.script, "http://"+s.addr)
	out, err := cmd.CombinedOutput()
	took := processorTimeOf(b, s.process.PID()) - before
	total, rate := requests.FindSubmatch(out), requestRate.FindSubmatch(out)
	if err != nil || total == nil || rate == nil || failures.Match(out) {
		b.Fatalf("%s: %v\n%s", s.name, err, out)
	}
	count, err := strconv.Atoi(string(total[1]))
	if err != nil {
		b.Fatal(err)
	}
	perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	load := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.rate = max(s.rate, perSecond)
	s.server = min(s.server, took/time.Duration(count))
	s.wrk = min(s.wrk, load/time.Duration(count))
	s.capacity = max(s.capacity, float64(count)/(took+load).Seconds())
}

// processorTimeOf returns how much of it, user and system, a process took.
func processorTimeOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		testenv.Skip(b, "the system does not tell the processor time of a process: "+err.Error())
	}
	// proc(5): fields 14 and 15, the second being a name in parentheses.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * time.Second / 100 // of sysconf(_SC_CLK_TCK), which is 100 wherever Go runs
}
