package command

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docker/libnetwork/cmd/internal/settings"
)

// scriptDaemon shows what the command line gives a daemon.
type scriptDaemon struct{}

func (scriptDaemon) Run(_ context.Context, flags settings.Flags) error {
	text := "daemon at " + strings.Join(flags.Hosts, " ")
	if flags.Debug != nil && *flags.Debug {
		text += " debugging"
	}
	_, err := os.Stdout.WriteString(text + "\n")
	return err
}

func (scriptDaemon) Check(path string, out io.Writer) error {
	_, err := io.WriteString(out, "checked "+path+"\n")
	return err
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"dnet": func() {
			os.Exit(Run(context.Background(), Options{
				Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
				Getenv: os.Getenv, Version: "1.0", Daemon: scriptDaemon{},
			}))
		},
	})
}

// TestScripts runs testdata/*.txtar, each with a fake daemon of its own. The command
// "asked" looks for a pattern in what the daemon was asked, one request a line; "code"
// runs dnet, within this process, and compares its exit code.
func TestScripts(t *testing.T) {
	type key struct{}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			f := &fake{}
			// The path of a socket must be short.
			folder, err := os.MkdirTemp("", "dnet")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = os.RemoveAll(folder) })
			socket := filepath.Join(folder, "s")
			f.serve(env.T().(testing.TB), socket)
			env.Setenv("DNET_HOST", "unix://"+socket)
			env.Setenv("PLUGIN", socket)
			env.Setenv("TZ", "UTC")
			// The race detector would wait for a second at the end of each program.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values[key{}] = f
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"asked": func(ts *testscript.TestScript, neg bool, args []string) {
				f := ts.Value(key{}).(*fake)
				f.mu.Lock()
				defer f.mu.Unlock()
				all := strings.Join(f.asked, "\n")
				pattern := "."
				if len(args) > 0 {
					pattern = "(?m)" + args[0]
				}
				if regexp.MustCompile(pattern).MatchString(all) == neg {
					ts.Fatalf("asked was:\n%s", all)
				}
				f.asked = nil
			},
			"code": runHere,
		},
	})
}

func runHere(ts *testscript.TestScript, _ bool, args []string) {
	stdout, stderr := scratch(ts), scratch(ts)
	got := Run(context.Background(), Options{
		Args: args[1:], Stdout: stdout, Stderr: stderr, Getenv: ts.Getenv, Version: "1.0", Daemon: scriptDaemon{},
	})
	for file, to := range map[*os.File]io.Writer{stdout: ts.Stdout(), stderr: ts.Stderr()} {
		_, err := file.Seek(0, io.SeekStart)
		ts.Check(err)
		_, err = io.Copy(to, file)
		ts.Check(err)
		ts.Check(file.Close())
	}
	if args[0] != strconv.Itoa(got) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// scratch returns a file that has no name any more.
func scratch(ts *testscript.TestScript) *os.File {
	file, err := os.CreateTemp("", "dnet")
	ts.Check(err)
	ts.Check(os.Remove(file.Name()))
	return file
}

// TestPage keeps docs/cli.md true.
func TestPage(t *testing.T) {
	var out strings.Builder
	a := newApp(Options{Getenv: os.Getenv})
	root := a.root()
	writePage(&out, root)
	got, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != out.String() {
		t.Error("docs/cli.md is not what the commands say; write it with: go run ./cmd/dnet page > docs/cli.md")
	}
}
