package observe

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// The reference has each metric with its labels and each key of the access log,
// and no others.
func TestReference(t *testing.T) {
	t.Parallel()
	doc := read(t, "../../docs/reference-observe.md")
	ob, _ := busy(t)
	ob.Reloaded(nil)
	families, err := ob.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(soapward_\\w+)` \\|([^|]*)\\|").FindAllStringSubmatch(doc, -1) {
		documented[m[1]] = strings.NewReplacer("`", "", ",", "").Replace(m[2])
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "soapward_") {
			continue
		}
		labels := make(map[string]bool)
		for _, l := range f.Metric[0].Label {
			labels[l.GetName()] = true
		}
		want, ok := documented[f.GetName()]
		if !ok {
			t.Errorf("%s is not in the reference", f.GetName())
		}
		for _, l := range strings.Fields(want) {
			if !labels[l] {
				t.Errorf("%s has no label %s, but %v", f.GetName(), l, labels)
			}
			delete(labels, l)
		}
		if len(labels) > 0 {
			t.Errorf("%s has labels that are not in the reference: %v", f.GetName(), labels)
		}
		delete(documented, f.GetName())
	}
	for name := range documented {
		t.Errorf("%s is in the reference, and no metric", name)
	}

	_, section, _ := strings.Cut(doc, "## Access log")
	section, _, _ = strings.Cut(section, "## ")
	keys := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for key := range strings.SplitSeq(row[1], ", ") {
			keys[strings.Trim(key, "`")] = true
		}
	}
	q, r := call()
	q.aborted = true
	var line map[string]any
	if err := json.Unmarshal(appendLine(nil, q, r, true), &line); err != nil {
		t.Fatal(err)
	}
	for key := range line {
		if !keys[key] {
			t.Errorf("the key %s is not in the reference", key)
		}
		delete(keys, key)
	}
	for key := range keys {
		t.Errorf("%s is in the reference, and no key", key)
	}
}
