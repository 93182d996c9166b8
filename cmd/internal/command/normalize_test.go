package command

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// quiet returns a program that nobody sees.
func quiet() *app {
	a := newApp(Options{Getenv: func(string) string { return "" }, Daemon: scriptDaemon{}})
	a.out.to = io.Discard
	return a
}

func TestNormalize(t *testing.T) {
	for from, want := range map[string]string{
		"network ls -no-trunc":                    "network ls --no-trunc",
		"network ls -n 3 -quiet":                  "network ls -n 3 --quiet",
		"network ls -qn 3":                        "network ls -qn 3",
		"network create -driver=x -opt -driver a": "network create --driver=x --opt -driver a",
		"network create -o -driver -id x a":       "network create -o -driver --id x a",
		"network create -odriver -id x a":         "network create -odriver --id x a",
		"network create a -- -driver":             "network create a -- -driver",
		"-host x network ls":                      "--host x network ls",
		"-H -debug network ls":                    "-H -debug network ls",
		"-Hx -debug network ls":                   "-Hx --debug network ls",
		"run -name x prog -name y":                "run --name x prog -name y",
		"exec c1 prog -name y":                    "exec c1 prog -name y",
		"-d":                                      "daemon",
		"--daemon=true":                           "daemon",
		"-daemon=false network ls":                "--daemon=false network ls",
		"-d -H a -c b":                            "daemon -H a -c b",
		"-H a -d":                                 "daemon -H a",
		"-H -d network":                           "-H -d network",
		"-Dd -l x":                                "daemon -D -l x",
		"-dHx":                                    "daemon -Hx",
		"-H a daemon -H b":                        "daemon -H a -H b",
		"-d daemon":                               "daemon",
		"-d -data-dir config":                     "daemon --data-dir config",
		"-pidfile -d -d":                          "daemon --pidfile -d",
		"network -d":                              "network -d",
		"network create -d x a":                   "network create -d x a",
		"nonsense -quiet":                         "nonsense -quiet",
		"network rm -":                            "network rm -",
		"__complete -d network ls -quiet":         "__complete -d network ls -quiet",
		"service ls -net x":                       "service ls --net x",
		"service publish -alias=a -alias b s":     "service publish --alias=a --alias b s",
		"events -since 3 -filter type=x -format table": "events --since 3 --filter type=x --format table",
	} {
		got := strings.Join(normalize(quiet().root(), strings.Fields(from), ""), " ")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", from, got, want)
		}
	}
}

// TestNormalizeBare: of a program that is one command, this command is meant.
func TestNormalizeBare(t *testing.T) {
	for from, want := range map[string]string{
		"":                         "daemon",
		"-H a -debug":              "daemon -H a --debug",
		"-data-dir config -D":      "daemon --data-dir config -D",
		"-d -D":                    "daemon -D",
		"-c a daemon -D":           "daemon -c a -D",
		"-c a config check":        "-c a config check",
		"config":                   "config",
		"help":                     "help",
		"--help":                   "daemon --help",
		"nonsense":                 "daemon nonsense",
		"network ls":               "daemon network ls",
		"-daemon=false -log-level": "daemon --daemon=false --log-level",
		"__complete -d --h":        "__complete -d --h",
	} {
		root := quiet().daemonRoot()
		got := strings.Join(normalize(root, strings.Fields(from), daemonName), " ")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", from, got, want)
		}
	}
}

// FuzzNormalize wants the same words in the same order, but for dashes and the daemon, and
// nothing to be done the second time.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"network ls -no-trunc", "-dDH x", "-d=true", "-H -d daemon", "run -p 80 -- -d", "-é", "--", "-=", "exec -\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		once := normalize(quiet().root(), slices.Clone(args), "")
		twice := normalize(quiet().root(), slices.Clone(once), "")
		if !slices.Equal(once, twice) {
			t.Errorf("%q: first %q, then %q", args, once, twice)
		}
		if len(once) > len(args)+1 {
			t.Errorf("%q: became %q", args, once)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"db:80/udp", "[::1]:53", "a=b,c", "10.0.0.0/8", "a.b", "x:y", "fd00::1%eth0", "02:00:00:00:00:01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if to, err := parseTarget(text); err == nil && (to.port == 0 || to.host == "") {
			t.Errorf("target %q: %+v", text, to)
		}
		if service, network, err := splitService(text); err == nil && service != text && service+"."+network != text {
			t.Errorf("service %q: %q and %q", text, service, network)
		}
		if prefix, err := parseSubnet("subnet", text); err == nil && prefix.Masked() != prefix {
			t.Errorf("subnet %q: %s", text, prefix)
		}
		if address, err := parseAddress("address", text); err == nil && address.Zone() != "" {
			t.Errorf("address %q: %s", text, address)
		}
		if got := strings.Join(splitOptions([]string{text}), ","); got != text {
			t.Errorf("options %q: %q", text, got)
		}
		if links, err := parseLinks([]string{text}); err == nil {
			for alias, container := range links {
				if container+":"+alias != text {
					t.Errorf("alias %q: %q", text, links)
				}
			}
		}
		if pairs, err := parsePairs("label", []string{text}); err == nil && len(pairs) != 1 {
			t.Errorf("pair %q: %q", text, pairs)
		}
		_, _ = (&networkFlags{ipv4: true, subnets: []string{text}, gateways: []string{text}, auxiliary: []string{text}, ranges: []string{text}}).body(text)
		_, _ = checkMAC(text), checkName("name", text)
	})
}

// TestHelp keeps the help in order: a short text for each command, which is no sentence.
func TestHelp(t *testing.T) {
	seen := 0
	for _, cmd := range quiet().root().Commands() {
		for _, below := range append(cmd.Commands(), cmd) {
			seen++
			if below.Short == "" || strings.HasSuffix(below.Short, ".") {
				t.Errorf("%s: short text %q", below.CommandPath(), below.Short)
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d commands", seen)
	}
}
