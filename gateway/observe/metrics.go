package observe

import (
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/trail"
)

// Bounds of label values. Most are of the configuration; what is not must not
// fill memory either, here or at whoever collects the metrics.
const (
	maxOperations = 1000
	maxServices   = 1000
	maxWords      = 64 // mechanisms, reasons, methods
)

// other stands for label values beyond the bounds, and for operations that no
// description has.
const other = "other"

// metrics are those of Prometheus, in a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	dropped  atomic.Uint64 // lines of the access log

	inFlight   *prometheus.GaugeVec
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	bytes      *prometheus.CounterVec
	operations *prometheus.HistogramVec
	backends   *prometheus.HistogramVec

	logins      *prometheus.CounterVec
	handshakes  *prometheus.HistogramVec
	rc4         prometheus.Counter
	denials     *prometheus.CounterVec
	delegations *prometheus.CounterVec
	doubleHops  *prometheus.CounterVec

	reloads    *prometheus.CounterVec
	reloadedOK prometheus.Gauge
	reloadedAt prometheus.Gauge

	exportsFailed prometheus.Counter

	services, words *labels
	codes           children[codeKey, prometheus.Counter]
	ways            children[wayKey, *way]
	known           children[operationKey, prometheus.Observer]
	names           atomic.Pointer[map[operationKey]bool] // of operations
}

type (
	codeKey struct {
		direction trail.Direction
		service   string
		code      int
	}
	wayKey struct {
		direction trail.Direction
		service   string
	}
	operationKey struct{ service, operation string }
)

// way has what is counted of each request of a service.
type way struct {
	seconds, backend prometheus.Observer
	bytes            prometheus.Counter
}

// Buckets, in seconds.
var (
	buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	coarse  = []float64{.005, .025, .1, .25, 1, 2.5, 10} // operations are many
)

func newMetrics(o *Observer, pools func() []Pool) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		services: newLabels(maxServices), words: newLabels(maxWords),
	}
	counter := func(name, help string, label ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "soapward", Name: name, Help: help}, label)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, label ...string) *prometheus.HistogramVec {
		c := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "soapward", Name: name, Help: help, Buckets: buckets}, label)
		m.registry.MustRegister(c)
		return c
	}
	gauge := func(name, help string, label ...string) *prometheus.GaugeVec {
		c := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "soapward", Name: name, Help: help}, label)
		m.registry.MustRegister(c)
		return c
	}
	m.inFlight = gauge("requests_in_flight", "Requests that are not over.", "direction")
	m.requests = counter("requests_total", "Requests that are over, by service or upstream and status.", "direction", "service", "code")
	m.seconds = histogram("request_seconds", "Time from the head of a request to the end of its answer.", buckets, "direction", "service")
	m.bytes = counter("response_bytes_total", "Bytes of bodies that were answered.", "direction", "service")
	m.operations = histogram("operation_seconds", "The same by SOAP operation, of those that a description has.", coarse, "service", "operation")
	m.backends = histogram("backend_seconds", "Time until the head of the answer of a backend or upstream.", buckets, "direction", "service")

	m.logins = counter("logins_total", "Logins and refusals: accepted, refused, blocked, unavailable.", "mechanism", "result", "reason")
	m.handshakes = histogram("handshake_seconds", "Time to decide on a login, of the request that decided.", buckets, "mechanism")
	m.rc4 = counter("rc4_logins_total", "Kerberos logins with a ticket or a session key of type rc4-hmac.").WithLabelValues()
	m.denials = counter("denials_total", "Requests that the policy refused.", "service", "reason")
	m.delegations = counter("delegations_total", "Decisions to pass a caller on: caller, service (as another), refused.", "upstream", "method", "result", "reason")
	m.doubleHops = counter("double_hops_total", "Callers who could not be passed on because they logged in by NTLM.", "upstream")

	m.reloads = counter("reloads_total", "Reloads of the configuration.", "result")
	m.reloadedOK = gauge("config_last_reload_successful", "Whether the last reload succeeded.").WithLabelValues()
	m.reloadedAt = gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded.").WithLabelValues()
	m.reloadedOK.Set(1)
	m.reloadedAt.SetToCurrentTime()
	m.exportsFailed = counter("trace_exports_failed_total", "Batches of spans that the collector did not take.").WithLabelValues()
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "soapward", Name: "access_log_dropped_total", Help: "Lines of the access log that could not be written.",
		}, func() float64 { return float64(m.dropped.Load()) }),
		&now{o: o, pools: pools},
	)
	gauge("build_info", "1, with the version of the program.", "version", "goversion").WithLabelValues(o.version, runtime.Version()).Set(1)
	return m
}

// request counts one that is over.
func (m *metrics) request(q *request) {
	t := &q.trail
	m.codes.get(codeKey{t.Direction, t.Service, q.status}, func() prometheus.Counter {
		return m.requests.WithLabelValues(string(t.Direction), m.services.name(t.Service), code(q.status))
	}).Inc()
	w := m.ways.get(wayKey{t.Direction, t.Service}, func() *way {
		direction, service := string(t.Direction), m.services.name(t.Service)
		return &way{
			m.seconds.WithLabelValues(direction, service), m.backends.WithLabelValues(direction, service),
			m.bytes.WithLabelValues(direction, service),
		}
	})
	took := q.took.Seconds()
	w.seconds.Observe(took)
	w.bytes.Add(float64(q.written))
	if t.Backend != "" {
		w.backend.Observe(t.BackendTime.Seconds())
	}
	if t.Operation != "" {
		key := operationKey{t.Service, t.Operation}
		if names := m.names.Load(); names == nil || !(*names)[key] {
			key.operation = other
		}
		m.known.get(key, func() prometheus.Observer {
			return m.operations.WithLabelValues(m.services.name(key.service), key.operation)
		}).Observe(took)
	}
}

// SetOperations says which operations the services have, by name of the service:
// {namespace}Name, as in the trail. Those have their own times in the metrics, up
// to 1000 in all. Others are counted as "other", because clients make them up.
func (o *Observer) SetOperations(services map[string][]string) {
	names := make(map[operationKey]bool)
	for service, operations := range services {
		for _, operation := range operations {
			if len(names) < maxOperations {
				names[operationKey{service, operation}] = true
			}
		}
	}
	o.metrics.names.Store(&names)
}

func (m *metrics) reload(err error) {
	if err != nil {
		m.reloads.WithLabelValues("refused").Inc()
		m.reloadedOK.Set(0)
		return
	}
	m.reloads.WithLabelValues("done").Inc()
	m.reloadedOK.Set(1)
	m.reloadedAt.SetToCurrentTime()
}

// code is the label of a status. A backend may answer with any of 900.
func code(status int) string {
	if http.StatusText(status) == "" {
		return other
	}
	return strconv.Itoa(status)
}

// labels bounds the values of a label: the first so many have their own name. It
// is safe for concurrent use.
type labels struct {
	most int
	mu   sync.RWMutex
	seen map[string]bool
}

func newLabels(most int) *labels { return &labels{most: most, seen: make(map[string]bool)} }

// name returns the value for s: s itself, "none" or "other".
func (l *labels) name(s string) string {
	if s == "" {
		return "none"
	}
	l.mu.RLock()
	known, full := l.seen[s], len(l.seen) >= l.most
	l.mu.RUnlock()
	switch {
	case known:
		return s
	case full || len(s) > maxText:
		return other
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= l.most {
		return other
	}
	s = printable(s, maxText)
	l.seen[s] = true
	return s
}

// children keeps what a vector would look for, whose labels it would hash each
// time. It is safe for concurrent use.
type children[K comparable, V any] struct {
	mu sync.RWMutex
	m  map[K]V
}

// maxChildren bounds the memory of a children. What is beyond is looked for each
// time.
const maxChildren = 4096

func (c *children[K, V]) get(k K, find func() V) V {
	c.mu.RLock()
	v, ok := c.m[k]
	c.mu.RUnlock()
	if ok {
		return v
	}
	v = find()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = make(map[K]V)
	}
	if len(c.m) < maxChildren {
		c.m[k] = v
	}
	return v
}

// now are metrics of what is at the moment somebody asks.
type now struct {
	o     *Observer
	pools func() []Pool
}

var (
	descUp = prometheus.NewDesc("soapward_dependency_up",
		"Whether what the gateway depends on was there when it looked last.", []string{"name", "kind"}, nil)
	descReady = prometheus.NewDesc("soapward_ready", "Whether /readyz answers 200.", nil, nil)
	descPool  = prometheus.NewDesc("soapward_pool_connections",
		"Connections to a backend or upstream: active with a request, idle without.", []string{"name", "kind", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (n *now) Describe(c chan<- *prometheus.Desc) {
	c <- descUp
	c <- descReady
	c <- descPool
}

// Collect implements prometheus.Collector.
func (n *now) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	r := n.o.monitor.Report()
	gauge(descReady, number(r.Ready))
	for _, one := range r.Checks {
		if one.State != health.Unknown {
			gauge(descUp, number(one.State == health.Up), one.Name, string(one.Kind))
		}
	}
	if n.pools == nil {
		return
	}
	for _, p := range n.pools() {
		if p.Active >= 0 {
			gauge(descPool, float64(p.Active), p.Name, string(p.Kind), "active")
		}
		gauge(descPool, float64(p.Idle), p.Name, string(p.Kind), "idle")
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
