// Package config reads the configuration of the gateway: a YAML file that says
// where to listen, who the users are, and what stands behind.
//
//		cfg, err := config.Load("/etc/soapward/soapward.yaml")
//
//	  - [Load] reads a file, and looks at the files with secrets that it names.
//	    [Parse] takes the text alone.
//	  - [Config] is the whole of it, with everything that was left out at its
//	    default. docs/reference-config.md lists the keys.
//	  - [Errors] are all that is wrong, each with line and column and what is
//	    wanted instead.
//
// The package composes nothing: it knows neither stores nor directories.
// Secrets are never in the text, only named by it; see [Secret].
//
// Compatibility: a key keeps its name and meaning within a major version. New
// keys have defaults that keep today's behaviour.
package config
