package settings

import (
	"testing"

	"github.com/spf13/pflag"
)

func TestFlagsOfOthersStay(t *testing.T) {
	flags, host := pflag.NewFlagSet("dnet", pflag.ContinueOnError), ""
	flags.StringVarP(&host, "host", "H", "", "")
	f := new(Flags)
	f.BindFlags(flags)
	if err := flags.Parse([]string{"-H", "x", "-D"}); err != nil {
		t.Fatal(err)
	}
	if host != "x" || f.Hosts != nil || f.Debug == nil || !*f.Debug {
		t.Errorf("host %q, flags %+v", host, f)
	}
}

// TestSwitches: a switch is on, off, or left to the file.
func TestSwitches(t *testing.T) {
	flags, f := pflag.NewFlagSet("dnet", pflag.ContinueOnError), new(Flags)
	f.BindFlags(flags)
	if err := flags.Parse([]string{"-D", "--shutdown-clean=false"}); err != nil {
		t.Fatal(err)
	}
	if f.Debug == nil || !*f.Debug || f.ShutdownClean == nil || *f.ShutdownClean || f.NoDefaultNetwork != nil {
		t.Errorf("flags %+v", f)
	}
	if err := flags.Parse([]string{"--debug=perhaps"}); err == nil {
		t.Error("perhaps was taken for true or false")
	}
}
