package access

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"rsc.io/qr"

	"github.com/soapward/soapward/authn/totp"
)

// The drawing has the modules of the code, with white around it.
func TestQRPath(t *testing.T) {
	t.Parallel()
	text := totp.URI(totp.NewSecret(), "soapward gw.corp.test", `corp\admin`)
	want, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	path, size, err := qrPath(text)
	if err != nil || size != want.Size+8 {
		t.Fatalf("size %d, %v", size, err)
	}
	black := map[string]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(path, -1) {
		x, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			black[fmt.Sprint(x+i, " ", m[2])] = true
		}
	}
	for y := range size {
		for x := range size {
			if got := black[fmt.Sprint(x, " ", y)]; got != want.Black(x-4, y-4) {
				t.Fatalf("module %d, %d is %v", x, y, got)
			}
		}
	}
}
