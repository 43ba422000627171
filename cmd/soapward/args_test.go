package main

import (
	"slices"
	"testing"
)

func TestGoFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		in, want []string
	}{
		{"one dash", []string{"generate", "-package", "x", "a.wsdl"}, []string{"generate", "--package", "x", "a.wsdl"}},
		{"one dash, with value", []string{"generate", "-package=x"}, []string{"generate", "--package=x"}},
		{"two dashes", []string{"generate", "--package", "x"}, []string{"generate", "--package", "x"}},
		{"shorthand", []string{"generate", "-p", "x", "-uCORP\\a"}, []string{"generate", "-p", "x", "-uCORP\\a"}},
		{"not a flag of ours", []string{"-packages"}, []string{"-packages"}},
		{"after the end of flags", []string{"generate", "--", "-package"}, []string{"generate", "--", "-package"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := goFlags(newRootCommand(), tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("goFlags(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
