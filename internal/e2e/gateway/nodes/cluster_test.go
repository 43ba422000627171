package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/gateway/rig"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

func TestMain(m *testing.M) {
	code := adtest.Main(m)
	if err := errors.Join(pgtest.Stop(), rig.Remove()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// arrangement is a way to balance between two nodes.
type arrangement struct {
	name      string
	http      bool // TLS ends at the balancer
	proxy     bool // it speaks the PROXY protocol
	computers [2]string
	start     func(*testing.T, *adtest.DC, []int) int
}

func (a *arrangement) tellsClient() bool { return a.http || a.proxy }

var arrangements = []arrangement{
	{name: "TCP", computers: [2]string{adtest.GW01, adtest.GW02}, start: func(t *testing.T, dc *adtest.DC, nodes []int) int {
		return rig.HAProxy(t, dc, rig.Balancing{Nodes: nodes})
	}},
	{name: "TCP with PROXY", proxy: true, computers: [2]string{adtest.GW03, adtest.GW04}, start: func(t *testing.T, dc *adtest.DC, nodes []int) int {
		return rig.HAProxy(t, dc, rig.Balancing{Nodes: nodes, Proxy: true})
	}},
	{name: "HAProxy, HTTP", http: true, computers: [2]string{adtest.GW05, adtest.GW06}, start: func(t *testing.T, dc *adtest.DC, nodes []int) int {
		return rig.HAProxy(t, dc, rig.Balancing{Nodes: nodes, HTTP: true})
	}},
	{name: "nginx", http: true, computers: [2]string{adtest.GW07, adtest.GW08}, start: func(t *testing.T, dc *adtest.DC, nodes []int) int {
		return rig.NGINX(t, dc, nodes)
	}},
}

// cluster is two nodes with one PostgreSQL, and a balancer.
type cluster struct {
	*arrangement
	*rig.World
	pg    *pgtest.Server
	nodes [2]*rig.Node
	ports []int // of the nodes
	port  int   // of the balancer
}

// users are internal ones, one for each test that has failures or roles.
var users = []string{"carol", "dora", "emil", "fred", "gina", "hugo"}

func startCluster(t *testing.T, a *arrangement) *cluster {
	t.Helper()
	for _, program := range []string{"haproxy", "nginx"} {
		testenv.Need(t, program)
	}
	dc := adtest.Start(t)
	c := &cluster{arrangement: a, pg: pgtest.Start(t)}
	c.World = rig.NewWorld(t, dc, c.pg.Database(t), rig.Backend(t).Port, users...)
	for i, name := range []string{"a", "b"} {
		port, admin := rig.Port(t), rig.Port(t)
		text, files := c.Config(t, rig.NodeConfig{Port: port, Admin: admin, Computer: a.computers[i], Proxy: a.proxy, PlainHTTP: a.http})
		c.nodes[i] = rig.StartNode(t, name, text, files, admin, port)
		c.ports = append(c.ports, port)
	}
	c.port = a.start(t, dc, c.ports)
	c.bothServe(t)
	return c
}

// client makes one of the balancer.
func (c *cluster) client(t *testing.T, options ...rig.Option) *rig.Client {
	t.Helper()
	return rig.NewClient(t, c.DC, c.port, options...)
}

func (c *cluster) kerberos(t *testing.T, user string) rig.Option {
	t.Helper()
	k, err := rig.KerberosOf(t, c.DC, user)
	if err != nil {
		t.Fatal(err)
	}
	return rig.As(k)
}

// nodeOf returns which node answered: the one that has the reference in its log.
func (c *cluster) nodeOf(t *testing.T, a *rig.Answer) int {
	t.Helper()
	node := -1
	eventually(t, 5*time.Second, func() error {
		for i, n := range c.nodes {
			if len(n.LinesOf(a.Ref())) > 0 {
				node = i
				return nil
			}
		}
		return fmt.Errorf("no node knows the reference %q of an answer %d", a.Ref(), a.Status)
	})
	return node
}

// why waits for a line of a node's log about an answer that has a reason.
func (c *cluster) why(t *testing.T, a *rig.Answer) rig.Line {
	t.Helper()
	var found rig.Line
	eventually(t, 5*time.Second, func() error {
		for _, n := range c.nodes {
			for _, l := range n.LinesOf(a.Ref()) {
				if l.Word() != "" {
					found = l
					return nil
				}
			}
		}
		return fmt.Errorf("no log says why an answer %d has the reference %q", a.Status, a.Ref())
	})
	return found
}

// bothServe waits until the balancer sends requests to both nodes.
func (c *cluster) bothServe(t *testing.T) {
	t.Helper()
	client := c.client(t, rig.Fresh)
	seen := map[int]bool{}
	eventually(t, 30*time.Second, func() error {
		a, err := client.Get(t.Context(), rig.Open)
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("status %d", a.Status)
		}
		seen[c.nodeOf(t, a)] = true
		if len(seen) < 2 {
			return fmt.Errorf("only the nodes %v serve", seen)
		}
		return nil
	})
}

// onBoth sends requests until both nodes answered one, and hands each to check.
func (c *cluster) onBoth(t *testing.T, what string, send func() (*rig.Answer, error), check func(*rig.Answer) error) {
	t.Helper()
	seen := map[int]bool{}
	for range 40 {
		a, err := send()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		node := c.nodeOf(t, a)
		seen[node] = true
		if err := check(a); err != nil {
			t.Errorf("%s, node %s: %v; %s", what, c.nodes[node].Name, err, lines(c.nodes[node].LinesOf(a.Ref())))
			return
		}
		if len(seen) == 2 {
			return
		}
	}
	t.Errorf("%s: only the nodes %v answer", what, seen)
}

func lines(ls []rig.Line) string {
	var b strings.Builder
	for _, l := range ls {
		fmt.Fprintf(&b, "\n\t%s", l.Text)
	}
	return b.String()
}

// is checks that an answer is for a user.
func is(user string) func(*rig.Answer) error {
	return func(a *rig.Answer) error {
		if a.Status != http.StatusOK || a.User() != user {
			return fmt.Errorf("status %d, user %q; want %s", a.Status, a.User(), user)
		}
		return nil
	}
}

func status(want int) func(*rig.Answer) error {
	return func(a *rig.Answer) error {
		if a.Status != want {
			return fmt.Errorf("status %d, user %q; want %d", a.Status, a.User(), want)
		}
		return nil
	}
}

func eventually(t *testing.T, within time.Duration, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := testenv.Poll(ctx, cond); err != nil {
		t.Fatal(err)
	}
}
