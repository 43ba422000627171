//go:build !windows

package site

const hostsFile = "/etc/hosts"
