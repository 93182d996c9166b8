package libnetwork_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) {
	if arguments := os.Getenv(victim); arguments != "" {
		fmt.Fprintln(os.Stderr, beVictim(arguments))
		os.Exit(1)
	}
	if name := os.Getenv(lookedUp); name != "" {
		if err := lookUpAndEnd(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		// Unlike a test, an example cannot skip itself.
		fmt.Println("examples need root, to make network namespaces: they are left out")
		flag.Parse()
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	kerneltest.Main(m)
}
