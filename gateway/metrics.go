package gateway

import (
	"maps"
	"slices"

	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/observe"
	"github.com/soapward/soapward/gateway/publish"
)

// pools lists the connections of the generation in force, for metrics.
func (g *Gateway) pools() (pools []observe.Pool) {
	gen := g.current.Load()
	if gen == nil { // it is being made
		return nil
	}
	m, ok := gen.own.(*made)
	if !ok {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.backends)) {
		active, idle := m.backends[name].Connections()
		pools = append(pools, observe.Pool{Name: name, Kind: health.Backend, Active: active, Idle: idle})
	}
	if m.outbound != nil {
		idle := m.outbound.Idle()
		for _, name := range slices.Sorted(maps.Keys(idle)) {
			pools = append(pools, observe.Pool{Name: name, Kind: health.Upstream, Active: -1, Idle: idle[name]})
		}
	}
	return pools
}

// operationsOf lists those that descriptions have, by service.
func operationsOf(publishers map[string]*publish.Publisher) map[string][]string {
	names := make(map[string][]string, len(publishers))
	for service, p := range publishers {
		for _, op := range p.Operations() {
			names[service] = append(names[service], op.Name)
		}
	}
	return names
}
