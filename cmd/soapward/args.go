package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// goFlags spells long flags that are written the Go way, -package, as the
// command line library wants them, --package. It would take the former for
// -p with the value "ackage".
func goFlags(root *cobra.Command, args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if a == "--" {
			copy(out[i:], args[i:]) // what follows is no flag
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(a, "-"), "=")
		if strings.HasPrefix(a, "-") && len(name) > 1 && hasFlag(root, name) {
			out[i] = "-" + a
		}
	}
	return out
}

// hasFlag reports whether c or a command below it has a long flag.
func hasFlag(c *cobra.Command, name string) bool {
	if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
		return true
	}
	return slices.ContainsFunc(c.Commands(), func(sub *cobra.Command) bool { return hasFlag(sub, name) })
}
