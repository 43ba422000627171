package config_test

import (
	"fmt"

	"github.com/soapward/soapward/gateway/config"
)

// What is wrong is told with its place and what was likely meant.
func ExampleParse() {
	_, err := config.Parse("soapward.yaml", []byte(`
lstien: [{addr: ":443"}]
realms:
  corp: {ad: {url: "ldaps://dc1.corp.test", bind_user: svc, bind_password: hunter2}}
`))
	fmt.Println(err)
	// Output:
	// soapward.yaml:2:1: unknown key "lstien": did you mean "listen"?
	// soapward.yaml:4:76: realms.corp.ad.bind_password: a secret does not stand in the configuration: write it into a file and name that, {file: PATH}, or an environment variable, {env: NAME}
}
